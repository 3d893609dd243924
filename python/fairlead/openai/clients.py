"""`OpenAI` and `AsyncOpenAI`: the SDK's own clients, calling through the engine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple, Self, TypeVar

import openai

from ..client import AsyncClient, Client, Config, Key
from ..errors import ConfigError
from ..hooks import Hook
from ..options import is_absent

NOWHERE = "https://fairlead.invalid/v1"
"""The SDK's base URL where the engine chooses among several: a name that can never resolve."""

NO_SOCKETS = "wss://fairlead-serves-no-websockets.invalid/v1"
"""The SDK opens WebSockets past its HTTP client; there is nobody to open them to."""

OWN_KEY = "fairlead"
"""The SDK's `api_key`: it wants one, and the engine has the true ones."""

_CHANGES = ("api_key", "base_url", "provider", "proxy", "ca", "http2", "on_event", "watch", "max_retries")
"""What `with_options` takes that is the engine's."""

_HTTP_CLIENT = (
    "`http_client` is not supported: the connections are the engine's own. Use `proxy=` and `ca=`, or give "
    "an SDK client an http_client with a transport of `fairlead.openai.httpx2` or `fairlead.openai.httpx`."
)

_Kind = TypeVar("_Kind", Client, AsyncClient)


class _Parts(NamedTuple):
    """What is below a client of the SDK."""

    client: Any
    http_client: Any
    base_url: str
    is_shared: bool
    """Is `client` the caller's own, to be closed by the caller?"""


def _parts(kind: type[_Kind], client: Any, given: dict[str, Any], max_retries: int | None) -> _Parts:
    """The parts for the arguments of a constructor.

    Raises:
        ConfigError: when an argument is wrong, or stands beside a client that has its own.
    """
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    if client is None:
        if "base_url" in given:
            given["base_url"] = str(given["base_url"])
        return _around(kind(max_retries=max_retries, **given), False)
    if given:
        named = ", ".join(f"`{name}`" for name in given)
        raise ConfigError(f"{named}: belongs to the client that is passed as `client=`")
    if not isinstance(client, Client | AsyncClient):
        raise ConfigError(f"`client`: expected a fairlead client, not {type(client).__name__}")
    if max_retries is not None:
        client = client.with_options(max_retries=max_retries)
    return _around(client if isinstance(client, kind) else client._twin(kind), True)


def _around(client: Client | AsyncClient, is_shared: bool) -> _Parts:
    name = _library()
    library, ours = import_module(name), import_module(f".{name}", __package__)
    made: Any
    if isinstance(client, Client):
        made = library.Client(transport=ours.Transport(client, closes_client=not is_shared, own_key=OWN_KEY))
    else:
        transport = ours.AsyncTransport(client, closes_client=not is_shared, own_key=OWN_KEY)
        made = library.AsyncClient(transport=transport)
    return _Parts(client, made, client.base_url or NOWHERE, is_shared)


def _library() -> str:
    """The HTTP library that the SDK is built on: httpx2 from its version 3 on."""
    homes = {kind.__module__.partition(".")[0] for kind in openai.DefaultHttpxClient.__mro__}
    return "httpx2" if "httpx2" in homes else "httpx"


