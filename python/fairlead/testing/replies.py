"""What an OpenAI-compatible service would answer: bodies computed from the request, without any I/O.

Tokens are counted as whitespace-separated words, so that a test can know the usage beforehand.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = dict[str, Any]
"""A JSON object."""

DEFAULT_MODEL = "test-model"
"""The model a reply names when the request named none."""

EMBEDDING_DIMENSIONS = 8
"""Length of a computed embedding when the request asks for none."""

_numbers = itertools.count(1)


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def text_of(content: Any) -> str:
    """The text of a message's content, whether a string or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def messages_of(body: Json) -> list[Json]:
    """The well-formed messages of a chat request."""
    messages = body.get("messages")
    return (
        [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    )


def last_user_text(body: Json) -> str:
    """What the user said last; empty when nobody said anything."""
    said = [message for message in messages_of(body) if message.get("role") == "user"]
    return text_of(said[-1].get("content")) if said else ""


def usage_of(body: Json, text: str) -> Json:
    """Usage with one token a word: the messages as prompt, `text` as completion."""
    prompt = sum(len(text_of(message.get("content")).split()) for message in messages_of(body))
    completion = len(text.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def tool_call(name: str, arguments: Mapping[str, Any] | str, id: str = "call_1") -> Json:
    """A function call as an assistant message carries it."""
    text = arguments if isinstance(arguments, str) else encode(arguments).decode()
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def head_of(body: Json, kind: str, model: str | None) -> Json:
    """The fields that a completion and each of its chunks begin with."""
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": kind,
        "created": int(time.time()),
        "model": model or body.get("model") or DEFAULT_MODEL,
    }


def completion(
    body: Json,
    *,
    text: str | None,
    tool_calls: Sequence[Json],
    finish_reason: str,
    usage: Mapping[str, Any] | None,
    model: str | None,
) -> Json:
    """A whole chat completion."""
    message: Json = {"role": "assistant", "content": text, "refusal": None}
    if tool_calls:
        message["tool_calls"] = list(tool_calls)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return {
        **head_of(body, "chat.completion", model),
        "choices": [choice],
        "usage": usage_of(body, text or "") if usage is None else dict(usage),
    }


def words_of(text: str) -> list[str]:
    """The text in pieces as a model streams it: a word with the space after it."""
    return re.findall(r"\S+\s*|\s+", text)


def wants_usage(body: Json) -> bool:
    """Whether the request asks for a usage chunk at the end of its stream."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def tool_call_deltas(calls: Sequence[Json]) -> Iterable[Json]:
    """The deltas that announce each call and then bring its arguments."""
    for index, call in enumerate(calls):
        function = call.get("function", {})
        opening = {**call, "index": index, "function": {"name": function.get("name"), "arguments": ""}}
        yield {"tool_calls": [opening]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": function.get("arguments", "")}}]}


def embedding_of(text: str, dimensions: int) -> list[float]:
    """A vector that depends on nothing but the text; its values are exact in 32 bits."""
    seed = sum((place + 1) * byte for place, byte in enumerate(text.encode("utf-8", "surrogatepass")))
    return [((seed + 31 * place) % 256 - 128) / 128 for place in range(dimensions)]


def inputs_of(body: Json) -> list[Any]:
    """The inputs of an embedding request, one entry for each vector to return."""
    given = body.get("input", "")
    if isinstance(given, list) and not (given and isinstance(given[0], int)):
        return given
    return [given]


def embeddings(body: Json) -> Json:
    """A reply to an embedding request, as floats or base64."""
    dimensions = int(body.get("dimensions") or EMBEDDING_DIMENSIONS)
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, given in enumerate(inputs_of(body)):
        vector = embedding_of(given if isinstance(given, str) else str(given), dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if as_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(len(given.split()) if isinstance(given, str) else len(given) for given in inputs_of(body))
    return {
        "object": "list",
        "data": data,
        "model": body.get("model") or DEFAULT_MODEL,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models(names: Sequence[str]) -> Json:
    """A list of models."""
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "fairlead"} for name in names]
    return {"object": "list", "data": data}


ERROR_KINDS: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""Error type and code by status, as OpenAI sends them; other statuses are `server_error` without a code."""


def error_body(status: int, message: str | None, code: str | None, type: str | None) -> Json:
    """An error object in OpenAI's shape."""
    usual_type, usual_code = ERROR_KINDS.get(
        status, ("server_error" if status >= 500 else "invalid_request_error", None)
    )
    text = f"scripted failure {status}" if message is None else message
    return {"error": {"message": text, "type": type or usual_type, "param": None, "code": code or usual_code}}
