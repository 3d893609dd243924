"""Errors as an OpenAI-compatible service tells them: the right status, a body, and when to come back.

What the request is to blame for is told in the provider's words. What went wrong behind us is told in ours,
without names of deployments, and logged in full.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from .. import errors
from ..errors import FairleadError
from .sockets import SocketMiddleware, state_of

_log = logging.getLogger("fairlead.fastapi")


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    """For whoever reads it."""
    type: str
    """The kind: `invalid_request_error`, `rate_limit_error`, `insufficient_quota`, `server_error`, ..."""
    param: str | None = None
    """The parameter that is to blame."""
    code: str | None = None
    """What exactly, for programs: `context_length_exceeded`, `rate_limit_exceeded`, `timeout`, ..."""


class ErrorBody(BaseModel):
    """The body of every error, and the data of the event that ends a broken stream."""

    error: ErrorDetail


class ErrorAnswer(NamedTuple):
    """How an error is told."""

    status_code: int
    body: dict[str, Any]
    """As `ErrorBody`."""
    headers: dict[str, str]
    """Retry-After and its kin."""


class _Manner(NamedTuple):
    """How a class of errors is told."""

    status_code: int
    type: str
    code: str | None
    message: str | None = None
    """In place of the error's own words."""


_REQUEST = "invalid_request_error"
_SERVER = "server_error"
_RATE = "rate_limit_error"
_QUOTA = "insufficient_quota"
_BUSY = "Too many requests at the moment."
_FAILED = "The model's provider failed."
_LATE = "The model did not answer in time."
_NOBODY = "No provider of this model can be asked at the moment."
_BROKEN = "The answer broke off before its end."

_MANNERS: Mapping[type[FairleadError], _Manner] = {
    FairleadError: _Manner(500, _SERVER, "internal_error", "Something went wrong on our side."),
    errors.ConfigError: _Manner(500, _SERVER, "misconfigured", "The service is not set up for this."),
    errors.ClientClosed: _Manner(503, _SERVER, "shutting_down", "The service is shutting down."),
    errors.CircuitOpen: _Manner(503, _SERVER, "unavailable", _NOBODY),
    errors.ContentFilterFinishReasonError: _Manner(
        400, _REQUEST, "content_filter", "A content filter cut the answer off."
    ),
    errors.LengthFinishReasonError: _Manner(502, _SERVER, "incomplete", "The answer was too long."),
    errors.StructuredOutputError: _Manner(
        502, _SERVER, "invalid_answer", "The model's answer was not valid."
    ),
    errors.ToolLoopError: _Manner(502, _SERVER, "incomplete", "The model did not come to an answer."),
    errors.APIError: _Manner(502, _SERVER, "upstream_error", _FAILED),
    errors.APIStatusError: _Manner(400, _REQUEST, None),
    errors.ContextLengthExceeded: _Manner(400, _REQUEST, "context_length_exceeded"),
    errors.ContentFiltered: _Manner(400, _REQUEST, "content_filter"),
    errors.UnprocessableEntityError: _Manner(422, _REQUEST, None),
    errors.ConflictError: _Manner(409, _REQUEST, None),
    errors.NotFoundError: _Manner(404, _REQUEST, "model_not_found"),
    errors.AuthenticationError: _Manner(502, _SERVER, "upstream_authentication", _FAILED),
    errors.PermissionDeniedError: _Manner(502, _SERVER, "upstream_authentication", _FAILED),
    errors.RateLimitError: _Manner(429, _RATE, "rate_limit_exceeded", _BUSY),
    errors.QuotaExceeded: _Manner(429, _QUOTA, "insufficient_quota", "The service's quota is used up."),
    errors.BudgetExceeded: _Manner(429, _QUOTA, "budget_exceeded", "The budget is used up."),
    errors.InternalServerError: _Manner(502, _SERVER, "upstream_error", _FAILED),
    errors.OverloadedError: _Manner(503, _SERVER, "overloaded", "The model is overloaded."),
    errors.NoHealthyDeployment: _Manner(503, _SERVER, "unavailable", _NOBODY),
    errors.UnexpectedRedirect: _Manner(502, _SERVER, "upstream_error", _FAILED),
    errors.StreamInterrupted: _Manner(502, _SERVER, "stream_broken", _BROKEN),
    errors.StreamTruncated: _Manner(502, _SERVER, "stream_broken", _BROKEN),
    errors.MalformedStream: _Manner(502, _SERVER, "stream_broken", _BROKEN),
    errors.LocalResourceError: _Manner(503, _SERVER, "overloaded", "The service is overloaded."),
    errors.PoolTimeout: _Manner(503, _SERVER, "overloaded", "The service is overloaded."),
    errors.APITimeoutError: _Manner(504, _SERVER, "timeout", _LATE),
}

