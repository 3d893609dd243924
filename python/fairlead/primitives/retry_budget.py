"""What retries draw on together."""

from __future__ import annotations

from dataclasses import dataclass

from .._core import Allowance


@dataclass(frozen=True, slots=True)
class RetryBudgetSnapshot:
    """A budget of retries at one moment."""

    ratio: float
    """Retries for each first attempt."""
    floor: float
    """Retries a second, whatever the traffic."""
    balance: float
    """Whole retries that could be made now."""


class RetryBudget:
    """How many retries all who share it may make: a share of first attempts, so that an outage is not
    multiplied.

    In any ten seconds retries come to at most `ratio` of the first attempts in them, and `floor` a second.

    Args:
        ratio: retries for each first attempt.
        floor: retries a second, whatever the traffic; those of ten seconds may come at once.

    Raises:
        ValueError: when either is below 0.
    """

    def __init__(self, ratio: float = 0.2, floor: float = 1.0) -> None:
        self.ratio = ratio
        """Retries for each first attempt."""
        self.floor = floor
        """Retries a second, whatever the traffic."""
        self._allowance = Allowance(ratio, floor)

    def snapshot(self) -> RetryBudgetSnapshot:
        """Its state now."""
        return RetryBudgetSnapshot(self.ratio, self.floor, self._allowance.balance)

    def __repr__(self) -> str:
        return f"RetryBudget(ratio={self.ratio:g}, floor={self.floor:g})"
