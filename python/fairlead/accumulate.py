"""Streams put together again: chunks in, a whole completion and events out."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from .stream import AsyncStream, Stream, StreamResponse, _Stream
from .types import ChatCompletion, ChatCompletionChunk

Chunks = TypeVar("Chunks", bound="_Stream[Any]")


@dataclass(frozen=True)
class ChunkEvent:
    """A chunk as it arrived."""

    chunk: ChatCompletionChunk
    state: ChatCompletionStreamState
    type: Literal["chunk"] = "chunk"

    @property
    def snapshot(self) -> ChatCompletion:
        """What has been put together when this is read."""
        return self.state.current_completion_snapshot


@dataclass(frozen=True)
class TextEvent:
    """More of the answer (`content.delta`) or of a refusal (`refusal.delta`), with all of it so far."""

    type: Literal["content.delta", "refusal.delta"]
    delta: str
    snapshot: str
    parsed: None = None


@dataclass(frozen=True)
class ContentDoneEvent:
    """The answer of a choice is complete."""

    content: str
    parsed: None = None
    type: Literal["content.done"] = "content.done"


@dataclass(frozen=True)
class RefusalDoneEvent:
    """The refusal of a choice is complete."""

    refusal: str
    type: Literal["refusal.done"] = "refusal.done"


@dataclass(frozen=True)
class ToolArgumentsEvent:
    """More of a tool call's arguments, or (`.done`) all of them."""

    type: Literal["tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"]
    name: str
    index: int
    arguments: str
    arguments_delta: str = ""
    parsed_arguments: None = None


@dataclass(frozen=True)
class LogprobsEvent:
    """How likely the new tokens are (`.delta`), or all of them (`.done`)."""

    type: Literal[
        "logprobs.content.delta", "logprobs.content.done", "logprobs.refusal.delta", "logprobs.refusal.done"
    ]
    tokens: list[Any]


Event = ChunkEvent | TextEvent | ContentDoneEvent | RefusalDoneEvent | ToolArgumentsEvent | LogprobsEvent
"""What `chat.completions.stream` yields; `type` tells which."""


class ChatCompletionStreamState:
    """Puts chunks together by hand.

    ```python
    state = ChatCompletionStreamState()
    for chunk in stream:
        state.handle_chunk(chunk)
    completion = state.get_final_completion()
    ```
    """

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._open_call: dict[int, int] = {}

    def handle_chunk(self, chunk: ChatCompletionChunk) -> list[Event]:
        """Add a chunk; returns what it means."""
        received = chunk.model_dump()
        choices = received.pop("choices", None) or ()
        for name, value in received.items():
            if value is not None or name not in self._whole:
                self._whole[name] = value
        events: list[Event] = [ChunkEvent(chunk, self)]
        for received_choice in choices:
            events.extend(self._add(received_choice))
        return events

    @property
    def current_completion_snapshot(self) -> ChatCompletion:
        """What has been put together so far."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        return ChatCompletion.model_validate(
            {**self._whole, "object": "chat.completion", "choices": [_without_call_index(c) for c in choices]}
        )

    def get_final_completion(self) -> ChatCompletion:
        """The whole completion, once every chunk has been added.

        Raises:
            RuntimeError: when no chunk has been.
        """
        if not self._whole:
            raise RuntimeError("no chunk has been received")
        return self.current_completion_snapshot

    def _add(self, received: dict[str, Any]) -> Iterator[Event]:
        index = received.get("index") or 0
        choice = self._choices.setdefault(
            index, {"index": index, "finish_reason": None, "message": {"role": "assistant", "content": None}}
        )
        delta = received.get("delta") or {}
        merge(choice["message"], delta)
        yield from _texts(choice["message"], delta)
        yield from self._calls(index, choice["message"], delta)
        yield from _logprobs(choice, received.get("logprobs") or {})
        # Some hosts send a `message` beside the delta; it would replace what was put together.
        known = {"index", "delta", "message", "logprobs", "finish_reason"}
        choice.update({name: value for name, value in received.items() if name not in known})
        if received.get("finish_reason") and choice["finish_reason"] is None:
            choice["finish_reason"] = received["finish_reason"]
            yield from self._done(index, choice)

    def _calls(self, index: int, message: dict[str, Any], delta: dict[str, Any]) -> Iterator[Event]:
        for piece in delta.get("tool_calls") or ():
            number = piece.get("index") or 0
            if self._open_call.get(index, number) != number:
                yield _arguments(message, self._open_call[index], "tool_calls.function.arguments.done")
            self._open_call[index] = number
            added = (piece.get("function") or {}).get("arguments")
            if added:
                yield _arguments(message, number, "tool_calls.function.arguments.delta", added)

    def _done(self, index: int, choice: dict[str, Any]) -> Iterator[Event]:
        message = choice["message"]
        if message.get("content"):
            yield ContentDoneEvent(message["content"])
        if message.get("refusal"):
            yield RefusalDoneEvent(message["refusal"])
        if index in self._open_call:
            yield _arguments(message, self._open_call.pop(index), "tool_calls.function.arguments.done")
        logprobs = choice.get("logprobs") or {}
        if logprobs.get("content"):
            yield LogprobsEvent("logprobs.content.done", logprobs["content"])
        if logprobs.get("refusal"):
            yield LogprobsEvent("logprobs.refusal.done", logprobs["refusal"])


def merge(whole: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add `delta` to `whole` as the OpenAI SDK does: text and numbers grow, objects and lists merge."""
    for name, value in delta.items():
        known = whole.get(name)
        if known is None or name in ("index", "type", "role", "id"):
            whole[name] = _own(value) if value is not None or name not in whole else known
        elif isinstance(known, str) and isinstance(value, str):
            whole[name] = known + value
        elif isinstance(known, dict) and isinstance(value, dict):
            merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            _merge_list(known, value)
        elif isinstance(known, int | float) and isinstance(value, int | float):
            whole[name] = known + value


