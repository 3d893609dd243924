"""So many in a window of time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal

from .._core import Limiter
from ._forms import Guard
from ._limits import FINEST, MOST, take, take_sync
from ._numbers import whole

Algorithm = Literal["sliding", "log", "token_bucket"]


@dataclass(frozen=True, slots=True)
class RateLimitSnapshot:
    """A limit at one moment, for everybody or one key."""

    most: int
    """How many a window allows."""
    per: float
    """The window in seconds."""
    used: int
    """How many count now."""
    available: int
    """How many would be let through now."""
    waiting: int
    """How many wait."""


class RateLimit(Guard):
    """At most `most` in any window of `per` seconds.

    ```python
    limit = fairlead.RateLimit(300, per=60)
    limit.try_acquire()          # False where there is no room: does not wait
    await limit.acquire()        # waits, first come, first served
    limit.try_acquire(key="u1")  # a count for each key
    with limit.of("u1"): ...     # all forms for one key; `with limit:` has one count for all
    ```

    One object serves any thread and event loop; a forked child counts for itself, from nothing.

    Args:
        most: how many, a whole number above 0.
        per: the window in seconds.
        algorithm: `sliding` never lets more than `most` through in any window and holds back 1/257 of a large
            one at most; `log` keeps every single one, to the nanosecond; `token_bucket` refills evenly, so
            that a window may see `burst` beyond `most`.
        burst: how many may come at once with `token_bucket`; default: `most`.
        name: what errors call it.

    Raises:
        ValueError: when a number is not above 0, or `burst` comes with another algorithm.
    """

    def __init__(
        self,
        most: int,
        per: float = 60.0,
        *,
        algorithm: Algorithm = "sliding",
        burst: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if algorithm not in ("sliding", "log", "token_bucket"):
            raise ValueError(f"`algorithm`: expected sliding, log or token_bucket: {algorithm}")
        if burst is not None and algorithm != "token_bucket":
            raise ValueError(f"`burst` belongs to algorithm='token_bucket', not to {algorithm!r}")
        largest = int(MOST * FINEST) if algorithm == "token_bucket" else MOST
        self.most = whole("RateLimit", "most", most, 1, largest)
        """How many a window allows."""
        self.per = float(per)
        """The window in seconds."""
        self.name = name or f"RateLimit({most}, per={per:g})"
        """What errors call it."""
        self._whole = self.most if burst is None else whole("RateLimit", "burst", burst, 1, largest)
        self._limiter = Limiter(algorithm, self.most, per, self.name, self._whole)

    def of(self, key: str) -> KeyedRateLimit:
        """The same limit for one key, in all forms."""
        return KeyedRateLimit(self, key)

    def try_acquire(self, n: int = 1, *, key: str | None = None) -> bool:
        """Count `n` if there is room and nobody waits for it.

        Args:
            n: how many.
            key: whose count it is; `None` is the one for all, which no key adds to.

        Raises:
            ValueError: when `n` is more than ever fits, or below 0.
        """
        lease = self._limiter.try_take(n, key)
        if lease is None:
            return False
        lease.keep()
        return True

    async def acquire(self, n: int = 1, timeout: float | None = None, *, key: str | None = None) -> None:
        """Count `n`, after a wait in line if need be; each key has a line of its own.

        Args:
            n: how many.
            timeout: the longest wait in seconds; a wait that is known to be longer is not begun. `None` is no
                limit.
            key: whose count it is.

        Raises:
            ValueError: when `n` is more than ever fits, or below 0.
            QueueTimeout: no room in time; `retry_after` says when there may be.
            DeadlineExceeded: no room before the deadline of the scope.
        """
        (await take(self._limiter, n, timeout, key)).keep()

    def acquire_sync(self, n: int = 1, timeout: float | None = None, *, key: str | None = None) -> None:
        """As `acquire`, blocking this thread."""
        take_sync(self._limiter, n, timeout, key).keep()

    def snapshot(self, key: str | None = None) -> RateLimitSnapshot:
        """Its state now, for one key or the count for all."""
        used = int(-(-self._limiter.used(key) // 1))
        available = max(0, self._whole - used)
        waiting = self._limiter.waiting(key)
        return RateLimitSnapshot(self.most, self.per, used, available, waiting)

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


class KeyedRateLimit(Guard):
    """A `RateLimit` for one key. Made by `RateLimit.of`."""

    def __init__(self, limit: RateLimit, key: str) -> None:
        super().__init__()
        self._limit = limit
        self.key = key
        """Whose count it is."""

    def try_acquire(self, n: int = 1) -> bool:
        """As `RateLimit.try_acquire`."""
        return self._limit.try_acquire(n, key=self.key)

    async def acquire(self, n: int = 1, timeout: float | None = None) -> None:
        """As `RateLimit.acquire`."""
        await self._limit.acquire(n, timeout, key=self.key)

    def acquire_sync(self, n: int = 1, timeout: float | None = None) -> None:
        """As `RateLimit.acquire_sync`."""
        self._limit.acquire_sync(n, timeout, key=self.key)

    def snapshot(self) -> RateLimitSnapshot:
        """Its state now."""
        return self._limit.snapshot(self.key)

    @contextmanager
    def _passage(self) -> Iterator[None]:
        self.acquire_sync()
        yield

    @asynccontextmanager
    async def _async_passage(self) -> AsyncIterator[None]:
        await self.acquire()
        yield
