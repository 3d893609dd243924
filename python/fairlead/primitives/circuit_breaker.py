"""Leaves alone what fails over and over."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from .. import _core
from ..errors import (
    CircuitOpen,
    ClientClosed,
    ConfigError,
    ConflictError,
    ConsumerTooSlow,
    DeadlineExceeded,
    FairleadError,
    InternalError,
    LocalResourceError,
    ModelNotFound,
    NoHealthyDeployment,
    PoolTimeout,
    ProxyError,
    RateLimitError,
    _Limit,
    _make,
)
from ._course import asked_by
from ._forms import Guard
from ._numbers import WORD, whole

State: TypeAlias = Literal["closed", "open", "half_open", "isolated"]
Failing: TypeAlias = "type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]"
"""Which exceptions are failures: classes, or a function that says so of each."""

_SAY_NOTHING = (
    _Limit,
    CircuitOpen,
    ClientClosed,
    ConfigError,
    ConsumerTooSlow,
    DeadlineExceeded,
    InternalError,
    LocalResourceError,
    ModelNotFound,
    NoHealthyDeployment,
    PoolTimeout,
    ProxyError,
)
"""What happened on this side: whoever was to be asked neither failed nor answered."""


@dataclass(frozen=True, slots=True)
class CircuitChange:
    """A breaker changed its state."""

    name: str
    """The breaker's."""
    before: State
    """The state before."""
    after: State
    """The state after."""
    reason: str
    """`consecutive`, `ratio`, `slow`, `time`, `probe_failed`, `probe_answered`, `isolate` or `reset`."""
    message: str
    """A sentence with its numbers."""
    open_for: float | None
    """Seconds that it stays open, where it opened."""


@dataclass(frozen=True, slots=True)
class CircuitBreakerSnapshot:
    """A breaker at one moment."""

    name: str
    """Its name."""
    state: State
    """Its state; an open time that is over reads as half-open."""
    retry_after: float | None
    """Seconds until something is let through, 0 where it is now; `None` where it waits for a reset."""
    consecutive: int
    """Failures without a success between them."""
    calls: int
    """Calls in the window."""
    failed: int
    """Failures in the window."""
    slow: int
    """Slow calls in the window."""
    opened: int
    """How often in a row it has opened."""
    last: tuple[str, ...]
    """The classes of the last three failures, the newest last."""


