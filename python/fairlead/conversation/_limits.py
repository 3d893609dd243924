"""How large the window of a model is, and how much of it is left to the answer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from .. import _core
from ..errors import ConfigError, FairleadError

if TYPE_CHECKING:
    from ..client import AsyncClient, Client

RESERVE = 4096
"""The most tokens that are set aside for an answer where the caller says nothing."""


def window_of(model: str | None, client: Client | AsyncClient | None) -> int | None:
    """The smallest window that is known of those who may serve `model`, in tokens."""
    window: int | None = None
    if client is not None:
        # Where it cannot be routed, the call itself will tell.
        with contextlib.suppress(FairleadError):
            window = client._space(model)["context_window"]
    if window is not None or not model:
        return window
    listed = (entry["context_window"] for entry in _core._models(model)["models"])
    return min((window for window in listed if window), default=None)


def checked(model: str | None, most: int | None, reserve: int | None, client: Any) -> tuple[int, int]:
    """The window and what of it is for the answer.

    Raises:
        ConfigError: when one of them makes no sense, or no window is known.
    """
    if most is None:
        most = window_of(model, client)
    if most is None:
        about = f"of `{model}` " if model else ""
        raise ConfigError(f"`max_tokens`: the window {about}is not known, so say how many tokens it has")
    if reserve is None:
        reserve = min(RESERVE, most // 4)
    if isinstance(most, bool) or most < 1:
        raise ConfigError(f"`max_tokens`: expected tokens, 1 or more, not {most!r}")
    if isinstance(reserve, bool) or not 0 <= reserve < most:
        raise ConfigError(
            f"`reserve`: expected tokens, 0 or more and less than the window's {most}, not {reserve!r}"
        )
    return most, reserve
