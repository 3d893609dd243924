"""Numbers as arguments."""

from __future__ import annotations

WORD = 2**32 - 1
"""The largest that the core counts failures and probes with."""


def whole(owner: str, name: str, value: float, least: int, most: int | None = None) -> int:
    """The whole number that `name` of `owner` is.

    Raises:
        ValueError: when it is none from `least` to `most`.
    """
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = least - 1
    if number != value or number < least or (most is not None and number > most):
        bounds = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"{owner}: `{name}` is a whole number, {bounds}: {value!r}")
    return number
