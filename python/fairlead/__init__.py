"""fairlead leads every call to a language model in the right direction and takes the friction out of it.

The names below are imported when they are first used: `import fairlead` itself reads next to nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""As in `typing`, which would take longer to import than all of this."""

if TYPE_CHECKING:
    from typing import Any

    from . import errors, types
    from ._core import Purse, Secret, __version__
    from .accumulate import ChatCompletionStreamState
    from .batch import BatchSummary, Result, Results
    from .client import AsyncClient, Client
    from .conversation import Conversation
    from .defaults import acompletion, aembedding, completion, embedding
    from .errors import (
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        Attempt,
        AttemptTimeout,
        AuthenticationError,
        BadRequestError,
        BatchError,
        BudgetExceeded,
        CircuitOpen,
        ClientClosed,
        ConfigError,
        ConflictError,
        ConnectError,
        ConnectionReset,
        ConnectTimeout,
        ConsumerTooSlow,
        ContentFiltered,
        ContentFilterFinishReasonError,
        ContextLengthExceeded,
        DeadlineExceeded,
        DnsError,
        FairleadError,
        FirstTokenTimeout,
        HeadersTimeout,
        InternalError,
        InternalServerError,
        LengthFinishReasonError,
        LimitExceeded,
        LocalResourceError,
        MalformedResponse,
        MalformedStream,
        ModelNotFound,
        NoHealthyDeployment,
        NotFoundError,
        OverloadedError,
        PermissionDeniedError,
        PoolTimeout,
        ProtocolError,
        ProxyError,
        QueueTimeout,
        QuotaExceeded,
        RateLimitError,
        ResponseTooLarge,
        ResponseTruncated,
        StreamIdleTimeout,
        StreamInterrupted,
        StreamTruncated,
        StructuredOutputError,
        TLSError,
        ToolError,
        ToolLoopError,
        UnexpectedRedirect,
        UnprocessableEntityError,
        WriteTimeout,
    )
    from .keys import register_secret_plugin
    from .options import NOT_GIVEN, NotGiven, Options, Timeout, scope
    from .primitives.circuit_breaker import CircuitBreaker, CircuitChange
    from .primitives.concurrency import Concurrency
    from .primitives.deadline import Deadline
    from .primitives.rate_limit import RateLimit
    from .primitives.retry import Retry
    from .primitives.retry_budget import RetryBudget
    from .primitives.testing_mode import set_testing
    from .primitives.token_bucket import TokenBucket
    from .response import APIResponse, StreamAPIResponse
    from .router import Router
    from .spending import Spending
    from .stream import AsyncStream, Stream
    from .structured.course import Structured
    from .tools.course import ToolCall, ToolRun
    from .tools.tool import Tool, tool

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AsyncStream",
    "Attempt",
    "AttemptTimeout",
    "AuthenticationError",
    "BadRequestError",
    "BatchError",
    "BatchSummary",
    "BudgetExceeded",
    "ChatCompletionStreamState",
    "CircuitBreaker",
    "CircuitChange",
    "CircuitOpen",
    "Client",
    "ClientClosed",
    "Concurrency",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionReset",
    "ConsumerTooSlow",
    "ContentFilterFinishReasonError",
    "ContentFiltered",
    "ContextLengthExceeded",
    "Conversation",
    "Deadline",
    "DeadlineExceeded",
    "DnsError",
    "FairleadError",
    "FirstTokenTimeout",
    "HeadersTimeout",
    "InternalError",
    "InternalServerError",
    "LengthFinishReasonError",
    "LimitExceeded",
    "LocalResourceError",
    "MalformedResponse",
    "MalformedStream",
    "ModelNotFound",
    "NoHealthyDeployment",
    "NotFoundError",
    "NotGiven",
    "Options",
    "OverloadedError",
    "PermissionDeniedError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "Purse",
    "QueueTimeout",
    "QuotaExceeded",
    "RateLimit",
    "RateLimitError",
    "ResponseTooLarge",
    "ResponseTruncated",
    "Result",
    "Results",
    "Retry",
    "RetryBudget",
    "Router",
    "Secret",
    "Spending",
    "Stream",
    "StreamAPIResponse",
    "StreamIdleTimeout",
    "StreamInterrupted",
    "StreamTruncated",
    "Structured",
    "StructuredOutputError",
    "TLSError",
    "Timeout",
    "TokenBucket",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolLoopError",
    "ToolRun",
    "UnexpectedRedirect",
    "UnprocessableEntityError",
    "WriteTimeout",
    "__version__",
    "acompletion",
    "aembedding",
    "completion",
    "embedding",
    "errors",
    "register_secret_plugin",
    "scope",
    "set_testing",
    "tool",
    "types",
]

