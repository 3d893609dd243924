"""A bucket that is refilled evenly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from .._core import Limiter
from ._forms import Guard
from ._limits import FINEST, MOST, take, take_sync

NANOSECOND = 1e-9


@dataclass(frozen=True, slots=True)
class TokenBucketSnapshot:
    """A bucket at one moment."""

    capacity: float
    """How much is in it when it is full."""
    refill_rate: float
    """How much comes back in a second."""
    available: float
    """How much is in it."""
    waiting: int
    """How many wait."""


class TokenBucket(Guard):
    """At most `capacity` at once, refilled by `refill_rate` a second; full at first.

    ```python
    bucket = fairlead.TokenBucket(capacity=100, refill_rate=10)
    bucket.consume(5)            # False where there is too little: does not wait; `try_acquire` is the same
    await bucket.acquire(5)      # waits, first come, first served
    async with bucket: ...       # takes 1; so do `with`, `@bucket` and `bucket(function, *args)`
    ```

    In any span of t seconds it gives at most `capacity + refill_rate * t`. What a cancelled wait had been
    given goes back. One object serves any thread and event loop; a forked child has a full one of its own.

    Args:
        capacity: how much is in it when it is full; up to six decimals count.
        refill_rate: how much comes back in a second.
        name: what errors call it.

    Raises:
        ValueError: when either is not above 0, or more than can be counted.
    """

    def __init__(self, capacity: float, refill_rate: float, *, name: str | None = None) -> None:
        super().__init__()
        if not FINEST <= capacity <= MOST * FINEST:
            raise ValueError(f"TokenBucket: `capacity` is {FINEST:f} to 9e9: {capacity}")
        if not refill_rate > 0 or capacity / refill_rate < NANOSECOND:
            told = "is above 0 and fills the bucket in a nanosecond or more"
            raise ValueError(f"TokenBucket: `refill_rate` {told}: {refill_rate}")
        self.capacity = float(capacity)
        """How much is in it when it is full."""
        self.refill_rate = float(refill_rate)
        """How much comes back in a second."""
        self.name = name or f"TokenBucket({capacity:g}, {refill_rate:g})"
        """What errors call it."""
        self._limiter = Limiter("token_bucket", capacity, capacity / refill_rate, self.name)

    def consume(self, n: float = 1) -> bool:
        """Take `n` if it is there and nobody waits for it.

        Raises:
            ValueError: when `n` is more than the capacity, or below 0.
        """
        lease = self._limiter.try_take(n)
        if lease is None:
            return False
        lease.keep()
        return True

    def try_acquire(self, n: float = 1) -> bool:
        """`consume`, by the name that the other limits have for it."""
        return self.consume(n)

    async def acquire(self, n: float = 1, timeout: float | None = None) -> None:
        """Take `n`, after a wait in line if need be.

        Args:
            n: how much.
            timeout: the longest wait in seconds; a wait that is known to be longer is not begun. `None` is no
                limit.

        Raises:
            ValueError: when `n` is more than the capacity, or below 0.
            QueueTimeout: no room in time; `retry_after` says when there may be.
            DeadlineExceeded: no room before the deadline of the scope.
        """
        (await take(self._limiter, n, timeout)).keep()

    def acquire_sync(self, n: float = 1, timeout: float | None = None) -> None:
        """As `acquire`, blocking this thread."""
        take_sync(self._limiter, n, timeout).keep()

    def snapshot(self) -> TokenBucketSnapshot:
        """Its state now."""
        available = max(0.0, self.capacity - self._limiter.used())
        return TokenBucketSnapshot(self.capacity, self.refill_rate, available, self._limiter.waiting())

    @contextmanager
    def _passage(self) -> Iterator[None]:
        self.acquire_sync()
        yield

    @asynccontextmanager
    async def _async_passage(self) -> AsyncIterator[None]:
        await self.acquire()
        yield

    def __repr__(self) -> str:
        return self.name
