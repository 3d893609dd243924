"""JSON schemas as strict mode wants them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

WRAPPED = "value"
"""The member that holds an answer which is no object: services take objects only."""

_ANYTHING_BUT_STRICT = frozenset(
    {"allOf", "contains", "dependentRequired", "dependentSchemas", "else", "if", "not", "oneOf"}
    | {"patternProperties", "prefixItems", "propertyNames", "then", "unevaluatedProperties"}
)
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SAYING = ("type", "$ref", "anyOf", "enum", "const")


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as strict mode wants it, as the OpenAI SDK makes it.

    Every property is required and none besides is allowed, null defaults are left out, and a `$ref` stands
    alone: one with members beside it is replaced by what it means. A `$ref` that leads into itself that way
    loses its neighbours instead.
    """
    made: dict[str, Any] = _strict(schema, schema, frozenset())
    return made


def _strict(part: Any, root: Mapping[str, Any], inlined: frozenset[str]) -> Any:
    if not isinstance(part, Mapping):
        return part
    made = dict(part)
    for name in _MAPS:
        if isinstance(made.get(name), Mapping):
            made[name] = {member: _strict(inner, root, inlined) for member, inner in made[name].items()}
    if made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    if isinstance(made.get("properties"), dict):
        made["required"] = list(made["properties"])
    if isinstance(made.get("items"), Mapping):
        made["items"] = _strict(made["items"], root, inlined)
    for name in _LISTS:
        if isinstance(made.get(name), list):
            made[name] = [_strict(one, root, inlined) for one in made[name]]
    if isinstance(made.get("allOf"), list) and len(made["allOf"]) == 1:
        made.update(made.pop("allOf")[0])
    if made.get("default", ...) is None:
        del made["default"]
    reference = made.get("$ref")
    if not isinstance(reference, str) or len(made) == 1:
        return made
    if reference in inlined:
        return {name: made[name] for name in made if name in ("$ref", "$defs", "definitions")}
    made.pop("$ref")
    return _strict({**resolve(root, reference), **made}, root, inlined | {reference})


def resolve(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    """What `reference` (`#`, `#/$defs/Step`) means in `root`.

    Raises:
        ValueError: when it leads out of the schema or nowhere.
    """
    if reference == "#":
        return root
    found: Any = root
    for step in unquote(reference.removeprefix("#/")).split("/") if reference.startswith("#/") else ("",):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal():
            found = dict(enumerate(found)).get(int(name))
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise ValueError(f"the schema has no {reference!r}; references are paths in it (`#/$defs/Name`)")
    return found


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Would strict mode take it: an object of which everything is said and required?"""
    return schema.get("type") == "object" and all(_is_strict(part) for part in parts(schema))


def _is_strict(part: Mapping[str, Any]) -> bool:
    if _ANYTHING_BUT_STRICT & part.keys() or not any(name in part for name in _SAYING):
        return False
    kind = part.get("type")
    if kind == "array" and not part.get("items"):
        return False
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        return True
    properties = part.get("properties") or {}
    return part.get("additionalProperties") is False and set(part.get("required") or ()) == set(properties)


def parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and every schema inside."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for name in _MAPS:
        inner = schema.get(name)
        for part in inner.values() if isinstance(inner, Mapping) else ():
            yield from parts(part)
    for name in _LISTS:
        inner = schema.get(name)
        for part in inner if isinstance(inner, list) else ():
            yield from parts(part)
    for name in ("items", "additionalProperties"):
        yield from parts(schema.get(name))


def is_object(schema: Mapping[str, Any]) -> bool:
    """Is everything that fits it an object?"""
    root, seen = schema, set[str]()
    while isinstance(reference := schema.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        schema = resolve(root, reference)
    return schema.get("type") == "object" or ("type" not in schema and "properties" in schema)


def wrap(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the answer as its only member; definitions stay at the root."""
    inner = dict(schema)
    definitions: dict[str, Any] = {
        name: inner.pop(name) for name in ("$defs", "definitions") if name in inner
    }
    return {
        "type": "object",
        "properties": {WRAPPED: inner},
        "required": [WRAPPED],
        "additionalProperties": False,
        **definitions,
    }


def without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [without_titles(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {}
    for name, inner in schema.items():
        if name in _MAPS and isinstance(inner, Mapping):
            made[name] = {member: without_titles(part) for member, part in inner.items()}
        elif name in ("default", "enum", "const", "examples"):
            made[name] = inner
        elif name != "title":
            made[name] = without_titles(inner)
    return made


def label(text: str) -> str:
    """`text` as the name of a schema or a tool: letters, digits, `_` and `-`, at most 64."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", text).strip("_")[:64] or "answer"
