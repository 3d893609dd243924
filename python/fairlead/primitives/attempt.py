"""One turn of a loop over a `Retry`."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from ._course import Course


class Attempt:
    """One turn: `with attempt:` around what may fail. Left well, it is the last."""

    def __init__(self, course: Course) -> None:
        self.number = course.failures + 1
        """Counted from 1."""
        self._course = course
        self._wait: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._wait = self._course.wait_after(error)
        return self._wait is not None


class _Attempts:
    def __init__(self, course: Course) -> None:
        self._course = course
        self._last: Attempt | None = None

    def _wait(self) -> float | None:
        """Seconds until the next turn; `None`: there is none."""
        return 0.0 if self._last is None else self._last._wait

    def _next(self) -> Attempt:
        self._last = Attempt(self._course)
        return self._last


class AttemptsSync(_Attempts):
    """The turns of a `for` loop."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        wait = self._wait()
        if wait is None:
            raise StopIteration
        if wait > 0:
            time.sleep(wait)
        return self._next()


class AttemptsAsync(_Attempts):
    """The turns of an `async for` loop."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Attempt:
        wait = self._wait()
        if wait is None:
            raise StopAsyncIteration
        if wait > 0:
            await asyncio.sleep(wait)
        return self._next()
