"""Faults of event streams: ends without evidence, errors inside, odd framing and odd numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..connection import Exchange
from ..replies import Json, encode
from ..steps import Modifiable, Reply
from ..streams import LAST_CHUNK, EventStream, Part, chunk, event, sse
from . import answer
from .framing import Repeated

DONE = "[DONE]"

OVERLOADED: Json = {
    "error": {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": 529}
}
"""An error as it comes inside a stream."""


def _text() -> list[Part]:
    return list(answer.pieces())


def _whole(*before_done: Part) -> EventStream:
    return sse([*_text(), *before_done, DONE])


# ===== ends =====


def no_end() -> EventStream:
    """F72: text, then the end of the body: no finish reason, no `[DONE]`."""
    return sse(_text())


def finish_without_done() -> EventStream:
    """F73: a finish reason but no `[DONE]`."""
    return sse([*_text(), answer.ending()])


def done_without_finish() -> EventStream:
    """F74: `[DONE]` but no finish reason."""
    return sse([*_text(), DONE])


def duplicate_done() -> EventStream:
    """F75: `[DONE]` twice."""
    return sse([*_text(), answer.ending(), DONE, DONE])


def data_after_done() -> EventStream:
    """F75/data: another piece of text, the canary, behind `[DONE]`."""
    return sse([*_text(), answer.ending(), DONE, answer.piece({"content": answer.CANARY})])


# ===== framing of events =====


def events_without_data() -> EventStream:
    """F76: events that have only a type, an id or a retry time among the good ones."""
    odd: list[Part] = [b"event: ping\n\n", b"id: 7\n\n", b"retry: 1000\n\n", b"\n\n"]
    return sse(
        [*odd, *itertools.chain.from_iterable((part, *odd) for part in _text()), answer.ending(), DONE]
    )


@dataclass(frozen=True)
class Pings(Modifiable):
    """Comments at an interval, for as long as the client listens."""

    interval: float
    comment: bytes

    async def perform(self, exchange: Exchange) -> None:
        await exchange.send(answer.chunked_head("text/event-stream"))
        while True:
            await exchange.send(chunk(self.comment))
            await exchange.pause(self.interval)


def pings_only(interval: float = 0.05, comment: bytes = b": keep-alive\n\n") -> Pings:
    """F77: comments and nothing else, until the client leaves."""
    return Pings(interval, comment)


def mixed_line_ends() -> EventStream:
    """F78: LF, CR and CRLF in turns, and no space after the colon."""
    ends = itertools.cycle([b"\n", b"\r", b"\r\n"])
    parts = [*answer.pieces(), answer.ending()]
    lines = [b"data:" + encode(part) + end * 2 for part, end in zip(parts, ends, strict=False)]
    return sse([*lines, b"data:[DONE]\r\n\r\n"])


def multi_line_data() -> EventStream:
    """F79: each event's JSON over several data lines."""
    parts = [*answer.pieces(), answer.ending()]
    lines = [b"data: " + encode(part).replace(b',"', b',\ndata: "') + b"\n\n" for part in parts]
    return sse([*lines, DONE])


