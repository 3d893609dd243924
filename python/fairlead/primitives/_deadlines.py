"""The error of a deadline that has passed."""

from __future__ import annotations

from .. import _core
from ..errors import DeadlineExceeded, FairleadError, _make


def exceeded(deadline: _core.Deadline, detail: str = "") -> FairleadError:
    """What is raised for `deadline`."""
    about = f": {detail}" if detail else ""
    return _make(DeadlineExceeded, f"the deadline of {deadline.seconds:g} s passed{about}")
