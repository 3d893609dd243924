"""The good answer that the faults spoil: one fixed completion, whole and as a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..replies import DEFAULT_MODEL, Json, encode
from ..steps import head

TEXT = "Hello from a faulty upstream"
"""What every faulty reply would say if it were whole."""

CANARY = "canary"
"""What a reply says that nobody asked for: a caller who reads it was given somebody else's bytes."""

USAGE: Json = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
"""The usage that faulty replies report."""

_JSON = {"content-type": "application/json"}


def completion(text: str | None = TEXT, **changes: Any) -> Json:
    """The completion as an object, with top-level fields changed."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-fault",
        "object": "chat.completion",
        "created": 0,
        "model": DEFAULT_MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
        **changes,
    }


def body(text: str | None = TEXT) -> bytes:
    """The completion as JSON."""
    return encode(completion(text))


def reply(
    content: bytes, headers: Mapping[str, str] | None = None, *, status: int = 200, length: int | None = None
) -> bytes:
    """A JSON reply with a content-length, by default the true one."""
    size = len(content) if length is None else length
    return head(status, {**_JSON, "content-length": str(size), **(headers or {})}) + content


def chunked_head(content_type: str = "application/json") -> bytes:
    """The head of a chunked reply."""
    return head(200, {"content-type": content_type, "transfer-encoding": "chunked"})


def piece(delta: Json, finish: str | None = None, **changes: Any) -> Json:
    """One chunk of the streamed completion, with top-level fields changed."""
    return {
        "id": "chatcmpl-fault",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": DEFAULT_MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **changes,
    }


def pieces(text: str = TEXT) -> list[Json]:
    """The chunks that carry the text, without an end."""
    words = [word + " " for word in text.split(" ")]
    words[-1] = words[-1].rstrip(" ")
    return [piece({"role": "assistant", "content": ""}), *(piece({"content": word}) for word in words)]


def ending() -> Json:
    """The chunk with the finish reason."""
    return piece({}, "stop")


def usage(value: Any = USAGE) -> Json:
    """The chunk with the usage."""
    return piece({}) | {"choices": [], "usage": value}
