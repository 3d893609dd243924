"""What is known of a call beyond the SDK's own objects: its receipt, or fairlead's error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from .._core import RawReply, StreamCore
from ..errors import FairleadError
from ..types import Receipt

KEY = "fairlead"
"""In the `extensions` of requests and responses."""

_collected: ContextVar[tuple[list[Receipt], ...]] = ContextVar("fairlead_openai_receipts", default=())


@contextlib.contextmanager
def receipts() -> Iterator[list[Receipt]]:
    """Collects the receipts of all calls inside that were answered, also in tasks that are started there.

    ```python
    with fairlead.openai.receipts() as told:
        agent.run_sync("...")
    print([receipt.deployment for receipt in told], sum(receipt.cost_usd or 0 for receipt in told))
    ```

    A stream's receipt comes when the stream ends or is closed.
    """
    told: list[Receipt] = []
    token = _collected.set((*_collected.get(), told))
    try:
        yield told
    finally:
        _collected.reset(token)


def collect(reply: RawReply | StreamCore) -> None:
    """Hand the receipt to whoever collects them."""
    collectors = _collected.get()
    if collectors:
        told = reply.fairlead
        for collector in collectors:
            collector.append(told)


def receipt(response: Any) -> Receipt:
    """Why and how a call was served.

    Args:
        response: what `with_raw_response` or `with_streaming_response` returns, a stream of the SDK, or a
            response of httpx or httpx2. A stream's receipt is complete once the stream has ended.

    Raises:
        TypeError: when it is none of these, or no call of the engine stands behind it. Parsed replies do not
            know their response: use `with_raw_response`, or `receipts()`.
    """
    http = getattr(response, "http_response", None) or getattr(response, "response", None) or response
    told = getattr(http, "extensions", {}).get(KEY)
    if isinstance(told, RawReply | StreamCore):
        return told.fairlead
    raise TypeError(
        f"no receipt goes with {type(response).__name__}: pass a raw response or a stream, or use receipts()"
    )


def failure(error: BaseException) -> FairleadError | None:
    """fairlead's error behind an exception of the SDK: with its attempts, deployment, limits, `partial`.

    Returns:
        `None` where the exception comes from elsewhere.
    """
    if isinstance(error, FairleadError):
        return error
    request = getattr(error, "request", None)
    told = getattr(request, "extensions", {}).get(KEY)
    return told if isinstance(told, FairleadError) else None
