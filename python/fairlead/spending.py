"""What several calls came to together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .types import Receipt


@dataclass(frozen=True)
class Spending:
    """Tokens and money of calls that belong together."""

    calls: int
    """Calls that were answered."""
    input_tokens: int
    """Tokens of their prompts, those from a cache too."""
    output_tokens: int
    """Tokens of their answers."""
    cost_usd: float | None
    """US dollars; None where the price of one of them is not known."""

    @property
    def total_tokens(self) -> int:
        """Prompts and answers together."""
        return self.input_tokens + self.output_tokens

    @classmethod
    def of(cls, receipts: Iterable[Receipt]) -> Spending:
        """What these calls came to."""
        told = list(receipts)
        usages = [receipt.usage for receipt in told if receipt.usage is not None]
        costs = [receipt.cost_usd for receipt in told]
        known = [cost for cost in costs if cost is not None]
        return cls(
            len(told),
            sum(usage.input or 0 for usage in usages),
            sum(usage.output or 0 for usage in usages),
            sum(known) if len(known) == len(costs) else None,
        )
