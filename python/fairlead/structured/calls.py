"""`generate_structured`, `structured` and `stream_structured`: what clients offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

if TYPE_CHECKING:
    from .._core import Engine
    from ..resources.chat import AsyncChat, Chat
    from ..types.params import Message, StructuredParams
    from .course import Order, Structured
    from .memory import Memory
    from .stream import AsyncStructuredStream, StructuredStream

Answer = TypeVar("Answer")

# The rest of this package is imported with the first call: most clients never need it.


def _order(client: Any, model: Any, messages: Any, schema: Any, params: Mapping[str, Any]) -> Order:
    from .course import Order

    own = ("mode", "repairs", "strict", "name")
    how = {name: params[name] for name in own if name in params}
    given = {name: value for name, value in params.items() if name not in own}
    configuration = str((client._engine.configuration() or {}).get("hash"))
    return Order(model, messages, schema, given, configuration=configuration, **how)


def _wanted(schema: Any, response_format: Any) -> Any:
    """What is asked for, under either of its names."""
    from .parsing import is_given

    given = [one for one in (schema, response_format) if is_given(one)]
    if len(given) == 1:
        return given[0]
    if given:
        raise TypeError("`schema` and `response_format` are the same: pass one of them")
    raise TypeError("`response_format` is missing: pass a class or a JSON schema")


class AsyncStructuredCalls:
    """Objects instead of text."""

    if TYPE_CHECKING:
        _engine: Engine
        _memory: Memory

        @property
        def chat(self) -> AsyncChat: ...

    @overload
    async def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Answer: ...
    @overload
    async def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        *,
        response_format: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Answer: ...
    @overload
    async def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Any: ...
    async def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Any:
        """An answer that is an object of a class or of a JSON schema, validated.

        The model is asked by the service's own `json_schema` where it has that, else by a tool that it is
        made to call, else in words. An answer that does not fit is shown to it with what is wrong.

        Args:
            model: None where a default is known.
            messages: the prompt as a plain string, or messages.
            schema: a pydantic class, a dataclass, a TypedDict or any other annotation that pydantic knows;
                or a JSON schema, for which pydantic is not needed.
            response_format: another name of `schema`.
            params: `mode`, `repairs`, `strict` and `name`, which `types.params.StructuredParams` tells of,
                and those of `chat.completions.create`.

        Raises:
            StructuredOutputError: when the last answer does not fit either, or the model refused.
            LengthFinishReasonError: when the answer was cut off by its length limit.
            ContentFilterFinishReasonError: when a filter cut it off.
            TypeError: for a schema that is none, or for none or two of them.
            ValueError: for a JSON schema with a reference that leads nowhere.
            FairleadError: as `chat.completions.create`.
        """
        return (
            await self.structured(model, messages, schema, response_format=response_format, **params)
        ).value

    @overload
    async def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Structured[Answer]: ...
    @overload
    async def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        *,
        response_format: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Structured[Answer]: ...
    @overload
    async def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Structured[Any]: ...
    async def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Structured[Any]:
        """As `generate_structured`, with how the object came about: way, repairs, reply, receipts, cost."""
        course = _order(self, model, messages, _wanted(schema, response_format), params).course(self._memory)
        request = next(course)
        while True:
            try:
                reply = await self.chat.completions.create(**request)
            except Exception as error:
                request = course.throw(error)
                continue
            try:
                request = course.send((reply, reply.fairlead))
            except StopIteration as done:
                found: Structured[Any] = done.value
                return found

    @overload
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> AsyncStructuredStream[Answer]: ...
    @overload
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        *,
        response_format: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> AsyncStructuredStream[Answer]: ...
    @overload
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> AsyncStructuredStream[Any]: ...
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> AsyncStructuredStream[Any]:
        """The object as it grows, then the validated one: `async for x in client.stream_structured(...)`.

        Partial objects are not validated, and what has not arrived in them is None. Arguments and errors are
        those of `generate_structured`.
        """
        from .stream import AsyncStructuredStream

        create: Any = self.chat.completions.create
        order = _order(self, model, messages, _wanted(schema, response_format), params)
        return AsyncStructuredStream(lambda request: create(**request, stream=True), order, self._memory)


class StructuredCalls:
    """As `AsyncStructuredCalls`, for threads that block."""

    if TYPE_CHECKING:
        _engine: Engine
        _memory: Memory

        @property
        def chat(self) -> Chat: ...

    @overload
    def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Answer: ...
    @overload
    def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        *,
        response_format: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Answer: ...
    @overload
    def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Any: ...
    def generate_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Any:
        """As `AsyncClient.generate_structured`."""
        return self.structured(model, messages, schema, response_format=response_format, **params).value

    @overload
    def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Structured[Answer]: ...
    @overload
    def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        *,
        response_format: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> Structured[Answer]: ...
    @overload
    def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Structured[Any]: ...
    def structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> Structured[Any]:
        """As `AsyncClient.structured`."""
        course = _order(self, model, messages, _wanted(schema, response_format), params).course(self._memory)
        request = next(course)
        while True:
            try:
                reply = self.chat.completions.create(**request)
            except Exception as error:
                request = course.throw(error)
                continue
            try:
                request = course.send((reply, reply.fairlead))
            except StopIteration as done:
                found: Structured[Any] = done.value
                return found

    @overload
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> StructuredStream[Answer]: ...
    @overload
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        *,
        response_format: type[Answer],
        **params: Unpack[StructuredParams],
    ) -> StructuredStream[Answer]: ...
    @overload
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> StructuredStream[Any]: ...
    def stream_structured(
        self,
        model: str | None,
        messages: str | Iterable[Message],
        schema: Any = None,
        *,
        response_format: Any = None,
        **params: Unpack[StructuredParams],
    ) -> StructuredStream[Any]:
        """As `AsyncClient.stream_structured`: `for answer in client.stream_structured(...)`."""
        from .stream import StructuredStream

        create: Any = self.chat.completions.create
        order = _order(self, model, messages, _wanted(schema, response_format), params)
        return StructuredStream(lambda request: create(**request, stream=True), order, self._memory)
