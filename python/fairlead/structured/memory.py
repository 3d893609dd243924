"""What refusals have taught about models."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .way import Way

MOST_REMEMBERED = 1024
"""Of how many models the way is remembered."""


class Memory:
    """Which way each model takes. Shared by the clients of one engine; other configurations are others."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, str | None], Way] = {}

    def recall(self, configuration: str, model: str | None) -> Way:
        """The first way to try."""
        return self._ways.get((configuration, model), "json_schema")

    def remember(self, configuration: str, model: str | None, way: Way) -> None:
        """From now on begin with this one."""
        if len(self._ways) >= MOST_REMEMBERED:
            self._ways.clear()
        self._ways[configuration, model] = way
