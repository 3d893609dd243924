"""How far a batch is, shown or told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .results import Result

REDRAWN_EVERY = 0.1
"""Seconds between two drawings of the plain bar."""


@dataclass
class Progress:
    """How far a batch is."""

    total: int | None
    """Requests in all; None where that cannot be told beforehand."""
    done: int = 0
    """Requests with a result."""
    failed: int = 0
    """Those of them that failed."""
    restored: int = 0
    """Those of them that an earlier run answered."""
    cost_usd: float = 0.0
    """US dollars so far, as far as prices are known."""

    def count(self, result: Result) -> None:
        """One more."""
        self.done += 1
        self.failed += not result.ok
        self.restored += result.restored
        self.cost_usd += result.cost_usd or 0.0


Shown = bool | Callable[[Progress], Any] | None
"""True shows a bar, False none, None one where somebody looks; a function is called, or awaited, after every
result."""


class Bar:
    """A bar on standard error: tqdm's where that is installed, in notebooks too, else a plain line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar = _tqdm(progress.total)
        self._drawn = 0.0

    def draw(self) -> None:
        """After a result."""
        if self._bar is not None:
            if self._progress.failed:
                self._bar.set_postfix(failed=self._progress.failed, refresh=False)
            self._bar.update(1)
        elif (now := time.monotonic()) - self._drawn >= REDRAWN_EVERY:
            self._drawn = now
            self._line("")

    def close(self) -> None:
        """Leaves the last state."""
        if self._bar is not None:
            self._bar.close()
        else:
            self._line("\n")

    def _line(self, end: str) -> None:
        of = "" if self._progress.total is None else f"/{self._progress.total}"
        failed = f", {self._progress.failed} failed" if self._progress.failed else ""
        sys.stderr.write(f"\r{self._progress.done}{of}{failed}{end}")
        sys.stderr.flush()


def bar_for(shown: Shown, progress: Progress) -> Bar | None:
    """A bar, if one is wanted."""
    if shown is None:
        shown = _is_watched()
    return Bar(progress) if shown is True else None


def _is_watched() -> bool:
    """Is there a terminal, or a notebook?"""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return sys.stderr.isatty() or hasattr(shell, "kernel")


def _tqdm(total: int | None) -> Any:
    try:
        auto: Any = import_module("tqdm.auto")
    except ImportError:
        return None
    # Without the thread that tqdm begins to look after bars that stand still.
    quiet = type("Bar", (auto.tqdm,), {"monitor_interval": 0})
    return quiet(total=total, unit="call")
