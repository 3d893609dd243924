"""Faults of a whole body: JSON, encodings and compression that are wrong, and answers that are none."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import cache

from ..replies import encode
from ..steps import Raw, Reply, raw
from . import answer
from .framing import Repeated, repeated_body


def _splice(text: bytes) -> tuple[bytes, bytes]:
    """The body of a good answer around its text."""
    before, _, after = answer.body("@").partition(b"@")
    return before + text, after


def truncated_json() -> Raw:
    """F57: half a JSON document with a content-length that is right for the half."""
    content = answer.body()
    return raw(answer.reply(content[: len(content) // 2]), close=False)


def number_literal(literal: str = "NaN") -> Raw:
    """F58: a number that JSON does not have: NaN, Infinity or -Infinity."""
    content = answer.body().replace(b'"created":0', b'"created":' + literal.encode())
    return raw(answer.reply(content), close=False)


def duplicate_keys() -> Raw:
    """F59: the content twice in one message; the last one counts."""
    content = answer.body().replace(b'"content":', b'"content":"first","content":', 1)
    return raw(answer.reply(content), close=False)


def deep_nesting(depth: int = 10_000) -> Raw:
    """F60: arrays nested `depth` deep in an unknown field."""
    nested = b"[" * depth + b"]" * depth
    content = answer.body()[:-1] + b',"nested":' + nested + b"}"
    return raw(answer.reply(content), close=False)


def huge_body(size: int = 100 << 20) -> Repeated:
    """F61: a valid answer whose text has `size` bytes."""
    opening, closing = _splice(b"")
    return repeated_body(opening, closing, size)


@cache
def _bomb(size: int) -> bytes:
    opening, closing = _splice(b"")
    packer = zlib.compressobj(9, wbits=31)
    block = b"x" * (1 << 20)
    parts = [packer.compress(opening), *(packer.compress(block) for _ in range(size >> 20))]
    return b"".join([*parts, packer.compress(closing), packer.flush()])


def gzip_bomb(size: int = 256 << 20) -> Raw:
    """F62: about `size`/1000 bytes of gzip that unpack to a valid answer of `size` bytes."""
    return raw(answer.reply(_bomb(size), {"content-encoding": "gzip"}), close=False)


def brotli(data: bytes) -> bytes:
    """A brotli stream that holds the data (at most 64 KiB) uncompressed."""
    header = (len(data) - 1) << 4 | 1 << 20
    return header.to_bytes(3, "little") + data + b"\x03"


def zstandard(data: bytes) -> bytes:
    """A zstd frame that holds the data (256 bytes to 64 KiB) uncompressed."""
    frame = b"\x28\xb5\x2f\xfd\x60" + (len(data) - 256).to_bytes(2, "little")
    return frame + (len(data) << 3 | 1).to_bytes(3, "little") + data


def packed(encoding: str, content: bytes | None = None) -> bytes:
    """The answer in `gzip`, `deflate`, `br` or `zstd`."""
    data = answer.body() if content is None else content
    ways: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli,
        "zstd": zstandard,
    }
    return ways[encoding](data)


def compressed(encoding: str = "gzip") -> Raw:
    """No fault: the answer, rightly compressed."""
    return raw(answer.reply(packed(encoding), {"content-encoding": encoding}), close=False)


def truncated_compression(encoding: str = "gzip") -> Raw:
    """F63: the first half of a compressed body, framed as if it were whole."""
    data = packed(encoding)
    return raw(answer.reply(data[: len(data) // 2], {"content-encoding": encoding}), close=False)


def lying_encoding(encoding: str = "gzip") -> Raw:
    """F64: a content-encoding that the body does not have."""
    return raw(answer.reply(answer.body(), {"content-encoding": encoding}), close=False)


def html(status: int = 200) -> Reply:
    """F65: a web page where an answer should be."""
    page = "<!DOCTYPE html><html><head><title>Please wait</title></head><body>One moment</body></html>"
    return Reply(status=status, body=page, content_type="text/html; charset=utf-8")


def empty() -> Reply:
    """F66: 200 and nothing."""
    return Reply()


def invalid_utf8() -> Raw:
    """F67: a text with a byte that UTF-8 does not have."""
    return raw(answer.reply(b"".join(_splice(b"caf\xe9 \xff"))), close=False)


def byte_order_mark() -> Raw:
    """F68: a good answer behind a UTF-8 byte order mark."""
    return raw(answer.reply(b"\xef\xbb\xbf" + answer.body()), close=False)


def lone_surrogate() -> Raw:
    """F69: half of a surrogate pair as an escape in the text."""
    return raw(answer.reply(b"".join(_splice(b"half \\ud800 pair"))), close=False)


def choices_missing() -> Reply:
    """F70: a completion without the field `choices`."""
    return Reply(body={name: value for name, value in answer.completion().items() if name != "choices"})


def choices_null() -> Reply:
    """F70/null: a completion whose choices are null."""
    return Reply(body=answer.completion(choices=None))


def choices_empty() -> Reply:
    """F70/empty: a completion whose choices are none."""
    return Reply(body=answer.completion(choices=[]))


def content_null() -> Reply:
    """F71: a message with neither content nor tool calls."""
    return Reply(body=encode(answer.completion(None)))
