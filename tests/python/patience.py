"""Waiting for what happens on other threads."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST = 30.0
"""Seconds after which it will not happen any more; in truth it is milliseconds."""


def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