def _options(parts: _Parts, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the SDK's constructor."""
    http_client = options.pop("http_client", None)
    if http_client is not None and http_client is not parts.http_client:
        raise ConfigError(_HTTP_CLIENT)
    return {
        **options,
        "api_key": OWN_KEY,
        "base_url": parts.base_url,
        "max_retries": 0,
        "http_client": parts.http_client,
    }


def _changed(parts: _Parts, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the SDK's `copy`; what is the engine's makes a client with other parts."""
    if options.pop("http_client", None) is not None:
        raise ConfigError(_HTTP_CLIENT)
    ours = {name: options.pop(name) for name in _CHANGES if name in options}
    ours = {name: value for name, value in ours.items() if value is not None and not is_absent(value)}
    if "base_url" in ours:
        ours["base_url"] = str(ours["base_url"])
    if ours:
        is_shared = parts.is_shared and not ours.keys() - {"max_retries"}
        parts = _around(parts.client.with_options(**ours), is_shared)
    extra = {**options.pop("_extra_kwargs", {}), "_parts": parts}
    return {**options, "http_client": parts.http_client, "_extra_kwargs": extra}


class OpenAI(openai.OpenAI):
    """An `openai.OpenAI` whose calls the engine makes: routed, limited, retried and told of."""

    _parts: _Parts

    def __init__(
        self,
        config: Config | None = None,
        *,
        client: Client | AsyncClient | None = None,
        api_key: Key | None = None,
        base_url: Any = None,
        provider: str | None = None,
        max_retries: int | None = None,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        http2: bool | None = None,
        on_event: Hook | Iterable[Hook] | None = None,
        io_threads: int | None = None,
        watch: bool | float = False,
        **options: Any,
    ) -> None:
        """
        Args:
            config: as of `fairlead.Client`: a file, several, or a dict.
            client: a fairlead client to call through, instead of one of its own; it stays open when this one
                is closed.
            api_key: as of `fairlead.Client`; needed where neither configuration nor environment has it.
            base_url: as of `fairlead.Client`: where `provider` listens.
            provider: as of `fairlead.Client`: a preset's name.
            max_retries: the engine's attempts after the first; the SDK itself makes one. Default: 2.
            proxy: as of `fairlead.Client`, like `ca`, `http2`, `on_event`, `io_threads` and `watch`.
            options: the SDK's other arguments: `timeout`, `default_headers`, `default_query`, `organization`,
                `project` and so on, with the SDK's meaning. Its default timeout is left to the engine.

        Raises:
            ConfigError: naming every fault.
        """
        given = {
            "config": config,
            "api_key": api_key,
            "base_url": base_url,
            "provider": provider,
            "proxy": proxy,
            "ca": ca,
            "http2": http2,
            "on_event": on_event,
            "io_threads": io_threads,
            "watch": watch,
        }
        del config, api_key  # out of sight of tracebacks
        parts = options.pop("_parts", None) or _parts(Client, client, given, max_retries)
        super().__init__(**_options(parts, options))
        self._parts = parts
        self.websocket_base_url = NO_SOCKETS

    @property
    def fairlead(self) -> Client:
        """The fairlead client below: `stats()`, `route()`, `metrics_text()`, `warm_up()`."""
        client: Client = self._parts.client
        return client

    def copy(self, **options: Any) -> Self:
        """As the SDK's; `max_retries` is the engine's, and a key or an address makes new connections.

        Raises:
            ConfigError: as the constructor.
        """
        return super().copy(**_changed(self._parts, options))

    with_options = copy

    def __reduce__(self) -> Any:
        raise TypeError("a client holds keys and connections and cannot be pickled")


class AsyncOpenAI(openai.AsyncOpenAI):
    """An `openai.AsyncOpenAI` whose calls the engine makes, from any event loop and any thread."""

    _parts: _Parts

    def __init__(
        self,
        config: Config | None = None,
        *,
        client: Client | AsyncClient | None = None,
        api_key: Key | None = None,
        base_url: Any = None,
        provider: str | None = None,
        max_retries: int | None = None,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        http2: bool | None = None,
        on_event: Hook | Iterable[Hook] | None = None,
        io_threads: int | None = None,
        watch: bool | float = False,
        **options: Any,
    ) -> None:
        """The arguments are those of `OpenAI`."""
        given = {
            "config": config,
            "api_key": api_key,
            "base_url": base_url,
            "provider": provider,
            "proxy": proxy,
            "ca": ca,
            "http2": http2,
            "on_event": on_event,
            "io_threads": io_threads,
            "watch": watch,
        }
        del config, api_key  # out of sight of tracebacks
        parts = options.pop("_parts", None) or _parts(AsyncClient, client, given, max_retries)
        super().__init__(**_options(parts, options))
        self._parts = parts
        self.websocket_base_url = NO_SOCKETS

    @property
    def fairlead(self) -> AsyncClient:
        """The fairlead client below: `stats()`, `route()`, `metrics_text()`, `warm_up()`."""
        client: AsyncClient = self._parts.client
        return client

    def copy(self, **options: Any) -> Self:
        """As the SDK's; `max_retries` is the engine's, and a key or an address makes new connections.

        Raises:
            ConfigError: as the constructor.
        """
        return super().copy(**_changed(self._parts, options))

    with_options = copy

    def __reduce__(self) -> Any:
        raise TypeError("a client holds keys and connections and cannot be pickled")
