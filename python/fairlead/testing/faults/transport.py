"""Faults of the connection: resets, early ends, stalls, trickles and uploads that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..completion import ok
from ..connection import Exchange, Step
from ..steps import STALL, Modifiable, Raw, fail, raw
from ..streams import EventStream, sse
from . import answer


def drip(data: bytes, interval: float) -> Iterator[bytes | float]:
    """The bytes one by one, `interval` seconds apart."""
    for place in range(len(data)):
        yield data[place : place + 1]
        yield interval


def reset_before_reply() -> Raw:
    """F06: the request is read, then a RST comes before any byte of a reply."""
    return raw(b"", reset=True)


@dataclass(frozen=True)
class WhenReused(Modifiable):
    """Breaks a connection that was used before; answers on a fresh one."""

    reset: bool
    otherwise: Step

    async def perform(self, exchange: Exchange) -> None:
        if exchange.request.first_on_connection:
            await self.otherwise.perform(exchange)
        elif self.reset:
            exchange.connection.reset()
        else:
            exchange.connection.close()


def reset_when_reused(otherwise: Step | None = None) -> WhenReused:
    """F07: a RST before any byte if the connection was used before, else `otherwise` (an echo)."""
    return WhenReused(True, otherwise or ok())


def close_when_reused(otherwise: Step | None = None) -> WhenReused:
    """F07/closed: like `reset_when_reused` with a FIN, as a server does whose keep-alive time is over."""
    return WhenReused(False, otherwise or ok())


def reset_in_headers() -> Raw:
    """F08: a RST inside the response headers."""
    return raw(b"HTTP/1.1 200 OK\r\ncontent-type: appli", reset=True)


def reset_in_body() -> Raw:
    """F09: a RST in the middle of a body of known length."""
    content = answer.body()
    return raw(answer.reply(content[: len(content) // 2], length=len(content)), reset=True)


def reset_in_stream(after: int = 3) -> EventStream:
    """F10: a RST after `after` events of a stream, two of which carry text by default."""
    return sse(answer.pieces()[:after], end="reset")


def half_close_after_reply() -> Raw:
    """F11: a whole reply, then a FIN while reading goes on."""
    return raw(answer.reply(answer.body()), half_close=True)


def close_in_body() -> Raw:
    """F12: a FIN before the content-length is reached."""
    content = answer.body()
    return raw(answer.reply(content[: len(content) // 2], length=len(content)))


def trickle_headers(interval: float = 0.1) -> Raw:
    """F13: the first header bytes at once, then one byte each `interval` seconds, 10,000 times."""
    return raw([b"HTTP/1.1 200 OK\r\nx-slow: ", *drip(b"a" * 10_000, interval)])


def trickle_body(interval: float = 0.2) -> Raw:
    """F14: headers at once, then the body one byte each `interval` seconds."""
    content = answer.body()
    return raw([answer.reply(b"", length=len(content)), *drip(content, interval)])


def stall_in_body() -> Raw:
    """F15: half the body, then silence on an open connection."""
    content = answer.body()
    return raw([answer.reply(content[: len(content) // 2], length=len(content)), STALL])


def stall_in_stream(after: int = 3) -> EventStream:
    """F15/stream: `after` events, then silence on an open connection."""
    return sse(answer.pieces()[:after], end="stall")


def late_bytes(delay: float = 2.0) -> Raw:
    """F16: a whole reply in four parts of which the second and the fourth are late by `delay` seconds."""
    data = answer.reply(answer.body())
    quarter = len(data) // 4
    parts = [data[start : start + quarter] for start in (0, quarter, 2 * quarter)]
    return raw([parts[0], delay, parts[1], parts[2], delay, data[3 * quarter :]], close=False)


def narrow_band(bytes_per_second: float = 1000.0) -> Step:
    """F17: the answer that was asked for, at a bandwidth."""
    return ok(answer.TEXT).at_rate(bytes_per_second)


def sliced() -> Step:
    """F18: the answer that was asked for, one byte a write."""
    return ok(answer.TEXT).sliced(1)


@dataclass(frozen=True)
class NeverReads(Modifiable):
    """Leaves the request body where it is."""

    @property
    def reads_body(self) -> bool:
        return False

    async def perform(self, exchange: Exchange) -> None:
        await exchange.connection.stop_reading()


def never_reads() -> NeverReads:
    """F19: the head is read, the body never is.

    A client is stuck once the socket buffers are full: give the upstream a small `receive_buffer`, or send
    more than a few MB. While the client has unsent bytes its leaving cannot be seen.
    """
    return NeverReads()


def early_refusal(status: int = 413, *, abrupt: bool = False) -> Raw:
    """F20: an error reply as soon as the head is there, while the client is still sending its body.

    The rest of the body is read and dropped; `abrupt` closes instead, so that the client's writes fail.
    """
    refusal = fail(status, headers={"connection": "close"})
    return raw(refusal.to_bytes(), half_close=not abrupt, reads_body=False)
