"""Trying again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from .._core import Backoff
from ._course import Course
from ._forms import Forms, finished
from ._numbers import whole
from .attempt import Attempt, AttemptsAsync, AttemptsSync
from .retry_budget import RetryBudget

Decision: TypeAlias = bool | float | None
"""Try again after the usual wait, or not (`False`, `None`), or after so many seconds."""
On: TypeAlias = "type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], Decision]"
"""What is tried again: classes of exceptions, or a hook that says so of each."""


class Retry(Forms):
    """Calls again what failed in a way that may pass.

    ```python
    retry = fairlead.Retry(on=ConnectionError, attempts=3, timeout=45.0)
    await retry(fetch, url)                  # and `retry(function, *args)`, `retry.call(function)`
    @retry                                   # sync and async functions
    for attempt in retry:                    # any block; `async for` waits without blocking
        with attempt:
            ...
    ```

    A wait that the exception asks for (`retry_after`, up to 60 s) comes before the usual one and is never
    shortened, not even by a hook, which may lengthen it. When nothing is left to try, the last exception is
    raised as it is, with a note that says how often it was tried and why no more. Cancellation and interrupts
    are never tried again. One object serves any number of calls at once.

    Args:
        on: what is tried again: a class of exceptions, several, or a hook that is given the exception and
            answers with `True`, `False` or `None`, or the seconds to wait. What is none of these is a
            `TypeError`.
        attempts: calls in all, the first included; `None` is no limit but `timeout`.
        base: the first step in seconds; steps double.
        cap: the longest step in seconds.
        timeout: seconds from the beginning after which nothing is tried again: a wait that would end later is
            not begun. `None` is no limit. The deadline of a scope holds as well. What runs is not
            interrupted.
        jitter: `full` waits between nothing and the step, `equal` between its half and it, `decorrelated`
            between the base and three times the wait before, `none` exactly the step.
        preset: other waits instead of `base`, `cap` and `jitter`: `hand_written` (1, 2, 4 ... 30 s and up to
            half a second more), `tenacity` (2, 2, 4, 8, 10 s ...), `rising` (1, 2, 3 s ... after timeouts, 2,
            4, 6 s ... without a connection).
        budget: what these retries draw on together with others.

    Raises:
        TypeError: when `on` is none of these.
        ValueError: when a number is out of range.
    """

    def __init__(
        self,
        *,
        on: On,
        attempts: int | None = 3,
        base: float = 0.05,
        cap: float = 20.0,
        timeout: float | None = 45.0,
        jitter: Literal["full", "equal", "decorrelated", "none"] = "full",
        preset: Literal["hand_written", "tenacity", "rising"] | None = None,
        budget: RetryBudget | None = None,
    ) -> None:
        classes = on if isinstance(on, tuple) else (on,)
        self._classes: tuple[type[Exception], ...] = ()
        self._hook: Callable[[Exception], Decision] | None = None
        if classes and all(isinstance(one, type) and issubclass(one, Exception) for one in classes):
            self._classes = tuple(one for one in classes if isinstance(one, type))
        elif not isinstance(on, tuple | type) and callable(on):
            self._hook = on
        else:
            raise TypeError(f"Retry: `on` is a class of exceptions, a tuple of them, or a function: {on!r}")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"Retry: `timeout` is 0 or more seconds: {timeout}")
        self.attempts = None if attempts is None else whole("Retry", "attempts", attempts, 1)
        """Calls in all."""
        self.timeout = timeout
        """Seconds after which nothing is tried again."""
        self.budget = budget
        """What these retries draw on together with others."""
        self._backoff = Backoff(base, cap, jitter, preset)

    def decide(self, error: Exception) -> Decision:
        """Is `error` tried again?"""
        if self._hook is not None:
            return self._hook(error)
        return isinstance(error, self._classes)

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        course = Course(self, self._backoff)
        while True:
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                wait = course.wait_after(error)
                if wait is None:
                    raise
            else:
                return finished(result, function)
            time.sleep(wait)

    async def _run_async(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        course = Course(self, self._backoff)
        while True:
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                wait = course.wait_after(error)
                if wait is None:
                    raise
            await asyncio.sleep(wait)

    def __iter__(self) -> AttemptsSync:
        return AttemptsSync(Course(self, self._backoff))

    def __aiter__(self) -> AttemptsAsync:
        return AttemptsAsync(Course(self, self._backoff))

    def __repr__(self) -> str:
        return f"Retry(attempts={self.attempts}, timeout={self.timeout})"


__all__ = ["Attempt", "Decision", "On", "Retry"]
