"""Objects that are still growing: of their class, not validated, None where nothing has arrived."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import types
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

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
        """The object; `NOTHING` while it cannot be told of which class it will be."""
        kind = _meant(kind, value, id(value) in still_open)
        if kind is NOTHING:
            return NOTHING
        if getattr(kind, "__pydantic_root_model__", False):
            root = self._made(kind.model_fields["root"].annotation, value, still_open)
            made = {} if root is NOTHING else {"root": root}
            return _instance(kind, {"root": _Member("root", None)}, made) if made else NOTHING
        if isinstance(value, list):
            # Of a list only the last item may still grow.
            done = self._done.setdefault((id(value), id(kind)), [])
            for position in range(len(done), len(value) - 1):
                done.append(self._made(_item(kind, position), value[position], still_open))
            last = len(value) - 1
            newest = self._made(_item(kind, last), value[last], still_open) if value else NOTHING
            return _listed(kind, [*done] if newest is NOTHING else [*done, newest])
        members = _members(kind)
        made = {
            name: self._made(members[name].kind if name in members else _value_of(kind), member, still_open)
            for name, member in value.items()
        }
        made = {name: member for name, member in made.items() if member is not NOTHING}
        return made if not members or is_typeddict(_class(kind)) else _instance(_class(kind), members, made)


@dataclasses.dataclass(frozen=True)
class _Member:
    name: str
    kind: Any


def _class(kind: Any) -> Any:
    """The class itself of one whose type parameters are set: `Pair` of `Pair[int]`."""
    return get_origin(kind) or kind


def _is_own(kind: Any) -> bool:
    """Is it a class, or one of somebody's own whose type parameters are set?"""
    if isinstance(kind, type) or is_typeddict(kind):
        return True
    if not getattr(_class(kind), "__parameters__", ()):
        return False
    try:
        hash(kind)
    except TypeError:
        # What stands in `Annotated` may have none, and what is known of a class could not be kept then.
        return False
    return True


def _hints(kind: Any) -> dict[str, Any]:
    """The annotations of a class, with what its type parameters stand for; empty where one has no meaning."""
    whole, hints = _class(kind), {}
    with contextlib.suppress(NameError):
        hints = get_type_hints(whole)
    meant = dict(zip(getattr(whole, "__parameters__", ()), get_args(kind), strict=False))
    return {name: _with(hint, meant) for name, hint in hints.items()}


def _with(hint: Any, meant: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return meant.get(hint, hint)
    free = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())
    return hint[tuple(meant.get(one, one) for one in free)] if meant and free else hint


def _members(kind: Any) -> dict[str, _Member]:
    """The members of a class by the names they have in JSON; empty for what has none."""
    return _members_of(kind) if _is_own(kind) else {}


@lru_cache(maxsize=512)
def _members_of(kind: Any) -> dict[str, _Member]:
    fields = getattr(kind, "__pydantic_fields__", None) or getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        found = {}
        for name, field in fields.items():
            alias = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
            found[alias or name] = _Member(name, field.annotation)
        return found
    if is_typeddict(_class(kind)) or dataclasses.is_dataclass(_class(kind)):
        return {name: _Member(name, part) for name, part in _hints(kind).items()}
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


def _meant(kind: Any, value: Any, is_open: bool) -> Any:
    """The part of an annotation that `value` may be an object of; `NOTHING` while that cannot be told."""
    ways = list(_ways(kind))
    if len(ways) < 2:
        return ways[0] if ways else None
    fitting = [way for way in ways if _takes(way, value)]
    if len(fitting) > 1 and isinstance(value, dict):
        fitting = _told_apart(fitting, value, is_open)
        if not fitting:
            return NOTHING
    return max(fitting, key=lambda way: _likeness(way, value), default=None)


def _ways(kind: Any) -> Iterator[Any]:
    """What an annotation may stand for, one after the other."""
    if isinstance(kind, TypeVar):
        return
    if type(kind).__name__ == "TypeAliasType":
        yield from _ways(kind.__value__)
    elif (origin := get_origin(kind)) is Annotated:
        yield from _ways(get_args(kind)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(kind):
            yield from _ways(part)
    else:
        yield kind


def _told_apart(ways: list[Any], value: dict[str, Any], is_open: bool) -> list[Any]:
    """The classes that a member with words of its own in each of them leaves over (`kind: Literal["cat"]`);
    all where there is no such member, none while it has not come so far."""
    words = {place: _words_of(way) if _members(way) else {} for place, way in enumerate(ways)}
    name = next((name for name in words[0] if _differ([of.get(name, []) for of in words.values()])), None)
    if name is None:
        return ways
    if name in value:
        found, may_grow = value[name], is_open and [*value][-1] == name
        left = [ways[place] for place, of in words.items() if _begins(found, of[name], may_grow)]
        return [] if may_grow and len(left) > 1 else left or ways
    known = [sum(member in of for member in value) for of in words.values()]
    left = [way for way, count in zip(ways, known, strict=True) if count == max(known)]
    return [] if is_open and len(left) > 1 else left


def _begins(found: Any, words: list[Any], may_grow: bool) -> bool:
    """Is it one of `words`, or may it become one?"""
    if found in words or not may_grow or not isinstance(found, str):
        return found in words
    return any(isinstance(word, str) and word.startswith(found) for word in words)


@lru_cache(maxsize=512)
def _words_of(kind: Any) -> dict[str, list[Any]]:
    """The words that each member of a class may be."""
    return {name: _words(member.kind) for name, member in _members(kind).items()}


def _words(kind: Any) -> list[Any]:
    """The values that a `Literal` allows; empty for other annotations."""
    ways = list(_ways(kind))
    if not all(get_origin(way) is Literal for way in ways):
        return []
    words = [word for way in ways for word in get_args(way)]
    return [word.value if isinstance(word, enum.Enum) else word for word in words]


def _differ(words: list[list[Any]]) -> bool:
    """Has each some, and none that another has?"""
    return all(words) and not any(
        word in other for place, one in enumerate(words) for word in one for other in words[:place]
    )


def _takes(kind: Any, value: Any) -> bool:
    origin = get_origin(kind) or kind
    if isinstance(value, list):
        return origin in (list, tuple, set, frozenset) or _row(kind) is not None
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
    row = _row(kind)
    inner = get_args(kind) if row is None else row
    if (row is not None or get_origin(kind) is tuple) and not (len(inner) == 2 and inner[1] is ...):
        return inner[position] if position < len(inner) else None
    return inner[0] if inner else None


def _row(kind: Any) -> tuple[Any, ...] | None:
    """What the members of a `NamedTuple` are, whose JSON is a list; None for all else."""
    whole = _class(kind)
    is_tuple = isinstance(whole, type) and issubclass(whole, tuple)
    return _row_of(kind) if is_tuple and _is_own(kind) else None


@lru_cache(maxsize=512)
def _row_of(kind: Any) -> tuple[Any, ...] | None:
    names = getattr(_class(kind), "_fields", None)
    if names is None:
        return None
    hints = _hints(kind)
    return tuple(hints.get(name) for name in names)


def _listed(kind: Any, items: list[Any]) -> Any:
    """A list, or the `NamedTuple` that it stands for."""
    row = _row(kind)
    if row is None:
        return items
    return _class(kind)._make([*items, *[None] * len(row)][: len(row)])


def _value_of(kind: Any) -> Any:
    """What the values of a mapping are."""
    inner = get_args(kind)
    return inner[1] if len(inner) == 2 else None
