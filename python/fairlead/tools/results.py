"""What a tool returned, as the model is told it: text as it is, everything else as JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Mapping, Set
from typing import Any


def text_of(result: Any) -> str:
    """Text as it is, everything else as JSON; whatever it is, something can be told of it."""
    if isinstance(result, str) and not isinstance(result, enum.Enum):
        return result
    try:
        plain = _plain(result)
        return plain if isinstance(plain, str) else _JSON.encode(plain)
    except Exception:
        return _said(result)


def sendable(text: str) -> str:
    """The text without halves of surrogate pairs, as names of files may have them: they cannot be sent."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """The value as JSON has it: objects by their members, what has no form in JSON as text."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | str | int | float):
        return value
    if isinstance(value, Mapping):
        return {_name(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple | Set):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return _of_object(value)


def _of_object(value: Any) -> Any:
    if isinstance(value, type):
        return _said(value)
    if callable(getattr(value, "model_dump", None)):
        return _plain(_dumped(value))
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    for name in ("isoformat", "tolist"):
        # Dates and times; arrays and numbers of numpy and its kin.
        if callable(made := getattr(value, name, None)):
            return _plain(made())
    return _said(value)


def _dumped(value: Any) -> Any:
    try:
        return value.model_dump(mode="json")
    except Exception:
        # It holds what only Python has, or is a `model_dump` of another make.
        return value.model_dump()


def _name(key: Any) -> str:
    """The key of a member."""
    plain = _plain(key)
    return plain if isinstance(plain, str) else _JSON.encode(plain)


def _said(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
