"""What the SDK is answered: replies with their own bytes, failures as OpenAI tells them."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from .. import errors
from .._core import RawReply, StreamCore
from ..errors import FairleadError
from ..types import Receipt

_JSON = (b"content-type", b"application/json")
_EVENTS = b"text/event-stream; charset=utf-8"
_FINAL = (b"x-should-retry", b"false")
"""The engine has made all attempts that there will be."""

_OF_THE_CONNECTION = frozenset(
    (
        "connection",
        "content-encoding",
        "content-length",
        "keep-alive",
        "retry-after",
        "retry-after-ms",
        "transfer-encoding",
        "x-should-retry",
    )
)
"""Headers of an upstream's reply that are not true of ours."""

_STATUS = {
    errors.BadRequestError: (400, "invalid_request_error"),
    errors.ConfigError: (400, "invalid_request_error"),
    errors.AuthenticationError: (401, "authentication_error"),
    errors.PermissionDeniedError: (403, "permission_error"),
    errors.NotFoundError: (404, "invalid_request_error"),
    errors.ConflictError: (409, "invalid_request_error"),
    errors.UnprocessableEntityError: (422, "invalid_request_error"),
    errors.QuotaExceeded: (429, "insufficient_quota"),
    errors.RateLimitError: (429, "rate_limit_error"),
    errors.InternalServerError: (500, "server_error"),
    errors.InternalError: (500, "server_error"),
    errors.APIResponseValidationError: (502, "server_error"),
    errors.APITimeoutError: (504, "timeout_error"),
    errors.APIConnectionError: (502, "connection_error"),
    FairleadError: (502, "server_error"),
}
"""By its meaning: the status whose class the SDK raises, and OpenAI's type."""

_OVERFLOW = "context_length_exceeded"

_CODES = {
    errors.ContextLengthExceeded: _OVERFLOW,
    errors.ContentFiltered: "content_filter",
    errors.ModelNotFound: "model_not_found",
    errors.QuotaExceeded: "insufficient_quota",
}
"""Codes that callers look for."""


class Answer(NamedTuple):
    """An HTTP response in the making."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | StreamCore
    """The whole of it, or events that are still to come."""
    told: RawReply | StreamCore | FairleadError | None = None
    """What tells its story."""


def whole(body: bytes) -> Answer:
    """A reply of our own."""
    return Answer(200, [_JSON], body)


def answered(reply: RawReply | StreamCore) -> Answer:
    """The reply of an upstream."""
    headers = _passed(reply.headers)
    names = {name for name, _ in headers}
    if isinstance(reply, StreamCore):
        headers = [pair for pair in headers if pair[0] != b"content-type"]
        headers.append((b"content-type", _EVENTS))
    if reply.request_id and b"x-request-id" not in names:
        headers.append((b"x-request-id", _bytes(reply.request_id)))
    headers += _story(reply.fairlead)
    return Answer(reply.status, headers, reply if isinstance(reply, StreamCore) else reply.content, reply)


def failed(error: FairleadError) -> Answer:
    """The response for an error that is no broken connection."""
    status = _status(error)
    headers = [_JSON, _FINAL]
    if error.response is not None:
        headers += [pair for pair in _passed(error.response.headers.pairs) if pair[0] != b"content-type"]
    if error.request_id and all(name != b"x-request-id" for name, _ in headers):
        headers.append((b"x-request-id", _bytes(error.request_id)))
    if error.retry_after is not None:
        milliseconds = max(1, round(error.retry_after * 1000))
        headers.append((b"retry-after-ms", b"%d" % milliseconds))
        headers.append((b"retry-after", b"%d" % -(-milliseconds // 1000)))
    headers.append((b"x-fairlead-error", type(error).__name__.encode()))
    headers.append((b"x-fairlead-attempts", b"%d" % len(error.attempts)))
    if error.deployment:
        headers.append((b"x-fairlead-deployment", _bytes(error.deployment)))
    if error.status_code not in (None, status):
        headers.append((b"x-fairlead-upstream-status", b"%d" % error.status_code))
    return Answer(status, headers, json.dumps({"error": shape(error)}).encode(), error)


def not_served(method: str, path: str, why: str) -> Answer:
    """What is told of a request that the engine cannot make."""
    message = (
        f"fairlead does not serve {method} {path}: {why}. It serves chat completions, embeddings and models, "
        "and passes other requests on to one provider where both sides are whole JSON; nothing was sent"
    )
    return _refused(404, message, "not_served")


def unreadable(why: str) -> Answer:
    """What is told of a body that is no JSON."""
    return _refused(400, f"the request is not JSON: {why}; nothing was sent", "invalid_json")


def shape(error: FairleadError) -> dict[str, Any]:
    """OpenAI's error object: the provider's own where there is one, else ours."""
    own = error.body if isinstance(error.body, dict) else {}
    kind = _of(_CODES, error)
    code = kind if error.code is None or kind == _OVERFLOW else error.code
    return {
        **own,
        "message": _words(own.get("message") or error.message, code),
        "type": error.type or _of(_STATUS, error)[1],
        "param": error.param,
        "code": code or (None if own else _snake(type(error).__name__)),
    }


def broken(error: FairleadError) -> bytes:
    """The event that ends a stream which broke, so that no reader takes it for complete."""
    told = {**shape(error), "message": error.message}
    return b"data: " + json.dumps({"error": told}).encode() + b"\n\n"


def _refused(status: int, message: str, code: str) -> Answer:
    told = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status, [_JSON, _FINAL], json.dumps({"error": told}).encode())


def _status(error: FairleadError) -> int:
    meant: int = _of(_STATUS, error)[0]
    given = error.status_code or 0
    if meant == 500:
        return given if given >= 500 else 502 if error.attempts else 500
    if type(error).__name__ == "APIStatusError" and given >= 400:
        return given
    return meant


def _of(table: dict[Any, Any], error: FairleadError) -> Any:
    """What `table` says of the nearest class."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), None)


def _story(receipt: Receipt) -> list[tuple[bytes, bytes]]:
    """How the call was served; of a stream, as far as it is known when it begins."""
    told = [
        (b"x-fairlead-deployment", _bytes(receipt.deployment)),
        (b"x-fairlead-attempts", b"%d" % len(receipt.attempts)),
    ]
    cost = receipt.cost_usd
    if cost is not None:
        told.append((b"x-fairlead-cost", f"{cost:.10f}".rstrip("0").rstrip(".").encode()))
    return told


def _passed(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode(), _bytes(value))
        for name, value in pairs
        if name.lower() not in _OF_THE_CONNECTION
    ]


def _bytes(value: str) -> bytes:
    return value.encode("latin-1", "replace")


def _words(message: Any, code: str | None) -> Any:
    """The message; callers look for one of the codes in it."""
    return f"{message} ({code})" if code == _OVERFLOW and _OVERFLOW not in str(message) else message


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
