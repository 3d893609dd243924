"""How many calls at once: as many as are answered without being throttled.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), with the slow start of TCP (RFC 5681): each
answer raises the number by one until the first throttling, then a whole round of answers raises it by one.
Throttling halves it, once for all calls that were in flight together: those that were sent before the number
fell say nothing new.
"""

from __future__ import annotations

import math

BEGIN = 8.0
"""Calls at once before anything is known."""


class Pace:
    """The number of calls at once.

    Args:
        most: never more than so many, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._number = min(BEGIN, self._most)
        self._doubles = True
        self._round = 0

    @property
    def number(self) -> int:
        """Calls that may be in flight now."""
        return math.floor(self._number)

    @property
    def round(self) -> int:
        """What a call that begins now belongs to; given back with its answer."""
        return self._round

    def answered(self, in_flight: int) -> None:
        """A call was answered, with so many in flight, itself included."""
        # What is not used says nothing of how much there is.
        if in_flight * 2 >= self._number:
            step = 1.0 if self._doubles else 1.0 / self._number
            self._number = min(self._most, self._number + step)

    def throttled(self, round: int) -> None:
        """A call that began in `round` was throttled."""
        if round == self._round:
            self._round += 1
            self._doubles = False
            self._number = max(1.0, self._number / 2.0)
