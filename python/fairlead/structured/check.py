"""A value against a JSON schema: the keywords that schemas of answers and tools are made of.

Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `patternProperties`,
`items`, `prefixItems`, `anyOf`, `oneOf`, `allOf`, `not`, `$ref` inside the schema, and the bounds of numbers,
texts and lists; of patterns those that Python's `re` can read. Other keywords say nothing here, as JSON
Schema has it for keywords that are not known.
"""

from __future__ import annotations

import math
import operator
import re
import reprlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any

from .schema import resolve

MOST_PROBLEMS = 20
"""How many problems are told of one value."""

MAX_DEPTH = 200
"""How deep values and references may nest together."""


STEPS = 100_000
"""How many steps a value may take to check: parts of it against parts of the schema."""

STEPS_EACH = 50
"""How many more it may take for each of its members and items: no answer is refused for its size."""


def problems(value: Any, schema: Any) -> list[str]:
    """All that is wrong with `value`, with its place (`$.steps[0].text: ...`), up to `MOST_PROBLEMS`.

    What takes too many steps is a problem. A step is bounded by the size of what it looks at, but for a
    `pattern` that backtracks without end: Python's `re` cannot be stopped.
    """
    steps = STEPS + STEPS_EACH * _size(value)
    try:
        return _Check(schema, steps).found(value, schema, "$", 0)
    except _TooMuch:
        return [f"$: takes more than {steps} steps to check"]


def _size(value: Any) -> int:
    """How many members and items there are in all."""
    count, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            count += len(one)
            waiting += one.values() if isinstance(one, dict) else one
    return count


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


class _TooMuch(Exception):
    """All steps are taken."""


class _Check:
    def __init__(self, root: Any, steps: int) -> None:
        self._root = root
        self._steps = steps
        self._known: dict[tuple[int, int], list[str]] = {}
        """What is wrong with an object or a list by one part of the schema. Alternatives that lead to the
        same parts would look at all below them again at every level: twice each, so 2 ** depth times."""

    def found(self, value: Any, schema: Any, place: str, depth: int) -> list[str]:
        if not isinstance(schema, Mapping):
            return [f"{place}: nothing may stand here"] if schema is False else []
        if depth > MAX_DEPTH:
            return [f"{place}: nests deeper than {MAX_DEPTH} levels"]
        known = (id(value), id(schema))
        if known in self._known:
            return self._known[known]
        self._steps -= 1
        if self._steps < 0:
            raise _TooMuch
        told = list(islice(self._all(value, schema, place, depth), MOST_PROBLEMS))
        if isinstance(value, dict | list):
            self._known[known] = told
        return told

    def _all(self, value: Any, schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
        if isinstance(schema.get("$ref"), str):
            yield from self.found(value, resolve(self._root, schema["$ref"]), place, depth + 1)
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list | tuple) else [kinds]
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

    def _choices(self, value: Any, schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
        if "enum" in schema and not any(same(value, one) for one in schema["enum"]):
            yield f"{place}: {_short(value)} is none of {', '.join(_short(one) for one in schema['enum'])}"
        if "const" in schema and not same(value, schema["const"]):
            yield f"{place}: expected {_short(schema['const'])}, not {_short(value)}"
        for part in schema.get("allOf") or ():
            yield from self.found(value, part, place, depth + 1)
        yield from self._any_of(value, schema.get("anyOf") or (), place, depth)
        told = [self.found(value, part, place, depth + 1) for part in schema.get("oneOf") or ()]
        fitting = sum(not found for found in told)
        if fitting > 1:
            yield f"{place}: fits {fitting} of the forms where it may fit one"
        elif told and not fitting:
            yield from _nearest(told, place)
        if "not" in schema and not self.found(value, schema["not"], place, depth + 1):
            yield f"{place}: is what it may not be"

    def _any_of(self, value: Any, ways: Any, place: str, depth: int) -> list[str]:
        told = []
        for part in ways:
            found = self.found(value, part, place, depth + 1)
            if not found:
                return []
            told.append(found)
        return _nearest(told, place) if told else []

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
            readable = {read: part for pattern, part in patterns.items() if (read := _pattern(pattern))}
            meant += [part for pattern, part in readable.items() if pattern.search(name)]
            if not meant and len(readable) < len(patterns):
                continue
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
        if schema.get("uniqueItems") and len({_key(item) for item in value}) < len(value):
            yield f"{place}: holds the same item twice"


def _nearest(told: list[list[str]], place: str) -> list[str]:
    """What is wrong with a value as the form that it comes nearest to: the one whose type it has."""
    inside = [found for found in told if not found[0].startswith(f"{place}: expected ")]
    if inside:
        return min(inside, key=len)
    return [f"{place}: fits none of the {len(told)} forms ({'; '.join(found[0] for found in told)})"]


def _key(value: Any) -> Hashable:
    """The same for values that are the `same`, and for no others."""
    if isinstance(value, list):
        return (list, *map(_key, value))
    if isinstance(value, dict):
        return frozenset((name, _key(member)) for name, member in value.items())
    made: Hashable = (bool, value) if isinstance(value, bool) else value
    return made


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str] | None:
    """A pattern; None where Python's `re` cannot read it: patterns are written for ECMAScript's."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return None


def _text(value: str, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    yield from _bounds(len(value), schema, "Length", "characters", place)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and (read := _pattern(pattern)) and not read.search(value):
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
    if isinstance(step, int | float) and step and not _is_multiple(value, step):
        yield f"{place}: {value} is no multiple of {step}"


def _is_multiple(value: float, step: float) -> bool:
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    try:
        times = value / step
        return abs(times - round(times)) <= 1e-9
    except OverflowError:
        # More than floats hold: an answer may say 1e999, or write out hundreds of digits.
        return value not in (math.inf, -math.inf) and Fraction(value) % Fraction(step) == 0


def _bounds(count: int, schema: Mapping[str, Any], what: str, words: str, place: str) -> Iterator[str]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if isinstance(least, int) and count < least:
        yield f"{place}: expected at least {least} {words}, not {count}"
    if isinstance(most, int) and count > most:
        yield f"{place}: expected at most {most} {words}, not {count}"


_OUTLINE = reprlib.Repr()
_OUTLINE.maxdict = _OUTLINE.maxlist = 10
_OUTLINE.maxstring = _OUTLINE.maxother = _OUTLINE.maxlong = 60


def _short(value: Any) -> str:
    # Of an object or a list only the beginning is written: it may be the whole answer.
    text = _OUTLINE.repr(value) if isinstance(value, dict | list) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
