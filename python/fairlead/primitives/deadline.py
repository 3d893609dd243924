"""One end for everything inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from .. import _core
from ..options import scope
from ._deadlines import exceeded
from ._forms import Guard


class Deadline(_core.Deadline, Guard):
    """An end, so many seconds after its making, on the monotonic clock.

    ```python
    deadline = fairlead.Deadline(20)
    with deadline: ...           # every call inside ends by then, whatever its own deadline
    async with deadline: ...     # and what still runs then is cancelled
    deadline.check()             # raises when it has passed
    ```

    `@fairlead.Deadline(20)` and `fairlead.Deadline(20)(function, *args)` give every call an end of its own,
    20 seconds after its beginning. Code that blocks cannot be interrupted: in sync code the end holds for
    calls to models, for waits of the other primitives, and where `check` is called.

    Args:
        seconds: how long it is, 0 or more.

    Raises:
        ValueError: when `seconds` is below 0.
    """

    def __init__(self, seconds: float) -> None:
        Guard.__init__(self)

    def check(self) -> None:
        """Raise if it has passed.

        Raises:
            DeadlineExceeded: it has.
        """
        if self.expired:
            raise exceeded(self)

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return Guard._run(Deadline(self.seconds), function, args, kwargs)

    async def _run_async(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return await Guard._run_async(Deadline(self.seconds), function, args, kwargs)

    @contextmanager
    def _passage(self) -> Iterator[None]:
        with scope(deadline=self):
            yield

    @asynccontextmanager
    async def _async_passage(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self.remaining)
        await limit.__aenter__()
        try:
            with scope(deadline=self):
                yield
        except BaseException as error:
            await self._leave(limit, error)
            raise
        await self._leave(limit, None)

    async def _leave(self, limit: asyncio.Timeout, error: BaseException | None) -> None:
        """End the limit; what it cancelled has passed the deadline."""
        try:
            await limit.__aexit__(type(error) if error else None, error, None)
        except TimeoutError:
            raise exceeded(self) from None

    def __repr__(self) -> str:
        return f"Deadline({self.seconds:g}, remaining={self.remaining:.3f})"
