"""What was found: checks with their outcome, as text or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["fine", "note", "finding"]
"""`note` is worth knowing; only a `finding` is something wrong."""

MARKS: dict[Outcome, str] = {"fine": "ok", "note": "note", "finding": "WRONG"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    place: str
    """The deployment or provider; empty where it is the machine or the configuration."""
    subject: str
    """`configuration`, `key`, `proxy`, `dns`, `connect`, `tls`, `answer`, `clock`, `models`, `credits` or
    `ping`."""
    outcome: Outcome
    detail: str
    """What was seen."""
    advice: str | None = None
    """What to do; None where all is fine."""
    seconds: float | None = None
    """How long it took, where that was measured."""


class Report:
    """All checks, in order. Secrets that are known beforehand are blotted out of every text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.checks: list[Check] = []
        self._secrets = sorted((secret for secret in secrets if len(secret) >= 8), key=len, reverse=True)

    @property
    def is_well(self) -> bool:
        """Was nothing found?"""
        return not self.findings

    @property
    def findings(self) -> list[Check]:
        """What is wrong."""
        return [check for check in self.checks if check.outcome == "finding"]

    def add(
        self,
        place: str,
        subject: str,
        outcome: Outcome,
        detail: str,
        advice: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Note down a check; what is fine needs no advice."""
        words = None if advice is None or outcome == "fine" else self._blotted(advice)
        self.checks.append(Check(place, subject, outcome, self._blotted(detail), words, seconds))

    def as_json(self) -> dict[str, Any]:
        """Everything as plain objects."""
        return {
            "ok": self.is_well,
            "findings": len(self.findings),
            "checks": [asdict(check) for check in self.checks],
        }

    def lines(self) -> Iterable[str]:
        """Everything as lines of text."""
        place = None
        for check in self.checks:
            if check.place != place:
                place = check.place
                yield place or "here"
            took = "" if check.seconds is None else f" ({1000 * check.seconds:.0f} ms)"
            yield f"  {MARKS[check.outcome]:<5} {check.subject:<13} {check.detail}{took}"
            if check.advice is not None:
                yield f"        -> {check.advice}"
        counts = Counter(check.outcome for check in self.checks)
        yield f"{counts['finding']} wrong, {counts['note']} to note, {counts['fine']} fine"

    def _blotted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
