"""A value against a JSON schema: the keywords that schemas of answers and tools are made of.

Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `patternProperties`,
`items`, `prefixItems`, `anyOf`, `oneOf`, `allOf`, `not`, `$ref` inside the schema, and the bounds of numbers,
texts and lists. Other keywords say nothing here, as JSON Schema has it for keywords that are not known.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from .schema import resolve

MOST_PROBLEMS = 20
"""How many problems are told of one value."""

MAX_DEPTH = 200
"""How deep values and references may nest together."""


def problems(value: Any, schema: Any) -> list[str]:
    """All that is wrong with `value`, with its place (`$.steps[0].text: ...`), up to `MOST_PROBLEMS`."""
    return list(islice(_Check(schema).found(value, schema, "$", 0), MOST_PROBLEMS))


def same(one: Any, other: Any) -> bool:
    """Are they equal as JSON: true is not 1, but 1 is 1.0?"""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def _is(value: Any, kind: Any) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in ("number", "integer"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return kind == "number" or isinstance(value, int) or value.is_integer()
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(kind, object))


def _kind(value: Any) -> str:
    kinds = ("null", "boolean", "integer", "number", "string", "array", "object")
    return next((kind for kind in kinds if _is(value, kind)), type(value).__name__)


class _Check:
    def __init__(self, root: Any) -> None:
        self._root = root

    def found(self, value: Any, schema: Any, place: str, depth: int) -> Iterator[str]:
        if schema is False:
            yield f"{place}: nothing may stand here"
        if not isinstance(schema, Mapping):
            return
        if depth > MAX_DEPTH:
            yield f"{place}: nests deeper than {MAX_DEPTH} levels"
            return
        if isinstance(schema.get("$ref"), str):
            yield from self.found(value, resolve(self._root, schema["$ref"]), place, depth + 1)
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if kinds != [None] and not any(_is(value, kind) for kind in kinds):
            yield f"{place}: expected {' or '.join(map(str, kinds))}, not {_kind(value)}"
            return
        yield from self._choices(value, schema, place, depth)
        if isinstance(value, dict):
            yield from self._object(value, schema, place, depth)
        elif isinstance(value, list):
            yield from self._array(value, schema, place, depth)
        elif isinstance(value, str):
            yield from _text(value, schema, place)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _number(value, schema, place)

    def _fits(self, value: Any, schema: Any, place: str, depth: int) -> bool:
        return next(self.found(value, schema, place, depth + 1), None) is None

    def _choices(self, value: Any, schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
        if "enum" in schema and not any(same(value, one) for one in schema["enum"]):
            yield f"{place}: {_short(value)} is none of {', '.join(_short(one) for one in schema['enum'])}"
        if "const" in schema and not same(value, schema["const"]):
            yield f"{place}: expected {_short(schema['const'])}, not {_short(value)}"
        for part in schema.get("allOf") or ():
            yield from self.found(value, part, place, depth + 1)
        ways = schema.get("anyOf")
        if ways and not any(self._fits(value, part, place, depth) for part in ways):
            yield from self._nearest(value, ways, place, depth)
        ways = schema.get("oneOf")
        if ways:
            fitting = sum(self._fits(value, part, place, depth) for part in ways)
            if fitting == 0:
                yield from self._nearest(value, ways, place, depth)
            elif fitting > 1:
                yield f"{place}: fits {fitting} of the forms where it may fit one"
        if "not" in schema and self._fits(value, schema["not"], place, depth):
            yield f"{place}: is what it may not be"

    def _nearest(self, value: Any, ways: list[Any], place: str, depth: int) -> Iterator[str]:
        """What is wrong with it as the form that it comes nearest to: the one whose type it has."""
        told = [list(islice(self.found(value, way, place, depth + 1), MOST_PROBLEMS)) for way in ways]
        inside = [found for found in told if not found[0].startswith(f"{place}: expected ")]
        if inside:
            yield from min(inside, key=len)
        else:
            yield f"{place}: fits none of the {len(ways)} forms ({'; '.join(found[0] for found in told)})"

    def _object(
        self, value: dict[str, Any], schema: Mapping[str, Any], place: str, depth: int
    ) -> Iterator[str]:
        properties = schema.get("properties") or {}
        patterns = schema.get("patternProperties") or {}
        for name in schema.get("required") or ():
            if name not in value:
                yield f"{place}.{name}: is missing"
        for name, member in value.items():
            meant = [properties[name]] if name in properties else []
            meant += [part for pattern, part in patterns.items() if re.search(pattern, name)]
            if not meant and schema.get("additionalProperties") is False:
                yield f"{place}.{name}: is none of its members"
                continue
            for part in meant or [schema.get("additionalProperties", True)]:
                yield from self.found(member, part, f"{place}.{name}", depth + 1)
        yield from _bounds(len(value), schema, "Properties", "members", place)

    def _array(self, value: list[Any], schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
        leading = schema.get("prefixItems") or []
        for position, item in enumerate(value):
            part = leading[position] if position < len(leading) else schema.get("items", True)
            yield from self.found(item, part, f"{place}[{position}]", depth + 1)
        yield from _bounds(len(value), schema, "Items", "items", place)
        if schema.get("uniqueItems") and any(
            same(one, other) for position, one in enumerate(value) for other in value[:position]
        ):
            yield f"{place}: holds the same item twice"


def _text(value: str, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    yield from _bounds(len(value), schema, "Length", "characters", place)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not re.search(pattern, value):
        yield f"{place}: {_short(value)} does not match {pattern}"


_RANGES: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", "at least", operator.ge),
    ("maximum", "at most", operator.le),
    ("exclusiveMinimum", "above", operator.gt),
    ("exclusiveMaximum", "below", operator.lt),
)


def _number(value: float, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    for name, words, holds in _RANGES:
        if isinstance(schema.get(name), int | float) and not holds(value, schema[name]):
            yield f"{place}: expected {words} {schema[name]}, not {value}"
    step = schema.get("multipleOf")
    if isinstance(step, int | float) and step and abs(value / step - round(value / step)) > 1e-9:
        yield f"{place}: {value} is no multiple of {step}"


def _bounds(count: int, schema: Mapping[str, Any], what: str, words: str, place: str) -> Iterator[str]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if isinstance(least, int) and count < least:
        yield f"{place}: expected at least {least} {words}, not {count}"
    if isinstance(most, int) and count > most:
        yield f"{place}: expected at most {most} {words}, not {count}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
