"""How one call that may be tried again goes on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from .._core import Backoff
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    FairleadError,
    OverloadedError,
    RateLimitError,
)
from ..options import current_deadline
from .testing_mode import attempts_in_tests

if TYPE_CHECKING:
    from .retry import Retry

LONGEST_HINT = 60.0
"""Seconds: a longer wait that is asked for is not waited; the error is raised at once, as the engine does."""
LONGEST_WAIT = 3.2e9
"""A century: no clock waits much longer."""


class Course:
    """What has happened so far to one call."""

    def __init__(self, retry: Retry, backoff: Backoff) -> None:
        self.failures = 0
        """Attempts that failed."""
        self._retry = retry
        self._backoff = backoff
        self._began = time.monotonic()
        self._waited: float | None = None
        if retry.budget is not None:
            retry.budget._allowance.first()

    def wait_after(self, error: Exception) -> float | None:
        """Seconds to wait before the next attempt; `None`: the error is to be raised, and says why."""
        self.failures += 1
        decision = self._retry.decide(error)
        if decision is None or decision is False:
            if self.failures > 1:
                self._note(error, "this exception is not tried again")
            return None
        tested = attempts_in_tests()
        most = self._retry.attempts if tested is None else tested
        if most is not None and self.failures >= most:
            self._note(error, "no attempt was left")
            return None
        asked, said = asked_by(error), said_by(decision, error)
        if said is not None and (asked is None or said >= asked):
            wait = said
        elif asked is None:
            wait = self._backoff.wait(self.failures - 1, self._waited, cause_of(error))
        elif asked > LONGEST_HINT:
            self._note(error, f"it asks for a wait of {asked:g} s, longer than {LONGEST_HINT:g} s")
            return None
        else:
            wait = self._backoff.asked(asked)
        if tested is not None:
            wait = 0.0
        return self._affordable(error, wait)

    def _affordable(self, error: Exception, wait: float) -> float | None:
        if wait > LONGEST_WAIT:
            self._note(error, f"a wait of {wait:g} s has no end")
            return None
        elapsed, timeout = time.monotonic() - self._began, self._retry.timeout
        if timeout is not None and elapsed + wait > timeout:
            self._note(error, f"a wait of {wait:.2f} s would outlast the timeout of {timeout:g} s")
            return None
        deadline = current_deadline()
        if deadline is not None and wait >= deadline.remaining:
            self._note(error, f"a wait of {wait:.2f} s would outlast the deadline of {deadline.seconds:g} s")
            return None
        budget = self._retry.budget
        if budget is not None and not budget._allowance.draw(cause_of(error) == "throttled"):
            self._note(error, "the budget of retries is used up")
            return None
        self._waited = wait
        return wait

    def _note(self, error: Exception, why: str) -> None:
        attempts = "1 attempt" if self.failures == 1 else f"{self.failures} attempts"
        error.add_note(f"fairlead.Retry: {attempts} in {time.monotonic() - self._began:.2f} s; {why}")


def asked_by(error: Exception) -> float | None:
    """Seconds that the exception asks to wait."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, int | float) and not isinstance(asked, bool) and asked >= 0:
        return float(asked)
    return None


def said_by(decision: object, error: Exception) -> float | None:
    """Seconds to wait that a hook says; `None` where it leaves them open."""
    if decision is True:
        return None
    try:
        said = float(decision)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        said = math.nan
    if math.isnan(said):
        told = f"Retry: `on` answers with True, False, None or seconds, not with {type(decision).__name__}"
        raise TypeError(told) from error
    return max(0.0, said)


def cause_of(error: Exception) -> str:
    """What the wait after it depends on."""
    if isinstance(error, RateLimitError | OverloadedError):
        return "throttled"
    if isinstance(error, TimeoutError | APITimeoutError):
        return "timeout"
    if isinstance(error, ConnectionError | APIConnectionError):
        return "connection"
    if not isinstance(error, FairleadError) and getattr(error, "status_code", None) == 429:
        return "throttled"
    return "server"