def _merge_list(known: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        index = piece.get("index") if isinstance(piece, dict) else None
        same = [item for item in known if isinstance(item, dict) and item.get("index") == index]
        if index is not None and same:
            merge(same[0], piece)
        else:
            known.append(_own(piece))


def _own(value: Any) -> Any:
    """A copy that may grow; pieces of one chunk with the same index become one."""
    if isinstance(value, dict):
        return {name: _own(member) for name, member in value.items()}
    if isinstance(value, list):
        grown: list[Any] = []
        _merge_list(grown, value)
        return grown
    return value


def _without_call_index(choice: dict[str, Any]) -> dict[str, Any]:
    """Tool calls as whole replies have them: in order, without the numbers that put them there."""
    calls = choice["message"].get("tool_calls")
    if not calls:
        return choice
    calls = sorted(calls, key=lambda call: call.get("index") or 0)
    whole = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    return {**choice, "message": {**choice["message"], "tool_calls": whole}}


def _texts(message: dict[str, Any], delta: dict[str, Any]) -> Iterator[Event]:
    if delta.get("content"):
        yield TextEvent("content.delta", delta["content"], message["content"])
    if delta.get("refusal"):
        yield TextEvent("refusal.delta", delta["refusal"], message["refusal"])


def _arguments(message: dict[str, Any], index: int, kind: Any, added: str = "") -> ToolArgumentsEvent:
    found = [call for call in message.get("tool_calls") or () if (call.get("index") or 0) == index]
    function = (found[0].get("function") or {}) if found else {}
    return ToolArgumentsEvent(kind, function.get("name") or "", index, function.get("arguments") or "", added)


def _logprobs(choice: dict[str, Any], received: dict[str, Any]) -> Iterator[Event]:
    if not received:
        return
    known = choice.get("logprobs")
    choice["logprobs"] = known = known or {"content": None, "refusal": None}
    for name in ("content", "refusal"):
        tokens = received.get(name)
        if tokens:
            known[name] = (known[name] or []) + tokens
            kind: Any = f"logprobs.{name}.delta"
            yield LogprobsEvent(kind, tokens)


class _Events(Generic[Chunks]):
    """What both stream helpers share."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._state = ChatCompletionStreamState()
        self._ready: deque[Event] = deque()

    @property
    def response(self) -> StreamResponse:
        """Status and headers."""
        return self._chunks.response

    @property
    def current_completion_snapshot(self) -> ChatCompletion:
        """What has been put together so far."""
        return self._state.current_completion_snapshot


class AsyncChatCompletionStream(_Events[AsyncStream[ChatCompletionChunk]]):
    """The events of a streamed completion."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if not self._ready:
            self._ready.extend(self._state.handle_chunk(await anext(self._chunks)))
        return self._ready.popleft()

    async def until_done(self) -> Self:
        """Read to the end."""
        async for _ in self:
            pass
        return self

    async def get_final_completion(self) -> ChatCompletion:
        """Read to the end; the whole completion."""
        await self.until_done()
        return self._state.get_final_completion()

    async def close(self) -> None:
        """Stop reading."""
        await self._chunks.close()


class AsyncChatCompletionStreamManager:
    """A stream to be opened by `async with`."""

    def __init__(self, start: Callable[[], Awaitable[AsyncStream[ChatCompletionChunk]]]) -> None:
        self._start = start

    async def __aenter__(self) -> AsyncChatCompletionStream:
        self._stream = AsyncChatCompletionStream(await self._start())
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.close()


class ChatCompletionStream(_Events[Stream[ChatCompletionChunk]]):
    """As `AsyncChatCompletionStream`, for threads that block."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        if not self._ready:
            self._ready.extend(self._state.handle_chunk(next(self._chunks)))
        return self._ready.popleft()

    def until_done(self) -> Self:
        """Read to the end."""
        for _ in self:
            pass
        return self

    def get_final_completion(self) -> ChatCompletion:
        """Read to the end; the whole completion."""
        self.until_done()
        return self._state.get_final_completion()

    def close(self) -> None:
        """Stop reading."""
        self._chunks.close()


class ChatCompletionStreamManager:
    """A stream to be opened by `with`."""

    def __init__(self, start: Callable[[], Stream[ChatCompletionChunk]]) -> None:
        self._start = start

    def __enter__(self) -> ChatCompletionStream:
        self._stream = ChatCompletionStream(self._start())
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
