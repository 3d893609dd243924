"""`client.chat.completions`."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any, Literal, TypeVar, Unpack, overload

from .._call import call
from .._core import Endpoint, Engine
from ..accumulate import AsyncChatCompletionStreamManager, ChatCompletionStreamManager
from ..options import current_scope
from ..response import APIResponse, StreamAPIResponse
from ..stream import AsyncStream, Stream
from ..structured.parsing import reading_of
from ..types import ChatCompletion, ChatCompletionChunk, ParsedChatCompletion
from ..types.params import ChatParams, ParseParams
from .needed import need
from .resource import Resource
from .shown import shows

_ASYNC = Endpoint("chat", ChatCompletion, chunk=ChatCompletionChunk, stream=AsyncStream)
_SYNC = Endpoint("chat", ChatCompletion, chunk=ChatCompletionChunk, stream=Stream)
_ASYNC_RAW = Endpoint(
    "chat",
    ChatCompletion,
    chunk=ChatCompletionChunk,
    stream=partial(StreamAPIResponse, stream=AsyncStream),
    raw=APIResponse,
)
_SYNC_RAW = Endpoint(
    "chat",
    ChatCompletion,
    chunk=ChatCompletionChunk,
    stream=partial(StreamAPIResponse, stream=Stream),
    raw=APIResponse,
)


_PARSED = Endpoint("chat", ParsedChatCompletion)

Content = TypeVar("Content")


def _parsed_raw(params: dict[str, Any]) -> tuple[Endpoint, dict[str, Any]]:
    """The endpoint whose replies are read as `parse` reads them, and the arguments as they are sent."""
    need("messages", params)
    reading, given = reading_of(params)
    raw = partial(APIResponse, into=reading.into)
    return Endpoint("chat", ParsedChatCompletion, raw=raw), given


class AsyncCompletions(Resource):
    """Chat completions."""

    _name = "`client.chat.completions`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    @overload
    async def create(
        self, *, stream: Literal[False] | None = ..., **params: Unpack[ChatParams]
    ) -> ChatCompletion: ...
    @overload
    async def create(
        self, *, stream: Literal[True], **params: Unpack[ChatParams]
    ) -> AsyncStream[ChatCompletionChunk]: ...
    @overload
    async def create(
        self, *, stream: bool, **params: Unpack[ChatParams]
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
    @shows(ChatParams, stream=bool | None)
    async def create(self, **params: Any) -> Any:
        """Ask for a completion.

        Args:
            stream: chunk by chunk; returns once the first content is there, raises what goes wrong before.
            params: the arguments of the OpenAI SDK, and any other: what is not known is sent as it is.
                `model` may be left out where a default is known.

        Raises:
            TypeError: without `messages`.
            FairleadError: one of `fairlead.errors`; `attempts` tells the whole story.
        """
        need("messages", params)
        return await call(self._engine, _ASYNC, params)

    @shows(ParseParams)
    async def parse(
        self, *, response_format: type[Content] | None = None, **params: Unpack[ParseParams]
    ) -> ParsedChatCompletion[Content]:
        """Ask for a completion that is an object of a pydantic class: `reply.choices[0].message.parsed`.

        The arguments of tool calls become objects too (`call.function.parsed_arguments`), where the tool is a
        pydantic class, strict, or made by `fairlead.tool` or `openai.pydantic_function_tool`.

        Raises:
            LengthFinishReasonError: when the answer was cut off.
            ContentFilterFinishReasonError: when a filter cut it off.
            pydantic.ValidationError: when the answer is not what was asked for.
            FairleadError: as `create`.
        """
        need("messages", params)
        reading, given = reading_of({"response_format": response_format, **params})
        reply: ParsedChatCompletion[Content] = reading.into(await call(self._engine, _PARSED, given))
        return reply

    @shows(ParseParams)
    def stream(
        self, *, response_format: Any = None, **params: Unpack[ParseParams]
    ) -> AsyncChatCompletionStreamManager:
        """A streamed completion as events, put together on the way.

        With a pydantic class as `response_format`, and with tools as `parse` takes them, the events and the
        final completion hold the objects too: `parsed` and `parsed_arguments`.

        ```python
        async with client.chat.completions.stream(model="m", messages=[...]) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    print(event.delta, end="")
            completion = await stream.get_final_completion()
        ```
        """
        need("messages", params)
        reading, given = reading_of({"response_format": response_format, **params})
        return AsyncChatCompletionStreamManager(lambda: self.create(**given, stream=True), reading)

    @cached_property
    def with_raw_response(self) -> AsyncCompletionsWithRawResponse:
        """The same methods, returning replies with their HTTP side."""
        return AsyncCompletionsWithRawResponse(self._engine)


class AsyncCompletionsWithRawResponse(Resource):
    """Chat completions with their HTTP side."""

    _name = "`client.chat.completions.with_raw_response`"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @overload
    async def create(
        self, *, stream: Literal[False] | None = ..., **params: Unpack[ChatParams]
    ) -> APIResponse[ChatCompletion]: ...
    @overload
    async def create(
        self, *, stream: Literal[True], **params: Unpack[ChatParams]
    ) -> StreamAPIResponse[AsyncStream[ChatCompletionChunk]]: ...
    @overload
    async def create(
        self, *, stream: bool, **params: Unpack[ChatParams]
    ) -> APIResponse[ChatCompletion] | StreamAPIResponse[AsyncStream[ChatCompletionChunk]]: ...
    @shows(ChatParams, stream=bool | None)
    async def create(self, **params: Any) -> Any:
        """As `AsyncCompletions.create`."""
        need("messages", params)
        return await call(self._engine, _ASYNC_RAW, params)

    @shows(ParseParams)
    async def parse(
        self, *, response_format: type[Content] | None = None, **params: Unpack[ParseParams]
    ) -> APIResponse[ParsedChatCompletion[Content]]:
        """As `AsyncCompletions.parse`; what is wrong with the answer is raised by the reply's `parse()`."""
        endpoint, given = _parsed_raw({"response_format": response_format, **params})
        reply: APIResponse[ParsedChatCompletion[Content]] = await call(self._engine, endpoint, given)
        return reply