MOST_REASON = 123
"""Bytes of the reason for which a WebSocket is closed; a frame has no room for more."""

_OF_CALLERS = ("user", "tenant", "key")
"""Scopes of limits that a caller may know of."""

_PARAMETER = re.compile(r"`([\w.\[\]-]+)`: ")


def answer_for(error: FairleadError) -> ErrorAnswer:
    """How `error` is told to whoever asked.

    | error | status |
    |---|---|
    | the request's own fault: `BadRequestError`, `NotFoundError`, other 4xx | as it was, 400 to 499 |
    | an answer that the model refused, or that a filter cut off | 400 |
    | a limit or budget of ours, a provider's 429 or used-up credit | 429 |
    | a provider that refuses our key, fails, or answers nonsense | 502 |
    | an answer that is cut off, or not what was asked for; tools without end | 502 |
    | nobody left to ask, overloaded, shutting down | 503 |
    | a timeout, the deadline | 504 |
    | a faulty configuration, a defect | 500 |

    `Retry-After` (whole seconds) and `retry-after-ms` are there where the error knows when to come back;
    `x-should-retry` keeps SDKs from repeating on their own what was repeated here already.
    """
    manner = _manner(error)
    detail = {
        "message": manner.message or error.message,
        "type": manner.type,
        "param": error.param if manner.type == _REQUEST else None,
        "code": manner.code,
    }
    if isinstance(error, errors.ConfigError) and (blamed := _PARAMETER.match(error.message)):
        detail["param"] = blamed[1]
    return ErrorAnswer(manner.status_code, {"error": detail}, _headers(error))


def _manner(error: FairleadError) -> _Manner:
    manner = next(_MANNERS[kind] for kind in type(error).__mro__ if kind in _MANNERS)
    if isinstance(error, errors.ConfigError):
        # A call's own argument, which may well be the request's; anything else is the service's.
        return _Manner(400, _REQUEST, None) if _PARAMETER.match(error.message) else manner
    if isinstance(error, errors.StructuredOutputError) and error.refusal:
        return _Manner(400, _REQUEST, "content_filter", "The model refused to answer.")
    if isinstance(error, errors._Limit):
        return manner._replace(message=_limit_in_words(error) or manner.message)
    if isinstance(error, errors.PermissionDeniedError) and not error.attempts:
        return _Manner(403, "permission_error", "not_allowed")
    if isinstance(error, errors.InternalServerError) and error.attempts:
        return _of_a_failing_provider(error, manner)
    if isinstance(error, errors.APIStatusError) and manner.message is None:
        return _of_a_bad_request(error, manner)
    return manner


def _limit_in_words(error: errors._Limit) -> str | None:
    """A limit of the caller's own; others are not told."""
    if error.scope not in _OF_CALLERS or error.limit is None or error.window is None:
        return None
    if error.limit_type == "cost":
        return f"The budget of ${error.limit:g} per {error.window} is used up."
    if error.limit_type == "concurrency":
        return f"The limit of {error.limit:g} calls at once is reached."
    kind = str(error.limit_type).replace("_", " ")
    return f"The limit of {error.limit:g} {kind} per {error.window} is reached."


def _of_a_failing_provider(error: FairleadError, manner: _Manner) -> _Manner:
    if error.status_code in (408, 504, 524):
        return _MANNERS[errors.APITimeoutError]
    return manner._replace(status_code=503) if error.status_code == 503 else manner


def _of_a_bad_request(error: FairleadError, manner: _Manner) -> _Manner:
    """In the provider's words, and with its status where that blames the request."""
    status, body = error.status_code or manner.status_code, error.body
    said = body.get("message") if isinstance(body, dict) else None
    return manner._replace(
        status_code=status if 400 <= status < 500 else manner.status_code,
        code=manner.code or error.code,
        message=said if isinstance(said, str) else None,
    )


