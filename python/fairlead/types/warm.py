"""What `warm_up()` returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Warmed:
    """What came of warming one deployment up."""

    deployment: str
    """Its id, else `provider/model`; of `models`, the name that leads nowhere."""
    ok: bool
    """Does the first call meet a connection that stands?"""
    seconds: float
    """How long it took."""
    error: str | None
    """Why not, in a sentence."""
