"""Who is told about calls: the `on_event` hooks and the `fairlead` logger, on one daemon thread.

Nothing here sees a prompt, an answer or a key: receipts hold none.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _ports
from ._core import Feed
from .errors import Problem

if TYPE_CHECKING:
    from .types import Receipt

Hook = Callable[["Receipt"], object]
"""Called with the receipt of every call; what it returns is ignored, what it raises is logged."""

LOGGER = "fairlead"
"""The logger's name. Calls are logged on INFO, failed ones on WARNING."""

VARIABLE = "FAIRLEAD_LOG"
"""Set to a level (`info`, `warning`), switches logging to stderr on."""

_MOST_NOTES = 1000
"""Notes that are remembered, so that each is logged once."""

_PATIENCE = 1.0
"""Seconds between two looks at whether the process is ending."""

_started: list[_Teller] = []


class _Teller:
    """One thread and its queue."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.hooks: list[Hook] = []
        self.logs = False
        self.logger = logging.getLogger(LOGGER)
        self._noted: set[str] = set()
        self._ending = False
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="fairlead-hooks", daemon=True)
        self._thread.start()

    def forked(self) -> None:
        """The thread stayed in the parent; its queue may be locked for ever."""
        self.feed = Feed()
        self._begin()

    def end(self) -> None:
        """Tell what is left, then stop."""
        self._ending = True
        self.feed.wake()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while True:
            ending = self._ending
            for receipt in self.feed.take(0.0 if ending else _PATIENCE):
                self._tell(receipt)
            for quiet, failed, sentence in self.feed.notices():
                if self.logs or not quiet:
                    self._log(logging.WARNING if failed else logging.INFO, "%s", sentence)
            if ending:
                return

    def _tell(self, receipt: Receipt) -> None:
        for hook in list(self.hooks):
            try:
                hook(receipt)
            except BaseException:  # also what ends a thread: the next receipt is told by the same one
                self.feed.hook_failed()
                self._log(logging.ERROR, "an on_event hook failed", exc_info=True)
        if not self.logs:
            return
        failed = receipt.outcome not in ("ok", "cancelled")
        self._log(
            logging.WARNING if failed else logging.INFO,
            "%s %s via %s: %d attempts, %.3f s, request %s",
            receipt.model,
            receipt.outcome,
            receipt.deployment or "nobody",
            len(receipt.attempts),
            receipt.timings.total or 0.0,
            receipt.request_id,
        )
        for level, notes in (
            (logging.WARNING, receipt.notes),
            (logging.INFO, receipt.route.notes if receipt.route else ()),
        ):
            for note in notes:
                self._note(level, note)

    def _note(self, level: int, note: str) -> None:
        if note not in self._noted and len(self._noted) < _MOST_NOTES:
            self._noted.add(note)
            self._log(level, "%s", note)

    def _log(self, level: int, message: str, *arguments: object, **options: Any) -> None:
        """Write a record; a handler or filter that raises is counted and costs nothing else."""
        try:
            self.logger.log(level, message, *arguments, **options)
        except BaseException:
            self.feed.hook_failed()


def feed_for(hooks: Hook | Iterable[Hook] | None, watched: bool = False) -> Feed | None:
    """The queue that a new client's engine fills, if anybody listens or its configuration may change."""
    listeners = [] if hooks is None else [hooks] if callable(hooks) else list(hooks)
    logs = _logging()
    if not listeners and not logs and not watched:
        return None
    teller = _Teller()
    teller.hooks, teller.logs = listeners, logs
    if not _started:
        atexit.register(_end)
        _ports.after_fork.append(_forked)
    _started.append(teller)
    return teller.feed


def warn(problems: list[dict[str, Any]]) -> None:
    """Log what a configuration warns about, each on a line."""
    for problem in problems:
        logging.getLogger(LOGGER).warning("configuration: %s", Problem(**problem))


def _logging() -> bool:
    level = os.environ.get(VARIABLE)
    logger = logging.getLogger(LOGGER)
    if level and not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(level.upper())
    return logger.level != logging.NOTSET and logger.isEnabledFor(logging.WARNING)


def _end() -> None:
    for teller in _started:
        teller.end()


def _forked() -> None:
    for teller in _started:
        teller.forked()
