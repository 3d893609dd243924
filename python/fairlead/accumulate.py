"""Streams put together again: chunks in, a whole completion and events out."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from .stream import AsyncStream, Stream, StreamResponse, _Stream
from .structured.parsing import Reading, StreamReading
from .types import ChatCompletion, ChatCompletionChunk, ParsedChatCompletion

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
    parsed: Any = None
    """The JSON that has arrived, where a class was asked for: plain values, not validated."""


@dataclass(frozen=True)
class ContentDoneEvent:
    """The answer of a choice is complete."""

    content: str
    parsed: Any = None
    """The validated object, where a class was asked for."""
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
    parsed_arguments: Any = None
    """Where the tool is one that is read: the JSON that has arrived, and at the end the validated object."""


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

    def __init__(
        self, *, input_tools: Any = None, response_format: Any = None, reading: Reading | None = None
    ) -> None:
        """
        Args:
            input_tools: the request's tools, for `parsed_arguments`.
            response_format: the class that answers are objects of, for `parsed`.
            reading: both, where they have been read already.
        """
        self._reading = StreamReading(reading or Reading(response_format, input_tools))
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
        kind = ChatCompletion if self._reading.whole.is_idle else ParsedChatCompletion
        return kind.model_validate(
            {**self._whole, "object": "chat.completion", "choices": [_without_call_index(c) for c in choices]}
        )

    def get_final_completion(self) -> ChatCompletion:
        """The whole completion, once every chunk has been added; with its objects where some were asked for.

        Raises:
            RuntimeError: when no chunk has been.
            LengthFinishReasonError, ContentFilterFinishReasonError, pydantic.ValidationError: as `parse`.
        """
        if not self._whole:
            raise RuntimeError("no chunk has been received")
        whole = self.current_completion_snapshot
        found: ChatCompletion = self._reading.whole.into(whole) if not self._reading.whole.is_idle else whole
        return found

    def _add(self, received: dict[str, Any]) -> Iterator[Event]:
        index = received.get("index") or 0
        choice = self._choices.setdefault(
            index, {"index": index, "finish_reason": None, "message": {"role": "assistant", "content": None}}
        )
        delta = received.get("delta") or {}
        merge(choice["message"], delta)
        yield from self._texts(index, choice["message"], delta)
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
                yield self._arguments(index, message, self._open_call[index])
            self._open_call[index] = number
            added = (piece.get("function") or {}).get("arguments")
            if added:
                yield self._arguments(index, message, number, added)

    def _texts(self, index: int, message: dict[str, Any], delta: dict[str, Any]) -> Iterator[Event]:
        if delta.get("content"):
            parsed = self._reading.answer_so_far(index, delta["content"])
            yield TextEvent("content.delta", delta["content"], message["content"], parsed)
        if delta.get("refusal"):
            yield TextEvent("refusal.delta", delta["refusal"], message["refusal"])

    def _arguments(
        self, index: int, message: dict[str, Any], number: int, added: str | None = None
    ) -> ToolArgumentsEvent:
        """What a tool call has got (`added`), or all of its arguments (None)."""
        found = [call for call in message.get("tool_calls") or () if (call.get("index") or 0) == number]
        function = (found[0].get("function") or {}) if found else {}
        name, text = function.get("name") or "", function.get("arguments") or ""
        if added is None:
            parsed = self._reading.whole.arguments(name, text)
            return ToolArgumentsEvent("tool_calls.function.arguments.done", name, number, text, "", parsed)
        parsed = self._reading.arguments_so_far((index, number), name, added)
        return ToolArgumentsEvent("tool_calls.function.arguments.delta", name, number, text, added, parsed)

    def _done(self, index: int, choice: dict[str, Any]) -> Iterator[Event]:
        message, reading = choice["message"], self._reading.whole
        if not reading.is_idle:
            reading.check(choice["finish_reason"], lambda: self.current_completion_snapshot)
        if message.get("content"):
            yield ContentDoneEvent(
                message["content"], reading.answer(message["content"], message.get("refusal"))
            )
        if message.get("refusal"):
            yield RefusalDoneEvent(message["refusal"])
        if index in self._open_call:
            yield self._arguments(index, message, self._open_call.pop(index))
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

    def __init__(self, chunks: Chunks, reading: Reading | None) -> None:
        self._chunks = chunks
        self._state = ChatCompletionStreamState(reading=reading)
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

    def __init__(
        self,
        start: Callable[[], Awaitable[AsyncStream[ChatCompletionChunk]]],
        reading: Reading | None = None,
    ) -> None:
        self._start = start
        self._reading = reading

    async def __aenter__(self) -> AsyncChatCompletionStream:
        self._stream = AsyncChatCompletionStream(await self._start(), self._reading)
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

    def __init__(
        self, start: Callable[[], Stream[ChatCompletionChunk]], reading: Reading | None = None
    ) -> None:
        self._start = start
        self._reading = reading

    def __enter__(self) -> ChatCompletionStream:
        self._stream = ChatCompletionStream(self._start(), self._reading)
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
