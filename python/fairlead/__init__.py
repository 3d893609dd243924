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
    from ._core import Secret, __version__
    from .accumulate import ChatCompletionStreamState
    from .client import AsyncClient, Client
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
        BudgetExceeded,
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
        TLSError,
        UnexpectedRedirect,
        UnprocessableEntityError,
        WriteTimeout,
    )
    from .keys import register_secret_plugin
    from .options import NOT_GIVEN, NotGiven, Options, Timeout, scope
    from .response import APIResponse, StreamAPIResponse
    from .router import Router
    from .stream import AsyncStream, Stream

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
    "BudgetExceeded",
    "ChatCompletionStreamState",
    "Client",
    "ClientClosed",
    "ConfigError",
    "ConflictError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionReset",
    "ConsumerTooSlow",
    "ContentFilterFinishReasonError",
    "ContentFiltered",
    "ContextLengthExceeded",
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
    "QueueTimeout",
    "QuotaExceeded",
    "RateLimitError",
    "ResponseTooLarge",
    "ResponseTruncated",
    "Router",
    "Secret",
    "Stream",
    "StreamAPIResponse",
    "StreamIdleTimeout",
    "StreamInterrupted",
    "StreamTruncated",
    "TLSError",
    "Timeout",
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
    "types",
]

_HOMES = {
    "_core": (
        "Secret",
        "__version__",
    ),
    "accumulate": ("ChatCompletionStreamState",),
    "client": (
        "AsyncClient",
        "Client",
    ),
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
        "BudgetExceeded",
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
        "TLSError",
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
    "response": (
        "APIResponse",
        "StreamAPIResponse",
    ),
    "router": ("Router",),
    "stream": (
        "AsyncStream",
        "Stream",
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
