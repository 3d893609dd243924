"""How many tokens messages come to, and what upstreams teach about that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from .. import _core
from ._messages import Message

Count: TypeAlias = Callable[[Message], float]
"""How many tokens a message comes to, what surrounds it included."""

AROUND = 3.0
"""Tokens around all messages together, as OpenAI documents for its chat models."""

TOKENIZERS = 1.35
"""So much more or less than estimated is likely the tokenizer's doing; the rest stands before all prompts."""

SLOPES = (0.25, 4.0)
"""The least and the most counted tokens for one that was estimated."""

APART = 64.0
"""Estimated tokens that two prompts must differ by to teach what one token more comes to."""

BEFORE = 4096.0
"""Tokens that a host may plausibly put before a short prompt."""


def counted_as(model: str | None) -> Count:
    """As the engine estimates requests to `model`: by the size of what is written, and by its family."""
    return partial(_tokens, model or "")


def _tokens(model: str, message: Message) -> float:
    return _core._estimate(model, [message])[0]


@dataclass(slots=True)
class Line:
    """Counted tokens over estimated ones: exact for the prompt counted last, and from there by a slope."""

    slope: float = 1.0
    base: float = 0.0
    estimated: float = 0.0
    counted: float = 0.0

    def tokens(self, estimated: float) -> float:
        """What will be counted where so many are estimated."""
        return self.base + self.slope * estimated

    def estimate(self, tokens: float) -> float:
        """The most that may be estimated for so many to be counted."""
        return (tokens - self.base) / self.slope

    def learn(self, estimated: float, counted: float) -> None:
        """So many were counted where so many had been estimated."""
        if not (estimated > 0 and counted > 0):
            return
        counted = min(counted, estimated * SLOPES[1] + BEFORE)
        further = estimated - self.estimated
        if not self.counted:
            self.slope = _between(counted / estimated, 1 / TOKENIZERS, TOKENIZERS)
        elif abs(further) >= max(APART, self.estimated / 10):
            slope = _between((counted - self.counted) / further, *SLOPES)
            self.slope = (self.slope + slope) / 2
        self.base = counted - self.slope * estimated
        if self.base < 0:
            self.slope, self.base = max(SLOPES[0], counted / estimated), 0.0
        self.estimated, self.counted = estimated, counted


def _between(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
