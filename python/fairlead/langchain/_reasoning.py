"""What a model thought, in the forms that providers have for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_GROWING = ("text", "summary", "data")
"""Members of a detail that come in pieces."""


def reasoning_in(said: Any) -> str:
    """The text of the thoughts in a message or a delta: DeepSeek and others, or OpenRouter."""
    return said.get("reasoning_content") or said.get("reasoning") or ""


def merged(details: Iterable[Any]) -> list[Any]:
    """OpenRouter's `reasoning_details`, pieces of the same detail put together.

    Pieces belong together when they have the same `index` and `type` and follow one another.
    """
    whole: list[Any] = []
    for piece in details:
        last: Any = whole[-1] if whole else None
        if not _belong_together(last, piece):
            whole.append(dict(piece) if isinstance(piece, dict) else piece)
            continue
        for name, value in piece.items():
            if value is None:
                continue
            if name in _GROWING and isinstance(last.get(name), str):
                last[name] += value
            else:
                last[name] = value
    return whole


def _belong_together(last: Any, piece: Any) -> bool:
    return (
        isinstance(last, dict)
        and isinstance(piece, dict)
        and piece.get("index") is not None
        and last.get("index") == piece["index"]
        and last.get("type") == piece.get("type")
    )
