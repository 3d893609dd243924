"""Objects that are still growing: of their class, not validated, None where nothing has arrived."""

from __future__ import annotations

import contextlib
import dataclasses
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from .partial import NOTHING, PartialJson
from .schema import WRAPPED


class Growing:
    """The partial answers of one stream of JSON text.

    What is final is made once and shared by all that follow; only the objects and lists that are still open
    are made anew.

    Args:
        kind: the class or annotation of the answer; None for plain JSON values.
        is_wrapped: is the answer the only member of an object?
    """

    def __init__(self, kind: Any, is_wrapped: bool) -> None:
        self._kind = kind
        self._is_wrapped = is_wrapped
        self._json = PartialJson()
        self._has_begun = False
        self._is_broken = False
        self._final: dict[tuple[int, Any], Any] = {}
        self._done: dict[tuple[int, Any], list[Any]] = {}

    def feed(self, text: str) -> Any:
        """Add a piece; returns the answer so far, or `NOTHING`.

        What stands before the first brace or bracket (a fence, a sentence) and after the end is passed over.
        Text that turns out to be no JSON gives nothing from then on: the validation at the end says why.
        """
        if not self._has_begun:
            places = [place for sign in "{[" if (place := text.find(sign)) >= 0]
            if not places:
                return NOTHING
            text, self._has_begun = text[min(places) :], True
        if self._is_broken or self._json.is_over:
            return NOTHING
        try:
            self._json.feed(text)
        except ValueError:
            # What follows the end of the document is no fault of the document.
            self._is_broken = True
            if not self._json.is_over:
                return NOTHING
        return self.value()

    def value(self) -> Any:
        """The answer so far."""
        whole = self._json.value
        if self._is_wrapped and isinstance(whole, dict):
            if WRAPPED not in whole:
                return NOTHING
            whole = whole[WRAPPED]
        return self._made(self._kind, whole, {id(one) for one in self._json.open})

    def _made(self, kind: Any, value: Any, still_open: set[int]) -> Any:
        if not isinstance(value, dict | list):
            return value
        if id(value) in still_open:
            return self._make(kind, value, still_open)
        # A value that is final stays where it is as long as the document: its id names nothing else.
        known = (id(value), id(kind))
        if known not in self._final:
            self._final[known] = self._make(kind, value, still_open)
        return self._final[known]

    def _make(self, kind: Any, value: Any, still_open: set[int]) -> Any:
        kind = _meant(kind, value)
        if getattr(kind, "__pydantic_root_model__", False):
            root = self._made(kind.model_fields["root"].annotation, value, still_open)
            return _instance(kind, {"root": _Member("root", None)}, {"root": root})
        if isinstance(value, list):
            # Of a list only the last item may still grow.
            done = self._done.setdefault((id(value), id(kind)), [])
            for position in range(len(done), len(value) - 1):
                done.append(self._made(_item(kind, position), value[position], still_open))
            last = len(value) - 1
            return [*done, self._made(_item(kind, last), value[last], still_open)] if value else []
        members = _members(kind)
        made = {
            name: self._made(members[name].kind if name in members else _value_of(kind), member, still_open)
            for name, member in value.items()
        }
        return made if not members or is_typeddict(kind) else _instance(kind, members, made)


@dataclasses.dataclass(frozen=True)
class _Member:
    name: str
    kind: Any


def _members(kind: Any) -> dict[str, _Member]:
    """The members of a class by the names they have in JSON; empty for what has none."""
    return _members_of(kind) if isinstance(kind, type) or is_typeddict(kind) else {}


@lru_cache(maxsize=512)
def _members_of(kind: Any) -> dict[str, _Member]:
    fields = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        found = {}
        for name, field in fields.items():
            alias = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
            found[alias or name] = _Member(name, field.annotation)
        return found
    if is_typeddict(kind) or dataclasses.is_dataclass(kind):
        with contextlib.suppress(NameError):
            return {name: _Member(name, part) for name, part in get_type_hints(kind).items()}
    return {}


def _instance(kind: Any, members: Mapping[str, _Member], made: Mapping[str, Any]) -> Any:
    """An object whose own code has not run: validators and `model_post_init` want all members."""
    values = {member.name: made.get(name) for name, member in members.items()}
    instance = kind.__new__(kind)
    if hasattr(kind, "model_construct"):
        arrived = {member.name for name, member in members.items() if name in made}
        slots = {"__dict__": values, "__pydantic_fields_set__": arrived}
        values = {**slots, "__pydantic_extra__": None, "__pydantic_private__": None}
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    return instance


def _meant(kind: Any, value: Any) -> Any:
    """The part of an annotation that `value` may be an object of."""
    if isinstance(kind, TypeVar):
        return None
    if type(kind).__name__ == "TypeAliasType":
        return _meant(kind.__value__, value)
    origin = get_origin(kind)
    if origin is Annotated:
        return _meant(get_args(kind)[0], value)
    if origin in (Union, types.UnionType):
        ways = [_meant(part, value) for part in get_args(kind)]
        fitting = [way for way in ways if way is not None and _takes(way, value)]
        return max(fitting, key=lambda way: _likeness(way, value), default=None)
    return kind


def _takes(kind: Any, value: Any) -> bool:
    origin = get_origin(kind) or kind
    if isinstance(value, list):
        return origin in (list, tuple, set, frozenset)
    return bool(_members(kind)) or origin is dict


def _likeness(kind: Any, value: Any) -> float:
    """How many of its members `kind` knows, and how many of those it knows have come."""
    members = _members(kind)
    if not members or not isinstance(value, dict):
        return 0.0
    known = sum(name in members for name in value)
    return known - 0.001 * len(members)


def _item(kind: Any, position: int) -> Any:
    """What stands at `position` of a list of `kind`."""
    inner = get_args(kind)
    if get_origin(kind) is tuple and not (len(inner) == 2 and inner[1] is ...):
        return inner[position] if position < len(inner) else None
    return inner[0] if inner else None


def _value_of(kind: Any) -> Any:
    """What the values of a mapping are."""
    inner = get_args(kind)
    return inner[1] if len(inner) == 2 else None
