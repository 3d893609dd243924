"""What can go wrong, as one tree.

Below `FairleadError` it has the names of the OpenAI SDK. When that SDK is loaded, every exception derives
from its class of that meaning too, so that `except openai.RateLimitError` catches ours; it is never imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Attempt(NamedTuple):
    """One upstream request of a call."""

    deployment: str
    """`provider/model`."""
    error: str | None
    """The class of its failure; `None` is success, `Superseded` another attempt that answered first."""
    status_code: int | None
    """The HTTP status, where there was a response."""
    duration: float
    """Seconds."""
    request_id: str | None
    """The provider's request id."""
    counted: bool
    """Did it count against `max_retries`?"""


class Headers(Mapping[str, str]):
    """Response headers; names are found in any case. Repeated headers are joined by a comma."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        """Names and values as they came."""

    def __getitem__(self, name: str) -> str:
        values = [value for known, value in self.pairs if known.lower() == name.lower()]
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.pairs))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


class ErrorRequest(NamedTuple):
    """The request of a failed call."""

    method: str
    """The HTTP method."""
    url: str
    """The URL without its query."""


class ErrorResponse:
    """The response of a failed call: plain data."""

    def __init__(self, status_code: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.status_code = status_code
        """The HTTP status."""
        self.headers = Headers(headers)
        """Headers worth showing."""
        self.content = content
        """The body, up to 64 KiB of it."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: when it is none.
        """
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<ErrorResponse [{self.status_code}]>"


class FairleadError(Exception):
    """The root of all errors of this package."""

    message: str
    """One sentence with its numbers."""
    attempts: tuple[Attempt, ...] = ()
    """Every upstream request of the call, in order."""
    model: str | None = None
    """The model the caller named."""
    deployment: str | None = None
    """The deployment that failed, `provider/model`."""
    provider: str | None = None
    """Its provider."""
    status_code: int | None = None
    """The HTTP status, where there was a response."""
    request_id: str | None = None
    """The provider's request id."""
    retry_after: float | None = None
    """Seconds to wait, by the upstream's word or by our own limits."""
    is_retryable: bool = False
    """May the caller try again, after our own attempts are spent?"""
    retry_denied: str | None = None
    """Why no further attempt was made: deadline, attempts, commit, wait, class, budget or limits."""
    body: object = None
    """The provider's error object."""
    code: str | None = None
    """The provider's error code."""
    type: str | None = None
    """The provider's error type."""
    param: str | None = None
    """The parameter the provider blames."""
    partial: str = ""
    """The text of a stream that was received before it broke."""
    response: Any = None
    """The response (`ErrorResponse`), where there was one."""
    request: Any = None
    """The request (`ErrorRequest`), where one was made."""
    run: Any = None
    """What `run_tools` had done (`ToolRun`) when the call failed."""

    def __init__(self, message: str = "") -> None:
        Exception.__init__(self, message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        leaf = type(self).__dict__.get("_leaf", type(self))
        return _load, (leaf, self.message, {**vars(self)})


class Problem(NamedTuple):
    """One thing that is wrong with a configuration, or worth a warning. Holds no key."""

    path: str
    """The key, such as `models.smart.deployments[0].provider`; empty where it is the whole."""
    message: str
    """What is wrong."""
    suggestion: str | None = None
    """What may have been meant."""
    file: str | None = None
    """The file, or the variable of the environment; `None` for a dict."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1, in characters."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        path = f"`{self.path}`" if self.path else ""
        hint = f"; did you mean `{self.suggestion}`?" if self.suggestion else ""
        return ": ".join(part for part in (place, path, self.message) if part) + hint


class ConfigError(FairleadError, ValueError):
    """The configuration or the call's own arguments are wrong; nothing was sent."""

    problems: tuple[Problem, ...] = ()
    """Everything that is wrong with the configuration, in the order of the files."""


class ClientClosed(FairleadError):
    """The client was closed."""


class InternalError(FairleadError):
    """A defect in fairlead."""


class CircuitOpen(FairleadError):
    """A `CircuitBreaker` is open, and nothing was done; `retry_after` says when it lets a probe through."""

    is_retryable: bool = True
    """Not where it was isolated by hand."""


class LengthFinishReasonError(FairleadError):
    """An answer that was to be parsed was cut off by its length limit; `completion` is what there is."""

    completion: Any = None
    """The reply."""


class ContentFilterFinishReasonError(FairleadError):
    """An answer that was to be parsed was cut off by a content filter; `completion` is what there is."""

    completion: Any = None
    """The reply."""


class StructuredOutputError(FairleadError):
    """An answer is not the object that was asked for, or the model refused; `attempts` are of all calls."""

    raw: str = ""
    """The last answer as the model wrote it."""
    errors: Sequence[str] = ()
    """What is wrong with it, with its place: `$.steps[0].text: is missing`."""
    repairs: int = 0
    """How often the model had been shown what was wrong."""
    refusal: str | None = None
    """Why the model refused, in its own words."""
    completion: Any = None
    """The last reply."""


class ToolError(FairleadError):
    """To be raised by a tool: the model is told `message` and nothing else."""


class ToolLoopError(FairleadError):
    """`run_tools` reached a bound before the model gave its answer; `run` is what was done until then."""

    reason: str = ""
    """`turns`: `max_turns` are used up; `repeats`: the same call failed again and again."""


class BatchError(FairleadError):
    """Requests of a batch failed: raised by `Results.unwrap`."""

    failures: tuple[Any, ...] = ()
    """The results of those that failed."""


class APIError(FairleadError):
    """A call that was made failed."""


class APIStatusError(APIError):
    """The provider answered with an error status."""


class BadRequestError(APIStatusError):
    """400: the request itself is wrong."""


class ContextLengthExceeded(BadRequestError):
    """The prompt does not fit the model's window."""


class ContentFiltered(BadRequestError):
    """The provider's content policy refused the prompt or the answer."""


class UnprocessableEntityError(APIStatusError):
    """422: well-formed, but its content was refused."""


class NotFoundError(APIStatusError):
    """404, or an unknown model in any status."""


class ModelNotFound(NotFoundError):
    """The name of the model leads nowhere; nothing was sent. The message names the nearest ones."""


class AuthenticationError(APIStatusError):
    """401, or a 400 that means a bad key."""


class PermissionDeniedError(APIStatusError):
    """403."""


class ConflictError(APIStatusError):
    """409."""


class RateLimitError(APIStatusError):
    """429 with a wait."""


class QuotaExceeded(RateLimitError):
    """Money or a long quota is used up."""


class _Limit:
    """Which limit of our own refused. Nothing was sent, so there is no `response`."""

    status_code: int | None = 429
    """What a gateway answers with."""
    limit_type: str | None = None
    """What it counts: `requests`, `tokens`, `input_tokens`, `output_tokens`, `concurrency` or `cost`."""
    scope: str | None = None
    """Whom it counts for: `global`, `tenant`, `user`, `key`, `model`, `deployment` or `credential`."""
    limit: float | None = None
    """How much it allows; of a budget, US dollars."""
    window: str | None = None
    """Over which time, such as `60 s`, `day` or `at once`."""
    resets_at: datetime | None = None
    """When a budget begins anew, in UTC."""


class BudgetExceeded(_Limit, QuotaExceeded):
    """A budget of our own is used up; `resets_at` says until when."""


class LimitExceeded(_Limit, RateLimitError):
    """A limit of our own has no room; `retry_after` says for how long."""


class QueueTimeout(_Limit, RateLimitError):
    """No room under our own limits came in time."""


class InternalServerError(APIStatusError):
    """5xx and 408."""


class OverloadedError(InternalServerError):
    """529, or 503 with a body that says overloaded."""


class NoHealthyDeployment(InternalServerError):
    """Every candidate was refused, open or spent; `retry_after` says when the first may be asked again."""

    status_code: int | None = 503
    """What a gateway answers with."""


class UnexpectedRedirect(APIStatusError):
    """A 3xx on an inference call; redirects are never followed."""


class APIConnectionError(APIError):
    """The connection failed or broke."""


class ConnectError(APIConnectionError):
    """No connection: refused, unreachable."""


class LocalResourceError(APIConnectionError):
    """This machine had no file descriptor left for a connection. Nothing was sent."""


class ProxyError(APIConnectionError):
    """The proxy wants credentials that it was not given (407). Nothing reached the provider."""


class DnsError(APIConnectionError):
    """The host name did not resolve."""


class TLSError(APIConnectionError):
    """The TLS handshake failed."""


class ConnectionReset(APIConnectionError):
    """The connection was reset before the answer began."""


class ProtocolError(APIConnectionError):
    """The upstream broke HTTP framing."""


class ResponseTruncated(APIConnectionError):
    """The body ended early."""


class StreamInterrupted(APIConnectionError):
    """The connection broke after content had been handed out; `partial` is what was received."""


class StreamTruncated(APIConnectionError):
    """The stream ended without saying that it was finished; `partial` is what was received."""


class ConsumerTooSlow(APIConnectionError):
    """The reader fell behind further than the buffer allows."""


class APITimeoutError(APIConnectionError):
    """Something took too long."""


class ConnectTimeout(APITimeoutError):
    """No connection in time."""


class WriteTimeout(APITimeoutError):
    """The upstream stopped reading our request."""


class HeadersTimeout(APITimeoutError):
    """The response head did not complete in time."""


class FirstTokenTimeout(APITimeoutError):
    """No content in time."""


class StreamIdleTimeout(APITimeoutError):
    """A stream or body was silent for too long."""


class AttemptTimeout(APITimeoutError):
    """The attempt took longer than its limit."""


class PoolTimeout(APITimeoutError):
    """No free connection in time."""


class DeadlineExceeded(APITimeoutError):
    """The call's own deadline passed."""


class APIResponseValidationError(APIError):
    """The provider answered with something that is not an answer."""


class MalformedResponse(APIResponseValidationError):
    """HTTP 200 that is not an answer."""


class MalformedStream(APIResponseValidationError):
    """A stream event that is not one, after content had been handed out."""


class ResponseTooLarge(APIResponseValidationError):
    """A body, event, line or header block over its bound."""


_CLASSES: dict[str, type[FairleadError]] = {
    leaf.__name__: leaf
    for leaf in (
        BadRequestError,
        UnprocessableEntityError,
        APIStatusError,
        ContextLengthExceeded,
        ContentFiltered,
        NotFoundError,
        ModelNotFound,
        AuthenticationError,
        PermissionDeniedError,
        QuotaExceeded,
        RateLimitError,
        OverloadedError,
        InternalServerError,
        ConflictError,
        ConnectError,
        LocalResourceError,
        ProxyError,
        DnsError,
        TLSError,
        ConnectionReset,
        ConnectTimeout,
        WriteTimeout,
        HeadersTimeout,
        FirstTokenTimeout,
        StreamIdleTimeout,
        AttemptTimeout,
        PoolTimeout,
        DeadlineExceeded,
        ProtocolError,
        ResponseTruncated,
        MalformedResponse,
        ResponseTooLarge,
        UnexpectedRedirect,
        StreamInterrupted,
        StreamTruncated,
        ConsumerTooSlow,
        MalformedStream,
        LimitExceeded,
        QueueTimeout,
        BudgetExceeded,
        NoHealthyDeployment,
        ConfigError,
        ClientClosed,
        InternalError,
    )
}

_combined: dict[tuple[type[FairleadError], type[BaseException]], type[FairleadError]] = {}


def _class_for(leaf: type[FairleadError]) -> type[FairleadError]:
    """The leaf, or the class that is also openai's when openai is loaded."""
    openai = sys.modules.get("openai")
    for ours in leaf.__mro__ if openai is not None else ():
        theirs = getattr(openai, ours.__name__, None)
        if isinstance(theirs, type) and issubclass(theirs, Exception) and ours.__module__ == __name__:
            return _combine(leaf, theirs)
    return leaf


def _combine(leaf: type[FairleadError], theirs: type[Exception]) -> type[FairleadError]:
    known = _combined.get((leaf, theirs))
    if known is None:
        made = type(leaf.__name__, (leaf, theirs), {"_leaf": leaf, "__doc__": leaf.__doc__})
        made.__module__, made.__qualname__ = leaf.__module__, leaf.__qualname__
        known = _combined.setdefault((leaf, theirs), made)
    return known


def _make(leaf: type[FairleadError], message: str) -> FairleadError:
    found = _class_for(leaf)
    error = found.__new__(found, message)
    FairleadError.__init__(error, message)
    return error


def _load(leaf: type[FairleadError], message: str, fields: dict[str, Any]) -> FairleadError:
    """What pickling kept; of the classes that are loaded now."""
    error = _make(leaf, message)
    vars(error).update(fields)
    return error


def _from_core(name: str, message: str, fields: dict[str, Any]) -> FairleadError:
    """The exception for an error of the core."""
    error = _make(_CLASSES[name], message)
    headers, content, url = fields.pop("headers"), fields.pop("content"), fields.pop("url")
    method, in_band = fields.pop("method"), fields.pop("in_band")
    fields["attempts"] = tuple(Attempt(**attempt) for attempt in fields["attempts"])
    if "resets_at" in fields and fields["resets_at"] is not None:
        fields["resets_at"] = datetime.fromtimestamp(fields["resets_at"], UTC)
    if "problems" in fields:
        fields["problems"] = tuple(Problem(**problem) for problem in fields["problems"])
    for name in ("model", "deployment", "provider"):
        fields[name] = fields[name] or None
    status_code = fields.pop("status_code")
    vars(error).update(fields)
    error.body = _inner(content)
    if status_code is not None or in_band:
        error.status_code = status_code
        error.response = ErrorResponse(status_code or 200, headers, content)
    if url:
        error.request = ErrorRequest(method, url)
    return error


def _inner(content: bytes) -> object:
    """The error object inside a body; text where it is no JSON."""
    if not content:
        return None
    try:
        body = json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    return body.get("error", body) if isinstance(body, dict) else body
