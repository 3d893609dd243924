"""The steps that scripts are made of: whole replies, raw bytes, and the modifiers that every step has.

A step is an immutable value and may be used any number of times. `Modified` steps come from the methods
`after`, `sliced` and `at_rate`, which every step of this module has.
"""

from __future__ import annotations

import http
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import replies
from .connection import Exchange, Step


class Modifiable:
    """The modifiers that every step has."""

    @property
    def reads_body(self) -> bool:
        """False for a step that acts as soon as the request head is there."""
        return True

    def after(self: Step, seconds: float) -> Modified:
        """The same, after a silence of `seconds`."""
        return Modified(self, delay=seconds)

    def sliced(self: Step, size: int = 1, interval: float = 0.0) -> Modified:
        """The same bytes in writes of at most `size`, `interval` seconds apart."""
        return Modified(self, size=size, interval=interval)

    def at_rate(self: Step, bytes_per_second: float) -> Modified:
        """The same bytes at a bandwidth, in about 50 writes a second."""
        size = max(1, round(bytes_per_second / 50))
        return Modified(self, size=size, interval=size / bytes_per_second)


@dataclass(frozen=True)
class Modified(Modifiable):
    """A step with other timing."""

    step: Step
    delay: float = 0.0
    size: int = 0
    interval: float = 0.0

    @property
    def reads_body(self) -> bool:
        return self.step.reads_body

    async def perform(self, exchange: Exchange) -> None:
        await exchange.pause(self.delay)
        if self.size:
            exchange.slice(self.size, self.interval)
        await self.step.perform(exchange)


# ===== whole replies =====


def head(
    status: int, headers: Mapping[str, str] | Sequence[tuple[str, str]], reason: str | None = None
) -> bytes:
    """A response head: status line, the given fields and nothing else."""
    if reason is None:
        reason = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "Unknown"
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"HTTP/1.1 {status:03} {reason}\r\n{lines}\r\n".encode("latin-1")


@dataclass(frozen=True)
class Reply(Modifiable):
    """A whole HTTP reply with a body of any kind; a mapping or list is sent as JSON."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str | Mapping[str, Any] | Sequence[Any] = b""
    content_type: str = "application/json"
    delay: float = 0.0
    """Seconds before the first byte."""

    async def perform(self, exchange: Exchange) -> None:
        await exchange.pause(self.delay)
        await exchange.send(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The reply as it goes over the wire."""
        body = self.payload()
        fields = {"content-type": self.content_type, "content-length": str(len(body))}
        return head(self.status, {**fields, **self.headers}) + body

    def payload(self) -> bytes:
        """The body as bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else replies.encode(self.body)


def fail(
    status: int,
    message: str | None = None,
    *,
    code: str | None = None,
    type: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | Mapping[str, Any] | Sequence[Any] | None = None,
    retry_after: float | str | None = None,
    delay: float = 0.0,
) -> Reply:
    """An error reply in OpenAI's shape, or with `body` as it is.

    `retry_after` becomes the Retry-After field, in seconds when it is a number.
    """
    fields = {} if retry_after is None else {"retry-after": str(retry_after)}
    content = replies.error_body(status, message, code, type) if body is None else body
    return Reply(status=status, headers={**fields, **(headers or {})}, body=content, delay=delay)


# ===== raw bytes =====


class Stall:
    """A part of a raw reply: silence until the client leaves."""


STALL = Stall()
"""Silence until the client leaves."""


@dataclass(frozen=True)
class Raw(Modifiable):
    """Bytes on the socket, whatever they are."""

    parts: Sequence[bytes | float | Stall]
    close: bool = True
    reset: bool = False
    half_close: bool = False
    reads_body: bool = True

    async def perform(self, exchange: Exchange) -> None:
        for part in self.parts:
            if isinstance(part, Stall):
                await exchange.stall()
            elif isinstance(part, bytes):
                await exchange.send(part)
            else:
                await exchange.pause(part)
        if self.reset:
            exchange.connection.reset()
        elif self.half_close:
            exchange.connection.half_close()
        elif self.close:
            exchange.connection.close()


def raw(
    data: bytes | Iterable[bytes | float | Stall],
    *,
    close: bool = True,
    reset: bool = False,
    half_close: bool = False,
    reads_body: bool = True,
) -> Raw:
    """Arbitrary bytes in answer to a request.

    Args:
        data: the bytes, or a list of bytes, seconds to wait and `STALL`.
        close: close the connection afterwards with a FIN.
        reset: close it with a RST instead.
        half_close: send a FIN but go on reading.
        reads_body: False acts as soon as the request head is there, before the body is read.
    """
    parts = [data] if isinstance(data, bytes) else list(data)
    return Raw(parts, close, reset, half_close, reads_body)


def hang() -> Raw:
    """No answer at all: silence until the client leaves."""
    return Raw([STALL])