_HOMES = {
    "_core": (
        "Purse",
        "Secret",
        "__version__",
    ),
    "accumulate": ("ChatCompletionStreamState",),
    "batch.results": (
        "BatchSummary",
        "Result",
        "Results",
    ),
    "client": (
        "AsyncClient",
        "Client",
    ),
    "conversation": ("Conversation",),
    "defaults": (
        "acompletion",
        "aembedding",
        "completion",
        "embedding",
    ),
    "errors": (
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "APIStatusError",
        "APITimeoutError",
        "Attempt",
        "AttemptTimeout",
        "AuthenticationError",
        "BadRequestError",
        "BatchError",
        "BudgetExceeded",
        "CircuitOpen",
        "ClientClosed",
        "ConfigError",
        "ConflictError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectionReset",
        "ConsumerTooSlow",
        "ContentFiltered",
        "ContentFilterFinishReasonError",
        "LengthFinishReasonError",
        "ContextLengthExceeded",
        "DeadlineExceeded",
        "DnsError",
        "FairleadError",
        "FirstTokenTimeout",
        "HeadersTimeout",
        "InternalError",
        "InternalServerError",
        "LimitExceeded",
        "LocalResourceError",
        "MalformedResponse",
        "MalformedStream",
        "ModelNotFound",
        "NoHealthyDeployment",
        "NotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PoolTimeout",
        "ProtocolError",
        "ProxyError",
        "QueueTimeout",
        "QuotaExceeded",
        "RateLimitError",
        "ResponseTooLarge",
        "ResponseTruncated",
        "StreamIdleTimeout",
        "StreamInterrupted",
        "StreamTruncated",
        "StructuredOutputError",
        "TLSError",
        "ToolError",
        "ToolLoopError",
        "UnexpectedRedirect",
        "UnprocessableEntityError",
        "WriteTimeout",
    ),
    "keys": ("register_secret_plugin",),
    "options": (
        "NOT_GIVEN",
        "NotGiven",
        "Options",
        "Timeout",
        "scope",
    ),
    "primitives.circuit_breaker": (
        "CircuitBreaker",
        "CircuitChange",
    ),
    "primitives.concurrency": ("Concurrency",),
    "primitives.deadline": ("Deadline",),
    "primitives.rate_limit": ("RateLimit",),
    "primitives.retry": ("Retry",),
    "primitives.retry_budget": ("RetryBudget",),
    "primitives.testing_mode": ("set_testing",),
    "primitives.token_bucket": ("TokenBucket",),
    "response": (
        "APIResponse",
        "StreamAPIResponse",
    ),
    "router": ("Router",),
    "spending": ("Spending",),
    "stream": (
        "AsyncStream",
        "Stream",
    ),
    "structured.course": ("Structured",),
    "tools.course": (
        "ToolCall",
        "ToolRun",
    ),
    "tools.tool": (
        "Tool",
        "tool",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in ("errors", "types"):
        return import_module(f".{name}", __name__)
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'fairlead' has no attribute '{name}'")
    found = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return found


def __dir__() -> list[str]:
    return __all__