class Completions(Resource):
    """Chat completions."""

    _name = "`client.chat.completions`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    @overload
    def create(
        self, *, stream: Literal[False] | None = ..., **params: Unpack[ChatParams]
    ) -> ChatCompletion: ...
    @overload
    def create(
        self, *, stream: Literal[True], **params: Unpack[ChatParams]
    ) -> Stream[ChatCompletionChunk]: ...
    @overload
    def create(
        self, *, stream: bool, **params: Unpack[ChatParams]
    ) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
    @shows(ChatParams, stream=bool | None)
    def create(self, **params: Any) -> Any:
        """As `AsyncCompletions.create`; blocks, and can be interrupted by Ctrl-C."""
        need("messages", params)
        return self._engine.block(_SYNC, params, current_scope())

    @shows(ParseParams)
    def parse(
        self, *, response_format: type[Content] | None = None, **params: Unpack[ParseParams]
    ) -> ParsedChatCompletion[Content]:
        """As `AsyncCompletions.parse`."""
        need("messages", params)
        reading, given = reading_of({"response_format": response_format, **params})
        answer = self._engine.block(_PARSED, given, current_scope())
        reply: ParsedChatCompletion[Content] = reading.into(answer)
        return reply

    @shows(ParseParams)
    def stream(
        self, *, response_format: Any = None, **params: Unpack[ParseParams]
    ) -> ChatCompletionStreamManager:
        """As `AsyncCompletions.stream`: `with client.chat.completions.stream(...) as stream`."""
        need("messages", params)
        reading, given = reading_of({"response_format": response_format, **params})
        return ChatCompletionStreamManager(lambda: self.create(**given, stream=True), reading)

    @cached_property
    def with_raw_response(self) -> CompletionsWithRawResponse:
        """The same methods, returning replies with their HTTP side."""
        return CompletionsWithRawResponse(self._engine)


class CompletionsWithRawResponse(Resource):
    """Chat completions with their HTTP side."""

    _name = "`client.chat.completions.with_raw_response`"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @overload
    def create(
        self, *, stream: Literal[False] | None = ..., **params: Unpack[ChatParams]
    ) -> APIResponse[ChatCompletion]: ...
    @overload
    def create(
        self, *, stream: Literal[True], **params: Unpack[ChatParams]
    ) -> StreamAPIResponse[Stream[ChatCompletionChunk]]: ...
    @overload
    def create(
        self, *, stream: bool, **params: Unpack[ChatParams]
    ) -> APIResponse[ChatCompletion] | StreamAPIResponse[Stream[ChatCompletionChunk]]: ...
    @shows(ChatParams, stream=bool | None)
    def create(self, **params: Any) -> Any:
        """As `Completions.create`."""
        need("messages", params)
        return self._engine.block(_SYNC_RAW, params, current_scope())

    @shows(ParseParams)
    def parse(
        self, *, response_format: type[Content] | None = None, **params: Unpack[ParseParams]
    ) -> APIResponse[ParsedChatCompletion[Content]]:
        """As `Completions.parse`; what is wrong with the answer is raised by the reply's `parse()`."""
        endpoint, given = _parsed_raw({"response_format": response_format, **params})
        reply: APIResponse[ParsedChatCompletion[Content]] = self._engine.block(
            endpoint, given, current_scope()
        )
        return reply


class AsyncChat(Resource):
    """Chat."""

    _name = "`client.chat`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self.completions = AsyncCompletions(client, engine)
        """Chat completions."""

    @cached_property
    def with_raw_response(self) -> AsyncChatWithRawResponse:
        """The same, returning replies with their HTTP side."""
        return AsyncChatWithRawResponse(self.completions.with_raw_response)


class AsyncChatWithRawResponse(Resource):
    """Chat with the HTTP side of its replies."""

    _name = "`client.chat.with_raw_response`"

    def __init__(self, completions: AsyncCompletionsWithRawResponse) -> None:
        self.completions = completions
        """Chat completions."""


class Chat(Resource):
    """Chat."""

    _name = "`client.chat`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self.completions = Completions(client, engine)
        """Chat completions."""

    @cached_property
    def with_raw_response(self) -> ChatWithRawResponse:
        """The same, returning replies with their HTTP side."""
        return ChatWithRawResponse(self.completions.with_raw_response)


class ChatWithRawResponse(Resource):
    """Chat with the HTTP side of its replies."""

    _name = "`client.chat.with_raw_response`"

    def __init__(self, completions: CompletionsWithRawResponse) -> None:
        self.completions = completions
        """Chat completions."""
