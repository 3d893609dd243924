"""So many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from .._core import Lease, Limiter
from ._forms import Guard
from ._limits import MOST, take, take_sync
from ._numbers import whole


@dataclass(frozen=True, slots=True)
class ConcurrencySnapshot:
    """Slots at one moment."""

    most: int
    """How many there are."""
    in_use: int
    """How many are taken."""
    waiting: int
    """How many wait."""


class Concurrency(Guard):
    """At most `most` at once, over all threads and event loops of the process.

    ```python
    slots = fairlead.Concurrency(8)
    async with slots: ...        # so do `with`, `@slots` and `slots(function, *args)`
    if slots.try_acquire():      # does not wait
        try: ...
        finally: slots.release()
    ```

    Those who wait are served first come, first served. A cancelled wait takes nothing. A forked child counts
    for itself, from nothing.

    Args:
        most: how many slots there are, a whole number above 0.
        name: what errors call it.

    Raises:
        ValueError: when it is none.
    """

    def __init__(self, most: int, *, name: str | None = None) -> None:
        super().__init__()
        self.most = whole("Concurrency", "most", most, 1, MOST)
        """How many slots there are."""
        self.name = name or f"Concurrency({most})"
        """What errors call it."""
        self._limiter = Limiter("concurrency", self.most, 0.0, self.name)
        self._held: list[Lease] = []

    def try_acquire(self) -> bool:
        """Take a slot if one is free and nobody waits for it; to be given back with `release`."""
        lease = self._limiter.try_take()
        if lease is None:
            return False
        self._held.append(lease)
        return True

    async def acquire(self, timeout: float | None = None) -> None:
        """Take a slot, after a wait in line if need be; to be given back with `release`.

        Args:
            timeout: the longest wait in seconds. `None` is no limit.

        Raises:
            QueueTimeout: no slot in time.
            DeadlineExceeded: no slot before the deadline of the scope.
        """
        self._held.append(await take(self._limiter, 1, timeout))

    def acquire_sync(self, timeout: float | None = None) -> None:
        """As `acquire`, blocking this thread."""
        self._held.append(take_sync(self._limiter, 1, timeout))

    def release(self) -> None:
        """Give a slot back that `acquire` or `try_acquire` took.

        Raises:
            RuntimeError: when none was taken.
        """
        try:
            lease = self._held.pop()
        except IndexError:
            raise RuntimeError(f"{self.name}: released more often than acquired") from None
        lease.release()

    def snapshot(self) -> ConcurrencySnapshot:
        """Its state now."""
        return ConcurrencySnapshot(self.most, int(self._limiter.used()), self._limiter.waiting())

    @contextmanager
    def _passage(self) -> Iterator[None]:
        lease = take_sync(self._limiter, 1, None)
        try:
            yield
        finally:
            lease.release()

    @asynccontextmanager
    async def _async_passage(self) -> AsyncIterator[None]:
        lease = await take(self._limiter, 1, None)
        try:
            yield
        finally:
            lease.release()

    def __repr__(self) -> str:
        return self.name
