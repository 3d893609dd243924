"""Signatures that `help` and editors show of calls that take a great many arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, Required, TypeVar, get_args, get_origin

from ..options import NOT_GIVEN
from ..types.params import RequestOptions

Function = TypeVar("Function", bound=Callable[..., Any])

_ANY_OTHER = inspect.Parameter("params", inspect.Parameter.VAR_KEYWORD, annotation=Any)


def shows(arguments: type, **more: Any) -> Callable[[Function], Function]:
    """Spells out what a function that is called with `**params` takes.

    Args:
        arguments: a TypedDict of keyword arguments.
        more: annotations of further ones, by name.
    """

    def shown(function: Function) -> Function:
        plain = inspect.signature(function)
        own = [one for one in plain.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        names = {one.name for one in own}
        added = [_parameter(name, kind) for name, kind in more.items()]
        added += [one for one in _members(arguments) if one.name not in names]
        signature = plain.replace(parameters=[*own, *added, _ANY_OTHER])
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return shown


@cache
def _members(arguments: Any) -> list[inspect.Parameter]:
    kinds = arguments.__annotations__
    # What goes with any request comes last, as it does in the OpenAI SDK.
    names = sorted(kinds, key=lambda name: name in RequestOptions.__annotations__)
    return [_parameter(name, kinds[name]) for name in names]


def _parameter(name: str, kind: Any) -> inspect.Parameter:
    is_required = get_origin(kind) is Required
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if is_required else NOT_GIVEN,
        annotation=get_args(kind)[0] if is_required else kind,
    )
