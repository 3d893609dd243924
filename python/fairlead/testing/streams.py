"""Event streams: chat completions piece by piece, events as given, and long ones that cost little to send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import replies
from .connection import Exchange
from .replies import Json
from .request import Request
from .steps import Modifiable, head

Ending = Literal["chunked", "length", "close", "cut", "half_close", "reset", "stall"]
"""How a body ends.

- `chunked`: in good order, by the last chunk;
- `length`: in good order, by content-length;
- `close`: without framing, by the end of the connection;
- `half_close`: by the last chunk, then a FIN while the client may still write;
- `cut`: chunked, closed without the last chunk;
- `reset`: chunked, broken off by a RST;
- `stall`: chunked, nothing more comes and the connection stays open.
"""

Part = bytes | str | Mapping[str, Any] | float
"""Bytes to send as they are, text, a JSON object, or seconds to wait."""


@dataclass(frozen=True)
class Shape:
    """How the events of a stream travel."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    interval: float = 0.0
    """Seconds between two events."""
    ttfb: float = 0.0
    """Seconds before the response head."""
    first: float = 0.0
    """Seconds between the head and the first event."""
    end: Ending = "chunked"


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
_FRAMES: Mapping[str, Mapping[str, str]] = {"close": {"connection": "close"}, "length": {}}
_CHUNKED = {"transfer-encoding": "chunked"}


def event(data: Part) -> bytes:
    """One server-sent event: a mapping as JSON and text as data; bytes are taken as they are."""
    if isinstance(data, bytes):
        return data
    text = data.encode() if isinstance(data, str) else replies.encode(data)
    return b"data: " + text + b"\n\n"


async def send_events(exchange: Exchange, events: Sequence[Part], shape: Shape) -> None:
    """Send a whole event stream: head, events, end."""
    await exchange.pause(shape.ttfb)
    frame = dict(_FRAMES.get(shape.end, _CHUNKED))
    if shape.end == "length":
        frame["content-length"] = str(
            sum(len(event(part)) for part in events if not isinstance(part, float | int))
        )
    await exchange.send(head(shape.status, {"content-type": "text/event-stream", **frame, **shape.headers}))
    await exchange.pause(shape.first)
    waiting = 0.0
    for part in events:
        if isinstance(part, float | int):
            await exchange.pause(part)
            continue
        await exchange.pause(waiting)
        data = event(part)
        await exchange.send(data if "transfer-encoding" not in frame else chunk(data))
        waiting = shape.interval
    await finish(exchange, shape.end)


async def finish(exchange: Exchange, end: Ending) -> None:
    """Bring a body to its end."""
    if end in ("chunked", "half_close"):
        await exchange.send(LAST_CHUNK)
    if end in ("close", "cut"):
        exchange.connection.close()
    elif end == "half_close":
        exchange.connection.half_close()
    elif end == "reset":
        exchange.connection.reset()
    elif end == "stall":
        await exchange.stall()


@dataclass(frozen=True)
class EventStream(Modifiable):
    """An event stream whose events are given as they are."""

    events: Sequence[Part]
    shape: Shape = Shape()

    async def perform(self, exchange: Exchange) -> None:
        await send_events(exchange, self.events, self.shape)


