"""Plain text in and out: `generate` and `stream`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from .stream import AsyncStream, Stream
from .types import ChatCompletion, ChatCompletionChunk


def arguments(model: str | None, messages: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `chat.completions.create` for a prompt that may be a plain string.

    Raises:
        TypeError: when there is neither a prompt nor messages.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Iterable):
        raise TypeError(
            "`messages` is missing: pass the model and then the prompt as a str, or a list of messages"
        )
    chosen = {} if model is None else {"model": model}
    return {**chosen, "messages": messages, **params}


def said(message: Any) -> dict[str, Any]:
    """A reply's message as it goes into the next request: whatever was received, but no empty members."""
    return {
        name: value for name, value in message.model_dump().items() if value is not None or name == "content"
    }


def text_of(reply: ChatCompletion) -> str:
    """The text of the first choice; empty where the model answered otherwise."""
    return reply.choices[0].message.content or ""


def piece_of(chunk: ChatCompletionChunk) -> str | None:
    """The text a chunk adds to the first choice."""
    for choice in chunk.choices or ():
        if choice.index in (0, None) and choice.delta is not None:
            return choice.delta.content
    return None


class AsyncTextStream(AsyncIterator[str]):
    """The pieces of an answer's text. The call starts with the first `async for` step."""

    def __init__(self, start: Callable[[], Awaitable[AsyncStream[ChatCompletionChunk]]]) -> None:
        self._start = start
        self._chunks: AsyncStream[ChatCompletionChunk] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._chunks is None:
            self._chunks = await self._start()
        async for chunk in self._chunks:
            piece = piece_of(chunk)
            if piece:
                return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading."""
        if self._chunks is not None:
            await self._chunks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class TextStream(Iterator[str]):
    """As `AsyncTextStream`, for threads that block."""

    def __init__(self, start: Callable[[], Stream[ChatCompletionChunk]]) -> None:
        self._start = start
        self._chunks: Stream[ChatCompletionChunk] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._chunks is None:
            self._chunks = self._start()
        for chunk in self._chunks:
            piece = piece_of(chunk)
            if piece:
                return piece
        raise StopIteration

    def close(self) -> None:
        """Stop reading."""
        if self._chunks is not None:
            self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
