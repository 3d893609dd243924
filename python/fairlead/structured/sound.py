"""Is a JSON schema one that answers can be checked against? Asked before anything is sent and paid for.

Only what `check` reads is looked at. Other keywords are the service's to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .schema import resolve

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
"""What `type` may say."""

_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_PLAIN_LISTS = ("enum", "required")
_PARTS = ("items", "additionalProperties", "not")


def look_at(schema: Mapping[str, Any]) -> None:
    """
    Raises:
        TypeError: naming the place of a `type` that is none, or of another keyword with a value of no use.
        ValueError: naming the place of a reference that leads out of the schema, nowhere or into itself.
    """
    waiting: list[tuple[str, Any]] = [("$", schema)]
    seen: set[int] = set()
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, Mapping) and id(part) not in seen:
            seen.add(id(part))
            _type(place, part.get("type"))
            _reference(place, part, schema)
            waiting += _inside(place, part)


def _inside(place: str, part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas in `part`, with their places."""
    for name in (*_MAPS, *_LISTS, *_PLAIN_LISTS):
        wanted, words = (Mapping, "an object") if name in _MAPS else (list | tuple, "a list")
        value = part.get(name)
        if value is not None and not isinstance(value, wanted):
            raise TypeError(f"`schema`: {place}.{name}: expected {words}, not {type(value).__name__}")
    for name in _MAPS:
        for member, inner in (part.get(name) or {}).items():
            yield f"{place}.{name}.{member}", inner
    for name in _LISTS:
        for position, inner in enumerate(part.get(name) or ()):
            yield f"{place}.{name}[{position}]", inner
    for name in _PARTS:
        yield f"{place}.{name}", part.get(name)


def _type(place: str, kinds: Any) -> None:
    for kind in kinds if isinstance(kinds, list | tuple) else [kinds]:
        if kind is not None and kind not in TYPES:
            raise TypeError(f"`schema`: {place}.type: {kind!r} is none of {', '.join(TYPES)}")


def _reference(place: str, part: Mapping[str, Any], root: Mapping[str, Any]) -> None:
    followed = set()
    while isinstance(reference := part.get("$ref"), str):
        if reference in followed:
            raise ValueError(f"`schema`: {place}.$ref: {reference!r} leads into itself")
        followed.add(reference)
        try:
            part = resolve(root, reference)
        except ValueError as error:
            raise ValueError(f"`schema`: {place}.$ref: {error}") from None