@dataclass(frozen=True)
class ChatStream(Modifiable):
    """A streamed chat completion, computed from the request."""

    pieces: Sequence[Part] | None = None
    tool_calls: Sequence[Json] = ()
    finish: str | None = "stop"
    usage: Mapping[str, Any] | bool | None = None
    done: bool = True
    model: str | None = None
    shape: Shape = Shape()

    async def perform(self, exchange: Exchange) -> None:
        await send_events(exchange, self.events(exchange.request), self.shape)

    def events(self, request: Request) -> list[Part]:
        """Every event for this request."""
        body = request.fields
        pieces = replies.words_of(replies.last_user_text(body)) if self.pieces is None else self.pieces
        start = replies.head_of(body, "chat.completion.chunk", self.model)
        parts = [part for piece in pieces for part in self._piece(start, piece)]
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        opening = [self._chunk(start, delta) for delta in deltas]
        calls = [self._chunk(start, delta) for delta in replies.tool_call_deltas(self.tool_calls)]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        return [*opening, *parts, *calls, *self._end(start, body, text)]

    def _piece(self, start: Json, piece: Part) -> list[Part]:
        if isinstance(piece, str):
            return [self._chunk(start, {"content": piece})]
        if isinstance(piece, Mapping) and not {"choices", "error", "object"} & piece.keys():
            return [self._chunk(start, dict(piece))]
        return [piece]

    def _chunk(self, start: Json, delta: Json, finish: str | None = None) -> Json:
        return {**start, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    def _end(self, start: Json, body: Json, text: str) -> list[Part]:
        parts: list[Part] = []
        if self.finish is not None:
            parts.append(self._chunk(start, {}, self.finish))
        wanted = replies.wants_usage(body) if self.usage is None else self.usage is not False
        if wanted:
            usage = self.usage if isinstance(self.usage, Mapping) else replies.usage_of(body, text)
            parts.append({**start, "choices": [], "usage": dict(usage)})
        if self.done:
            parts.append("[DONE]")
        return parts


def stream(
    pieces: str | Iterable[Part] | None = None,
    *,
    interval: float = 0.0,
    ttfb: float = 0.0,
    first: float = 0.0,
    finish: str | None = "stop",
    usage: Mapping[str, Any] | bool | None = None,
    done: bool = True,
    end: Ending = "chunked",
    tool_calls: Sequence[Json] = (),
    model: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ChatStream:
    """A streamed chat completion, whether or not the request asked for a stream.

    Args:
        pieces: what to stream; a string goes word by word, `None` echoes the last user message. Of a list,
            text is a content delta, a mapping is a delta, or a whole chunk if it has `choices`, `object` or
            `error`; bytes are sent as they are, a number is seconds to wait.
        interval: seconds between two events.
        ttfb: seconds before the response head.
        first: seconds between the head and the first event.
        finish: the finish reason; `None` sends none.
        usage: usage of the last chunk; `None` computes it if the request asked for it, `False` sends none.
        done: whether `[DONE]` ends the stream.
        end: how the body ends.
        tool_calls: calls to stream after the pieces; see `tool_call`.
        model: the model that chunks name; by default the requested one.
        headers: response headers besides the usual ones.
    """
    listed = (
        replies.words_of(pieces) if isinstance(pieces, str) else pieces if pieces is None else list(pieces)
    )
    shape = Shape(headers=headers or {}, interval=interval, ttfb=ttfb, first=first, end=end)
    return ChatStream(listed, tool_calls, finish, usage, done, model, shape)


def sse(
    events: Iterable[Part],
    *,
    interval: float = 0.0,
    ttfb: float = 0.0,
    first: float = 0.0,
    end: Ending = "chunked",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> EventStream:
    """An event stream as given: bytes as they are, a mapping or text as data, a number as a pause."""
    return EventStream(list(events), Shape(status, headers or {}, interval, ttfb, first, end))


@dataclass(frozen=True)
class ByteStream(Modifiable):
    """A long valid chat stream made of one repeated event."""

    total: int
    event_size: int
    block: int = 256 * 1024

    async def perform(self, exchange: Exchange) -> None:
        start = replies.head_of(exchange.request.fields, "chat.completion.chunk", None)
        one = self._event(start)
        count = max(1, self.total // len(one))
        per_block = max(1, self.block // len(one))
        block = chunk(one * per_block)
        await exchange.send(head(200, {"content-type": "text/event-stream", **_CHUNKED}))
        for _ in range(count // per_block):
            await exchange.send(block)
        if rest := count % per_block:
            await exchange.send(chunk(one * rest))
        last = {**start, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        await exchange.send(chunk(event(last) + event("[DONE]")) + LAST_CHUNK)

    def _event(self, start: Json) -> bytes:
        empty = event({**start, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}]})
        text = "x" * max(1, self.event_size - len(empty))
        return event({**start, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def stream_bytes(total: int, event_size: int = 1024) -> ByteStream:
    """A valid chat stream of about `total` bytes in events of about `event_size` bytes, cheap to send."""
    return ByteStream(total, event_size)