def _headers(error: FairleadError) -> dict[str, str]:
    wait = error.retry_after
    if wait is None:
        return {"x-should-retry": "false"}
    return {
        "retry-after": str(max(1, math.ceil(wait))),
        "retry-after-ms": str(max(1, math.ceil(wait * 1e3))),
        "x-should-retry": "true" if error.is_retryable else "false",
    }


def body_for(error: Exception) -> dict[str, Any]:
    """What is told of an error in an event; one that is none of ours is not told."""
    return answer_for(error if isinstance(error, FairleadError) else FairleadError()).body


def event_for(error: Exception) -> bytes:
    """The event that ends a broken stream."""
    body = json.dumps(body_for(error), ensure_ascii=False, separators=(",", ":"))
    return b"data: " + body.encode() + b"\n\n"


def log(error: FairleadError, status_code: int, path: str) -> None:
    """Log what the client is not told: of faults that are not the request's, everything."""
    if status_code >= 500:
        _log.warning("%d at %s: %s: %s", status_code, path, type(error).__name__, error)


async def exception_handler(connection: HTTPConnection, error: Exception) -> JSONResponse | None:
    """Answers an error of fairlead; any other is raised.

    A WebSocket that was accepted, or whose server cannot answer it, is closed instead, with the code of
    `answer_for` as the reason: 1013 (try again later) where the status would be 429 or 503, 1008 where the
    request is to blame, else 1011. Without `add_exception_handlers`, so is every one that may be accepted.
    """
    if not isinstance(error, FairleadError):
        raise error
    told = answer_for(error)
    log(error, told.status_code, connection.url.path)
    answer = JSONResponse(told.body, told.status_code, told.headers)
    if not isinstance(connection, WebSocket):
        return answer
    state = state_of(connection)
    if state is WebSocketState.CONNECTING and _can_answer(connection):
        return answer
    if state not in (WebSocketState.DISCONNECTED, WebSocketState.RESPONSE):
        # A close is right before it is accepted, and after.
        with suppress(WebSocketDisconnect, OSError):
            await connection.close(_close_code(told.status_code), _close_reason(told))
    return None


def _can_answer(socket: WebSocket) -> bool:
    """Can its server answer it like a request?"""
    return "websocket.http.response" in (socket.scope.get("extensions") or {})


def _close_code(status_code: int) -> int:
    if status_code in (429, 503):
        return 1013
    return 1008 if status_code < 500 else 1011


def _close_reason(told: ErrorAnswer) -> str:
    detail = told.body["error"]
    reason: str = detail["code"] or detail["type"]
    return reason.encode()[:MOST_REASON].decode(errors="ignore")


async def validation_handler(request: Request, error: Exception) -> JSONResponse:
    """Answers an invalid request in the same shape."""
    if not isinstance(error, RequestValidationError):
        raise error
    first: Mapping[str, Any] = next(iter(error.errors()), {})
    param = ".".join(str(part) for part in first.get("loc", ())[1:]) or None
    message = f"{param}: {first.get('msg')}" if param else str(first.get("msg", "invalid request"))
    detail = {"message": message, "type": _REQUEST, "param": param, "code": "invalid_value"}
    return JSONResponse({"error": detail}, 422)


def add_exception_handlers(app: FastAPI, *, validation: bool = False) -> None:
    """Let `app` answer fairlead's errors as `answer_for` says, and close WebSockets that meet one.

    Args:
        app: the application.
        validation: invalid requests (422) get the same shape too. Default: FastAPI's own.
    """
    # Starlette's types know handlers of requests, and handlers of WebSockets, but none of both.
    app.add_exception_handler(FairleadError, exception_handler)  # type: ignore[arg-type]
    app.add_middleware(SocketMiddleware)
    if validation:
        app.add_exception_handler(RequestValidationError, validation_handler)


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "The request is wrong, too long, or its content was refused.",
        404: "No such model.",
        429: "A limit, a quota or a budget is reached; Retry-After says when to come back.",
        502: "The model's provider failed, or its answer is of no use.",
        503: "No provider of the model can be asked at the moment.",
        504: "The model did not answer in time.",
    }.items()
}
"""What a route that calls a model may answer, for `responses=`."""