def huge_event(size: int = 16 << 20) -> Repeated:
    """F80: one event of `size` bytes, valid JSON, then a good end."""
    before, _, after = event(answer.piece({"content": "@"})).partition(b"@")
    block = b"x" * (64 * 1024)
    opening = answer.chunked_head("text/event-stream") + chunk(before)
    closing = chunk(after + event(answer.ending()) + event(DONE)) + LAST_CHUNK
    return Repeated(opening, chunk(block), size // len(block), closing)


# ===== errors inside =====


def error_first(error: Json | None = None) -> EventStream:
    """F81: 200, and the first event is an error."""
    return sse([error or OVERLOADED])


def error_in_stream(after: int = 3, error: Json | None = None) -> EventStream:
    """F82: an error after `after` events, then the end."""
    return sse([*_text()[:after], error or OVERLOADED])


def error_after_finish(error: Json | None = None) -> EventStream:
    """F83: an error behind the finish reason."""
    return sse([*_text(), answer.ending(), error or OVERLOADED])


def error_as_json(error: Json | None = None) -> Reply:
    """F84: 200 with a JSON error where a stream was asked for."""
    return Reply(body=error or OVERLOADED)


# ===== tool calls and text =====


def _calls(*calls: Json) -> Json:
    return answer.piece({"tool_calls": list(calls)})


def _call(index: int, arguments: str, name: str | None = None) -> Json:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    opening = {} if name is None else {"id": f"call_{index}", "type": "function"}
    return {"index": index, **opening, "function": function}


SPLIT_TEXT = "naïve 世界 🙂"
"""The text of `interleaved`, whose chunks end inside its characters."""


def interleaved() -> EventStream:
    """F85: two tool calls in turns, and writes that split characters of `SPLIT_TEXT` in the middle.

    The calls are `first({"a":1})` and `second({"b":2})`.
    """
    parts: list[Part] = [
        answer.piece({"role": "assistant", "content": SPLIT_TEXT}),
        _calls(_call(0, "", "first"), _call(1, "", "second")),
        _calls(_call(1, '{"b"'), _call(0, '{"a"')),
        _calls(_call(0, ":1}")),
        _calls(_call(1, ":2}")),
        answer.piece({}, "tool_calls"),
        DONE,
    ]
    return sse(_split_inside_characters(b"".join(event(part) for part in parts)))


def _split_inside_characters(data: bytes) -> Iterable[bytes]:
    start = 0
    for place in range(1, len(data)):
        if data[place] & 0xC0 == 0x80:
            yield data[start:place]
            start = place
    yield data[start:]


def bad_tool_index(index: int = -1) -> EventStream:
    """F86: a tool call whose index is -1, a million, or leaves a gap (for instance 3)."""
    start = answer.piece({"role": "assistant", "content": None})
    return sse([start, _calls(_call(index, "{}", "look")), answer.piece({}, "tool_calls"), DONE])


def two_finishes() -> EventStream:
    """F87: the finish reasons `stop` and `length`, one after the other; the first counts."""
    return _whole(answer.ending(), answer.piece({}, "length"))


# ===== usage and model =====


def usage_twice() -> EventStream:
    """F88: two usages; the last one, `USAGE`, counts."""
    first = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return _whole(answer.ending(), answer.usage(first), answer.usage())


def usage_missing() -> EventStream:
    """F89: no usage although it was asked for."""
    return _whole(answer.ending())


def usage_null() -> EventStream:
    """F89/null: a usage that is null."""
    return _whole(answer.ending(), answer.usage(None))


def bad_usage(value: Any = -5) -> EventStream:
    """F90: token counts that are none: negative, 1e308, a fraction, a text."""
    return _whole(answer.ending(), answer.usage(dict.fromkeys(answer.USAGE, value)))


def model_changes() -> EventStream:
    """F91: the model has another name from the third event on."""
    parts = [*answer.pieces(), answer.ending()]
    renamed = [{**part, "model": "another-model"} for part in parts[2:]]
    return sse([*parts[:2], *renamed, DONE])


# ===== Anthropic =====


def _named(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\n" + event({"type": kind, **fields})


_MESSAGE: Json = {
    "id": "msg_fault",
    "type": "message",
    "role": "assistant",
    "model": "test-model",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}


def _anthropic_rest() -> list[Part]:
    return [
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": answer.TEXT}),
        _named("content_block_stop", index=0),
        _named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5}),
        _named("message_stop"),
    ]


def anthropic_unknown_events() -> EventStream:
    """F92: an Anthropic stream with a ping and an event that nobody knows."""
    start = _named("message_start", message=_MESSAGE)
    block = _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    return sse([start, _named("ping"), _named("moon_phase", phase="full"), block, *_anthropic_rest()])


def anthropic_delta_first() -> EventStream:
    """F92/order: an Anthropic stream whose delta comes before any start."""
    return sse(_anthropic_rest())
