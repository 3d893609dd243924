"""Our errors as LangChain's: every one is an instance of both classes."""

from __future__ import annotations

from typing import Any, TypeVar

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from .. import errors
from ..errors import FairleadError

Failure = TypeVar("Failure", bound=BaseException)

_MEANINGS: dict[type[FairleadError], tuple[type[ModelError], ...]] = {
    errors.ContextLengthExceeded: (ContextOverflowError, ModelInvalidRequestError),
    errors.BadRequestError: (ModelInvalidRequestError,),
    errors.UnprocessableEntityError: (ModelInvalidRequestError,),
    errors.ConflictError: (ModelInvalidRequestError,),
    errors.ConfigError: (ModelInvalidRequestError,),
    errors.AuthenticationError: (ModelAuthenticationError,),
    errors.PermissionDeniedError: (ModelPermissionDeniedError,),
    errors.NotFoundError: (ModelNotFoundError,),
    errors.RateLimitError: (ModelRateLimitError,),
    errors.InternalServerError: (ModelAPIError,),
    errors.APITimeoutError: (ModelTimeoutError,),
    errors.APIConnectionError: (ModelConnectionError,),
    errors.APIResponseValidationError: (ModelAPIError,),
}
"""LangChain's classes of each of ours; of a leaf, those of its nearest ancestor here."""

_known: dict[type[FairleadError], type[FairleadError]] = {}


def is_retryable(error: BaseException) -> bool:
    """May this be tried again? For `with_retry(retry_if_exception_type=is_retryable)` around whole chains.

    Not once fairlead has spent its own attempts on it: retries would multiply.
    """
    if isinstance(error, (ModelError, FairleadError)):
        return error.is_retryable
    return isinstance(error, Exception)


def as_langchain(error: FairleadError) -> FairleadError:
    """The same error, from now on of LangChain's class as well, with its last word on retries."""
    if isinstance(error, ModelError):
        return error
    error.is_retryable = _is_open(error)
    error.__class__ = _class_of(type(error))
    return error


def _is_open(error: FairleadError) -> bool:
    """Is there an attempt that would not come on top of ours?

    Yes where nothing was sent, where one attempt was all we were allowed, and where content had been handed
    out, which forbids us to begin again.
    """
    if not error.is_retryable or not error.attempts:
        return error.is_retryable
    return error.retry_denied == "commit" or (error.retry_denied == "attempts" and len(error.attempts) == 1)


def _class_of(class_: type[FairleadError]) -> type[FairleadError]:
    known = _known.get(class_)
    if known is None:
        meanings = next((_MEANINGS[base] for base in class_.__mro__ if base in _MEANINGS), (ModelError,))
        members = {"__reduce__": _reduce, "__doc__": class_.__doc__, "_leaf": _leaf(class_)}
        made: Any = type(class_.__name__, (class_, *meanings), members)
        made.__module__, made.__qualname__ = class_.__module__, class_.__qualname__
        known = _known.setdefault(class_, made)
    return known


def _leaf(class_: type[FairleadError]) -> type[FairleadError]:
    leaf: type[FairleadError] = class_.__dict__.get("_leaf", class_)
    return leaf


def _reduce(error: Any) -> tuple[Any, ...]:
    return _load, (error._leaf, error.message, {**vars(error)})


def _load(leaf: type[FairleadError], message: str, fields: dict[str, Any]) -> FairleadError:
    """What pickling kept."""
    error = as_langchain(errors._load(leaf, message, fields))
    error.is_retryable = fields.get("is_retryable", error.is_retryable)
    return error
