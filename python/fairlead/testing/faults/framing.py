"""Faults of HTTP/1.1 itself: lengths, chunks, headers and status lines that are wrong or too many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..connection import Exchange
from ..steps import Modifiable, Raw, head, raw
from ..streams import LAST_CHUNK, EventStream, chunk, event, sse
from . import answer

_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Repeated(Modifiable):
    """Opening bytes, a block many times over, closing bytes: large without taking memory."""

    opening: bytes
    block: bytes
    count: int
    closing: bytes
    close: bool = False

    async def perform(self, exchange: Exchange) -> None:
        await exchange.send(self.opening)
        for _ in range(self.count):
            await exchange.send(self.block)
        await exchange.send(self.closing)
        if self.close:
            exchange.connection.close()


def length_too_long(surplus: int = 50) -> Raw:
    """F33: the content-length promises `surplus` bytes more than the body has, then a FIN."""
    content = answer.body()
    return raw(answer.reply(content, length=len(content) + surplus))


def two_lengths() -> Raw:
    """F34: two content-length fields that differ; the true one comes last."""
    content = answer.body()
    lengths = [("content-length", str(len(content) - 5)), ("content-length", str(len(content)))]
    fields = [("content-type", "application/json"), *lengths]
    return raw(head(200, fields) + content, close=False)


def length_and_chunked() -> Raw:
    """F35: content-length beside a chunked body, and behind that body a canary reply nobody asked for.

    Reading the chunks gives the answer. Whatever is left on the connection must never reach another call.
    """
    fields = {"content-type": "application/json", "content-length": "5", "transfer-encoding": "chunked"}
    body = chunk(answer.body()) + LAST_CHUNK
    return raw(head(200, fields) + body + answer.reply(answer.body(answer.CANARY)), close=False)


def bad_chunk_size() -> Raw:
    """F36: a chunk size that is not a number, in the middle of a body."""
    content = answer.body()
    return raw(answer.chunked_head() + chunk(content[:40]) + b"ZZZ\r\n" + content[40:] + b"\r\n", close=False)


def bad_chunk_size_in_stream(after: int = 3) -> Raw:
    """F36/stream: a chunk size that is not a number, after `after` events."""
    opening = answer.chunked_head("text/event-stream")
    return raw(opening + _chunks(after) + b"ZZZ\r\ndata: {}\r\n", close=False)


def huge_chunk_extension(size: int = 1 << 20) -> Raw:
    """F37: a chunk extension of `size` bytes."""
    content = answer.body()
    line = b"%x;x=%s\r\n" % (len(content), b"e" * size)
    return raw(answer.chunked_head() + line + content + b"\r\n" + LAST_CHUNK, close=False)


def missing_last_chunk() -> Raw:
    """F38: every byte of the body, chunked, then a FIN without the last chunk."""
    return raw(answer.chunked_head() + chunk(answer.body()))


def missing_last_chunk_in_stream(after: int = 3) -> EventStream:
    """F38/stream: `after` events, then a FIN without the last chunk."""
    return sse(answer.pieces()[:after], end="cut")


def _chunks(after: int) -> bytes:
    return b"".join(chunk(event(piece)) for piece in answer.pieces()[:after])


def many_headers(count: int = 5000) -> Raw:
    """F39: `count` header fields."""
    return raw(answer.reply(answer.body(), {f"x-{number}": "v" for number in range(count)}), close=False)


def huge_headers(size: int = 5 << 20) -> Raw:
    """F39/size: header fields of `size` bytes together."""
    fields = {f"x-{number}": "v" * 8000 for number in range(size // 8000 + 1)}
    return raw(answer.reply(answer.body(), fields), close=False)


def one_huge_header(size: int = 5 << 20) -> Raw:
    """F39/field: a single header field of `size` bytes."""
    return raw(answer.reply(answer.body(), {"x-large": "v" * size}), close=False)


def _bad_header(line: bytes) -> Raw:
    content = answer.body()
    fields = b"content-type: application/json\r\n%s\r\ncontent-length: %d" % (line, len(content))
    return raw(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + content, close=False)


def nul_in_header() -> Raw:
    """F40: a NUL byte in a header value."""
    return _bad_header(b"x-note: a\0b")


def bare_cr_in_header() -> Raw:
    """F40/cr: a carriage return without a line feed in a header value."""
    return _bad_header(b"x-note: a\rb")


def folded_header() -> Raw:
    """F40/fold: a header value continued on the next line, which HTTP/1.1 has done away with."""
    return _bad_header(b"x-note: a\r\n b")


def early_hints(count: int = 1000) -> Raw:
    """F41: `count` interim 103 replies before the real one."""
    hint = head(103, {"link": "</style.css>; rel=preload"})
    return raw(hint * count + answer.reply(answer.body()), close=False)


def garbage() -> Raw:
    """F42: bytes that are no HTTP at all."""
    return raw(bytes(range(256)) * 4)


def without_headers() -> Raw:
    """F42/0.9: a bare body, as HTTP/0.9 sent it."""
    return raw(answer.body())


def odd_status(status: int = 999) -> Raw:
    """F43: a status that means nothing."""
    return raw(answer.reply(answer.body(), status=status), close=False)


def no_content(status: int = 204) -> Raw:
    """F44: a status that has no body, for a completion."""
    return raw(head(status, {}), close=False)


def extra_reply() -> Raw:
    """F45: a good reply, and behind it a second one that says `CANARY`."""
    return raw(answer.reply(answer.body()) + answer.reply(answer.body(answer.CANARY)), close=False)


def repeated_body(
    opening: bytes, closing: bytes, size: int, headers: Mapping[str, str] | None = None, fill: bytes = b"x"
) -> Repeated:
    """A body of `size` bytes and more: `opening`, `fill` many times, `closing`."""
    count = max(1, size // _BLOCK)
    length = len(opening) + count * _BLOCK + len(closing)
    return Repeated(answer.reply(opening, headers, length=length), fill * _BLOCK, count, closing)
