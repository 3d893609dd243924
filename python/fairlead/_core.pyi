"""The engine, as Rust offers it. Private: the typed face is the rest of the package."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar, final

from typing_extensions import disjoint_base

from .types import Receipt

__all__ = [
    "Endpoint",
    "Engine",
    "Feed",
    "Field",
    "Model",
    "Port",
    "RawReply",
    "Secret",
    "StreamCore",
    "__version__",
    "_after_fork",
    "_encode",
    "_load_model",
    "_tasks",
]

__version__: str

_Model = TypeVar("_Model", bound=Model)

def _after_fork() -> None: ...
def _encode(value: object, /) -> bytes: ...
def _load_model(class_: type[_Model], text: bytes, request_id: str | None = None) -> _Model: ...
def _tasks() -> int: ...

@disjoint_base
class Model:
    """An object of a reply. Attributes are the JSON object's members; it cannot be changed, only copied."""

    __fields__: dict[str, Field]
    def __new__(cls, **fields: Any) -> Self: ...
    @property
    def model_fields_set(self) -> set[str]: ...
    @property
    def model_extra(self) -> dict[str, Any]: ...
    @property
    def fairlead(self) -> Receipt: ...
    @property
    def _raw(self) -> str: ...
    @property
    def _request_id(self) -> str | None: ...
    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        exclude_none: bool = False,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        by_alias: bool | None = None,
        round_trip: bool = False,
        warnings: bool = True,
    ) -> dict[str, Any]: ...
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def __getitem__(self, name: str, /) -> Any: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __iter__(self) -> Iterator[tuple[str, Any]]: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__ = None  # type: ignore[assignment]

@final
class Field:
    """A declared member of a reply class."""

    def __new__(cls, name: str, class_: type[Model] | None = None, *, vector: bool = False) -> Self: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...

@final
class Secret:
    """A key that does not show itself: not in `repr`, `str` or `vars`, not by pickling, not in tracebacks."""

    def __new__(cls, value: str, /) -> Self: ...
    def __bool__(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Endpoint:
    """One kind of request, and what its answers become."""

    def __new__(
        cls,
        operation: str,
        reply: type[Model],
        *,
        path: str | None = None,
        chunk: type[Model] | None = None,
        stream: Callable[[StreamCore], Any] | None = None,
        raw: Callable[[RawReply], Any] | None = None,
    ) -> Self: ...

@final
class Port:
    """The futures of one event loop."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def drain(self) -> None: ...
    def cancel(self, id: int) -> None: ...
    def close(self) -> None: ...
    def pending(self) -> int: ...

@final
class Feed:
    """Receipts on their way to hooks and loggers."""

    def __new__(cls) -> Self: ...
    def take(self, seconds: float) -> list[Receipt]: ...
    def wake(self) -> None: ...
    @property
    def dropped(self) -> int: ...

@final
class Engine:
    """An engine with the defaults of one client."""

    def __new__(
        cls,
        source: Any,
        arguments: dict[str, Any],
        options: dict[str, Any],
        feed: Feed | None = None,
        io_threads: int | None = None,
    ) -> Self: ...
    def derive(self, options: dict[str, Any]) -> Engine: ...
    def start(
        self,
        port: Port,
        event_loop: AbstractEventLoop,
        endpoint: Endpoint,
        params: dict[str, Any],
        scope: Mapping[str, Any] | None = None,
    ) -> tuple[Future[Any], int]: ...
    def start_raw(
        self,
        port: Port,
        event_loop: AbstractEventLoop,
        endpoint: Endpoint,
        body: object,
        params: dict[str, Any],
        scope: Mapping[str, Any] | None = None,
    ) -> tuple[Future[Any], int]: ...
    def block(
        self, endpoint: Endpoint, params: dict[str, Any], scope: Mapping[str, Any] | None = None
    ) -> Any: ...
    def block_raw(
        self,
        endpoint: Endpoint,
        body: object,
        params: dict[str, Any],
        scope: Mapping[str, Any] | None = None,
    ) -> Any: ...
    def stats(self) -> dict[str, int]: ...
    def gauges(self) -> dict[str, int]: ...
    def close(self) -> None: ...
    @property
    def is_closed(self) -> bool: ...

@final
class RawReply:
    """A reply before anything is made of its body."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def content(self) -> bytes: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def fairlead(self) -> Receipt: ...
    def parse(self) -> Any: ...

@final
class StreamCore:
    """A stream as Python reads it."""

    def take(self) -> Any: ...
    def wait(self, event_loop: AbstractEventLoop, port: Port) -> tuple[Future[None], int] | None: ...
    def block(self) -> Any: ...
    def close(self) -> None: ...
    def interrupt(self) -> None: ...
    @property
    def is_over(self) -> bool: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def fairlead(self) -> Receipt: ...