class CircuitBreaker(Guard):
    """Refuses what fails over and over for a while, then lets a probe through, and closes when that went
    well.

    ```python
    breaker = fairlead.CircuitBreaker(on=ConnectionError, name="search")
    async with breaker: ...      # so do `with`, `@breaker` and `breaker(function, *args)`
    entry = breaker.try_enter()  # None where it is open; else `succeeded()` or `failed(error)` is told
    ```

    Results count for the state in which they began: one that comes late closes or opens nothing. Cancelled
    code says nothing and gives a probe's place back; so do our own refusals, whatever `on` says: no room
    under a limit or in a pool, a budget or a deadline that is used up. Other exceptions that are no failures
    say that the other side is there.

    Args:
        on: which exceptions are failures. Of our own errors, the caller's mistakes and conflicts never are,
            and throttling counts in the ratio only.
        consecutive: failures in a row that open it; default 5, 0 is never.
        ratio: the share of failures in the window that opens it; default 0.5, above 1 is never.
        minimum: calls in the window before shares are judged; default 10.
        window: its length in seconds; default 30.
        open: the first open time in seconds; default 5. It doubles each time in a row, and is spread by a
            fifth.
        longest_open: the longest open time in seconds; default 60.
        probes: how many may be running half-open, and must go well to close it; default 1.
        slow_after: seconds after which a call is slow; default: none is.
        slow_ratio: the share of slow calls in the window that opens it; default 0.5, above 1 is never.
        preset: `sensitive`, for much traffic: 15 % of at least 20 calls open it for 30 s, growing to 5 min.
        name: what errors and changes call it.
        on_change: called with every change of state, in the thread whose call made it; what it raises is
            logged.

    Raises:
        ValueError: when a number is out of range.
    """

    def __init__(
        self,
        *,
        on: Failing = Exception,
        consecutive: int | None = None,
        ratio: float | None = None,
        minimum: int | None = None,
        window: float | None = None,
        open: float | None = None,
        longest_open: float | None = None,
        probes: int | None = None,
        slow_after: float | None = None,
        slow_ratio: float | None = None,
        preset: Literal["sensitive"] | None = None,
        name: str | None = None,
        on_change: Callable[[CircuitChange], object] | None = None,
    ) -> None:
        super().__init__()
        if preset not in (None, "sensitive"):
            raise ValueError(f"CircuitBreaker: `preset` is `sensitive` or None: {preset}")
        self.name = name or "CircuitBreaker"
        """What errors and changes call it."""
        self._on = on
        self._on_change = on_change
        self._breaker = _core.Breaker(
            preset == "sensitive",
            consecutive=_count("consecutive", consecutive),
            ratio=ratio,
            minimum=_count("minimum", minimum),
            window=window,
            open=open,
            longest_open=longest_open,
            probes=_count("probes", probes),
            slow_after=slow_after,
            slow_ratio=slow_ratio,
        )

    @property
    def state(self) -> State:
        """`closed`, `open`, `half_open` or `isolated`; an open time that is over reads as half-open."""
        state: State = self._breaker.state  # type: ignore[assignment]
        return state

    def try_enter(self) -> Entry | None:
        """Leave to go on once, which is told how it went; `None` where there is none now."""
        entry = self._ask()
        return entry if isinstance(entry, Entry) else None

    def enter(self) -> Entry:
        """As `try_enter`.

        Raises:
            CircuitOpen: there is none now.
        """
        entry = self._ask()
        if isinstance(entry, Entry):
            return entry
        isolated = math.isinf(entry)
        why = "was isolated by hand" if isolated else f"is open after failures; again in {entry:.2f} s"
        error = _make(CircuitOpen, f"{self.name} {why}")
        error.retry_after = None if isolated else entry
        error.is_retryable = not isolated
        raise error

    def isolate(self) -> None:
        """Let nothing through until `reset`."""
        self._tell(self._breaker.isolate())

    def reset(self) -> None:
        """Close it, with nothing counted."""
        self._tell(self._breaker.reset())

    def snapshot(self) -> CircuitBreakerSnapshot:
        """Its state now."""
        view: dict[str, Any] = self._breaker.view()
        view["last"] = tuple(view["last"])
        return CircuitBreakerSnapshot(name=self.name, **view)

    def _ask(self) -> Entry | float:
        asked = self._breaker.ask()
        if not isinstance(asked, _core.Pass):
            return asked
        self._tell(asked.transition())
        return Entry(self, asked)

    def _counts(self, error: Exception) -> bool:
        """Is `error` a failure of what is guarded?"""
        if isinstance(error, ConflictError) or (isinstance(error, FairleadError) and not error.is_retryable):
            return False
        if isinstance(self._on, type | tuple):
            return isinstance(error, self._on)
        return self._on(error)

    def _tell(self, change: dict[str, Any] | None) -> None:
        if change is None or self._on_change is None:
            return
        try:
            self._on_change(CircuitChange(name=self.name, **change))
        except Exception:
            logging.getLogger("fairlead").exception("on_change of %s failed", self.name)

    @contextmanager
    def _passage(self) -> Iterator[None]:
        with self.enter():
            yield

    @asynccontextmanager
    async def _async_passage(self) -> AsyncIterator[None]:
        with self.enter():
            yield

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r} {self.state}>"


class Entry:
    """Leave to go on once. Forgotten, it says nothing. A context manager that tells how it went."""

    def __init__(self, breaker: CircuitBreaker, granted: _core.Pass) -> None:
        self._breaker = breaker
        self._pass = granted

    def succeeded(self) -> None:
        """It went well."""
        self._breaker._tell(self._pass.succeeded())

    def failed(self, error: BaseException) -> None:
        """It ended in `error`: a failure if the breaker's `on` says so, nothing if it was cancelled or we
        refused it ourselves, else a success."""
        if not isinstance(error, Exception) or isinstance(error, _SAY_NOTHING):
            self._pass.forget()
        elif self._breaker._counts(error):
            throttled = isinstance(error, RateLimitError)
            change = self._pass.failed(type(error).__name__, throttled, asked_by(error))
            self._breaker._tell(change)
        else:
            self.succeeded()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.succeeded()
        else:
            self.failed(error)


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else whole("CircuitBreaker", name, value, 0, WORD)
