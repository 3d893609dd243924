"""Plain annotations as JSON schemas, and JSON values as what they annotate: all there is without pydantic."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections import abc
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_LISTS = (list, abc.Sequence, abc.Iterable, abc.Collection)
_SETS = (set, frozenset, abc.Set)
_MAPS = (dict, abc.Mapping, abc.MutableMapping)


def schema_of(kind: Any, inside: tuple[Any, ...] = ()) -> dict[str, Any]:
    """The JSON schema of an annotation.

    Raises:
        TypeError: when only pydantic knows it.
    """
    if kind is Any or kind is inspect_empty:
        return {}
    if kind is None or kind in _SCALARS:
        return {"type": _SCALARS[type(None) if kind is None else kind]}
    if any(kind is outer for outer in inside):
        raise TypeError(f"{kind.__name__} contains itself, which needs pydantic")
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        words = [part for part in inner[1:] if isinstance(part, str)]
        return {**schema_of(inner[0], inside), **({"description": words[0]} if words else {})}
    if origin in (Required, NotRequired):
        return schema_of(inner[0], inside)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(part, inside) for part in inner]}
    if origin is Literal:
        return _choice(list(inner))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _choice([member.value for member in kind])
    if origin in _LISTS or origin in _SETS:
        items = schema_of(inner[0], inside) if inner else {}
        return {"type": "array", "items": items, **({"uniqueItems": True} if origin in _SETS else {})}
    if origin is tuple:
        return _tuple(inner, inside)
    if origin in _MAPS:
        return {"type": "object", "additionalProperties": schema_of(inner[1], inside) if inner else True}
    if is_typeddict(kind) or (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return _members(kind, (*inside, kind))
    raise TypeError(f"{getattr(kind, '__name__', kind)} needs pydantic (`pip install pydantic`)")


inspect_empty = object()
"""Stands for an annotation that is not there."""


def _choice(values: list[Any]) -> dict[str, Any]:
    kinds = {_SCALARS.get(type(value)) for value in values}
    kind = {"type": kinds.pop()} if len(kinds) == 1 and None not in kinds else {}
    return {**kind, **({"const": values[0]} if len(values) == 1 else {"enum": values})}


def _tuple(inner: tuple[Any, ...], inside: tuple[Any, ...]) -> dict[str, Any]:
    if not inner:
        return {"type": "array", "items": {}}
    if len(inner) == 2 and inner[1] is ...:
        return {"type": "array", "items": schema_of(inner[0], inside)}
    parts = [schema_of(part, inside) for part in inner]
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


def _members(kind: Any, inside: tuple[Any, ...]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        required = sorted(kind.__required_keys__, key=list(hints).index)
    else:
        missing = dataclasses.MISSING
        free = {field.name for field in dataclasses.fields(kind)} - {
            field.name
            for field in dataclasses.fields(kind)
            if field.default is not missing or field.default_factory is not missing
        }
        required = [name for name in hints if name in free]
    properties = {name: schema_of(part, inside) for name, part in hints.items()}
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def value_of(kind: Any, value: Any) -> Any:
    """A JSON value that fits `schema_of(kind)` as what `kind` annotates: enums, sets, tuples, dataclasses."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        return value_of(inner[0], value)
    if origin in (Union, types.UnionType):
        return value_of(_meant(inner, value), value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if kind is float and isinstance(value, int):
        return float(value)
    if kind is int and isinstance(value, float):
        return int(value)
    if origin is tuple and isinstance(value, list):
        parts = inner if inner and not (len(inner) == 2 and inner[1] is ...) else inner[:1] * len(value)
        return tuple(map(value_of, parts, value)) if parts else tuple(value)
    if origin in _SETS:
        return (frozenset if origin is frozenset else set)(
            value_of(inner[0] if inner else Any, x) for x in value
        )
    if origin in _LISTS and inner and isinstance(value, list):
        return [value_of(inner[0], item) for item in value]
    if origin in _MAPS and len(inner) == 2 and isinstance(value, dict):
        return {name: value_of(inner[1], member) for name, member in value.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{name: value_of(hints[name], member) for name, member in value.items()})
    return value


def _meant(ways: tuple[Any, ...], value: Any) -> Any:
    """The first of `ways` that `value` fits."""
    from ..structured.check import problems

    return next((way for way in ways if not problems(value, schema_of(way))), Any)
