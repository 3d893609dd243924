"""What came of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import BatchError, _make
from ..types import ChatCompletion


@dataclass(frozen=True)
class Result:
    """What came of one request."""

    index: int
    """The place of the request in the batch."""
    value: Any = None
    """The reply, as of `chat.completions.create` or `embeddings.create`; None where it failed."""
    error: Exception | None = None
    """Why it failed; None where it was answered."""
    seconds: float = 0.0
    """How long it took, waits included."""
    turns: int = 1
    """How often it was asked: again only where it was turned away."""
    restored: bool = False
    """Was it answered in an earlier run, and is it in the journal? Then the reply has no receipt."""
    input_tokens: int = 0
    """Tokens of the prompt."""
    output_tokens: int = 0
    """Tokens of the answer."""
    cost_usd: float | None = None
    """US dollars; None where the price is not known, or nothing was answered."""

    @property
    def ok(self) -> bool:
        """Was it answered?"""
        return self.error is None

    @property
    def text(self) -> str:
        """The text of the answer.

        Raises:
            Exception: `error`, where it failed.
            TypeError: where the answer has none.
        """
        reply = self.unwrap()
        if not isinstance(reply, ChatCompletion):
            raise TypeError("vectors have no text")
        return reply.choices[0].message.content or ""

    def unwrap(self) -> Any:
        """The reply.

        Raises:
            Exception: `error`, where it failed.
        """
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True)
class BatchSummary:
    """A batch in numbers."""

    ok: int
    failed: int
    restored: int
    """Those of `ok` and `failed` that are from the journal."""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """US dollars, of what the journal restores too; None where the price of an answer is not known."""
    seconds: float
    """From the first request to the last answer, in this run."""


class Results(list[Result]):
    """A `Result` for each request, in the order of the requests."""

    def __init__(self, results: Iterable[Result] = (), seconds: float = 0.0) -> None:
        super().__init__(results)
        self._seconds = seconds

    @property
    def ok(self) -> bool:
        """Was every request answered?"""
        return all(result.ok for result in self)

    @property
    def failures(self) -> list[Result]:
        """Those that failed."""
        return [result for result in self if not result.ok]

    @property
    def summary(self) -> BatchSummary:
        """All of them in numbers."""
        answered = [result for result in self if result.ok]
        costs = [result.cost_usd for result in answered]
        known = [cost for cost in costs if cost is not None]
        return BatchSummary(
            ok=len(answered),
            failed=len(self) - len(answered),
            restored=sum(result.restored for result in self),
            input_tokens=sum(result.input_tokens for result in self),
            output_tokens=sum(result.output_tokens for result in self),
            cost_usd=sum(known) if len(known) == len(costs) else None,
            seconds=self._seconds,
        )

    def unwrap(self) -> list[Any]:
        """The replies.

        Raises:
            BatchError: when a request failed; its cause is the first failure.
        """
        if failures := self.failures:
            first = failures[0]
            message = f"{len(failures)} of {len(self)} requests failed, the first: {first.error}"
            error: Any = _make(BatchError, message)
            error.failures = tuple(failures)
            raise error from first.error
        return [result.value for result in self]
