"""How room under a limit is waited for."""

from __future__ import annotations

from asyncio import get_running_loop

from .._core import Deadline, Lease, Limiter
from .._ports import port_of
from ..errors import QueueTimeout
from ..options import current_deadline
from ._deadlines import exceeded

MOST = 2**53
"""The largest whole limit that the core counts exactly."""
FINEST = 1e-6
"""What of a bucket counts."""


async def take(limiter: Limiter, n: float, timeout: float | None, key: str | None = None) -> Lease:
    """Wait for room in the line; cancelled it leaves the line, and takes nothing."""
    lease = limiter.try_take(n, key)
    if lease is not None:
        return lease
    patience, deadline = _patience(timeout)
    loop = get_running_loop()
    port = port_of(loop)
    future, number = limiter.start_take(port, loop, n, patience, key)
    try:
        return await future
    except QueueTimeout as error:
        if deadline is not None:
            raise exceeded(deadline, str(error)) from error
        raise
    except BaseException:
        port.cancel(number)
        # It may have been granted in the same turn of the loop.
        if future.done() and not future.cancelled() and future.exception() is None:
            future.result().release()
        raise


def take_sync(limiter: Limiter, n: float, timeout: float | None, key: str | None = None) -> Lease:
    """As `take`, blocking this thread."""
    lease = limiter.try_take(n, key)
    if lease is not None:
        return lease
    patience, deadline = _patience(timeout)
    try:
        return limiter.block_take(n, patience, key)
    except QueueTimeout as error:
        if deadline is not None:
            raise exceeded(deadline, str(error)) from error
        raise


def _patience(timeout: float | None) -> tuple[float | None, Deadline | None]:
    """The longest wait in seconds, and the scope's deadline where that is what bounds it."""
    deadline = current_deadline()
    if deadline is None:
        return timeout, None
    left = deadline.remaining
    return (timeout, None) if timeout is not None and timeout <= left else (left, deadline)
