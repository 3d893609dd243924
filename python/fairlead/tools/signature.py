"""A function's parameters as a JSON schema, and the arguments of a call as what the function takes."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Annotated, Any, get_type_hints

from ..errors import ToolError, _make
from ..structured.check import problems
from ..structured.schema import without_titles
from ..structured.target import problems_of
from . import docstring, plain


class Signature:
    """What a function takes.

    Raises:
        TypeError: for a parameter that is not annotated, or in a way that cannot be said in JSON; naming it.
            For a class, too.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        _refuse_others(function)
        self.summary, told = docstring.read(inspect.getdoc(routine_of(function)))
        self._parameters = _parameters(function)
        hints = _hints(function, self._parameters)
        missing = [name for name in self._parameters if name not in hints]
        if missing:
            raise TypeError(f"{name_of(function)}: the parameter `{missing[0]}` has no annotation")
        self._kinds = {name: hints[name] for name in self._parameters}
        self.annotations = hints
        """Those of the parameters, with the names in them resolved."""
        self.shown = inspect.signature(function).replace(parameters=[*self._parameters.values()])
        """As of a function, without what is not the model's to choose."""
        self._model = _model_of(function, self._parameters, self._kinds)
        self.schema: dict[str, Any] = (
            self._plain(function) if self._model is None else without_titles(self._model.model_json_schema())
        )
        for name, words in told.items():
            part = self.schema["properties"].get(name)
            if part is not None:
                part.setdefault("description", words)

    def _plain(self, function: Callable[..., Any]) -> dict[str, Any]:
        properties, required = {}, []
        for name, parameter in self._parameters.items():
            try:
                properties[name] = plain.schema_of(self._kinds[name])
            except TypeError as error:
                raise TypeError(f"{name_of(function)}: the parameter `{name}`: {error}") from None
            if parameter.default is inspect.Parameter.empty:
                required.append(name)
            elif _is_plain(parameter.default):
                properties[name]["default"] = parameter.default
        made = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**made, "required": required} if required else made

    def read(self, text: str) -> dict[str, Any]:
        """The arguments that a model wrote, validated, with defaults; an empty text is none.

        Raises:
            ToolError: when they are no JSON object or do not fit, with all that is wrong.
        """
        try:
            given = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise _make(ToolError, f"the arguments are no JSON: {error}") from None
        if not isinstance(given, dict):
            raise _make(ToolError, "the arguments are no JSON object")
        return self._plainly(given) if self._model is None else self._by_pydantic(given)

    def _by_pydantic(self, given: Mapping[str, Any]) -> dict[str, Any]:
        import pydantic

        assert self._model is not None
        try:
            read = self._model.model_validate_json(json.dumps(given))
        except pydantic.ValidationError as error:
            raise _make(ToolError, _faults(problems_of(error))) from None
        return {name: getattr(read, f"p{place}") for place, name in enumerate(self._parameters)}

    def _plainly(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = problems(given, self.schema)
        if found:
            raise _make(ToolError, _faults(found))
        read = {name: plain.value_of(self._kinds[name], value) for name, value in given.items()}
        return {name: read.get(name, parameter.default) for name, parameter in self._parameters.items()}

    def bound(self, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments as the function is called with them: by position where it wants that."""
        by_position = [
            name for name, known in self._parameters.items() if known.kind is known.POSITIONAL_ONLY
        ]
        others = {name: value for name, value in arguments.items() if name not in by_position}
        return [arguments[name] for name in by_position], others


def _faults(found: list[str]) -> str:
    return "the arguments do not fit: " + "; ".join(found)


def name_of(function: Callable[..., Any]) -> str:
    """The function's own name; of an object that is called, its class's."""
    whole = whole_of(function)
    return getattr(whole, "__name__", type(whole).__name__)


def routine_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, or what is called where an object is."""
    whole = whole_of(function)
    return whole if inspect.isroutine(whole) else type(whole).__call__


def whole_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of a `functools.partial`, what it is a part of."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def is_method(function: Callable[..., Any]) -> bool:
    """Is it a function in a class, whose object comes first?"""
    if not inspect.isfunction(function):
        return False
    outside = function.__qualname__.rpartition(".")[0]
    in_class = outside != "" and not outside.endswith("<locals>")
    return in_class and next(iter(inspect.signature(function).parameters), None) == "self"


def _refuse_others(function: Callable[..., Any]) -> None:
    if isinstance(function, classmethod):
        name = function.__name__
        raise TypeError(
            f"{name}: of a class method, make a tool where it is bound: fairlead.tool(Class.{name})"
        )
    if isinstance(function, type):
        raise TypeError(f"{function.__name__}: a class is no tool; give a function that takes or makes one")


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    if is_method(function):
        del found["self"]
    if isinstance(function, functools.partial):
        # What is set already is not the model's to choose; those set by position are not there any more.
        found = {name: parameter for name, parameter in found.items() if name not in function.keywords}
    for name, parameter in found.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"{name_of(function)}: the parameter `{parameter}` cannot be said in a schema: {name}"
            )
    return found


def _hints(function: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    """The annotations of these parameters. Others may have names that are not there, such as the class's that
    a method makes one of."""
    routine = inspect.unwrap(routine_of(function))
    given = getattr(routine, "__annotations__", {})
    asked = FunctionType((lambda: None).__code__, getattr(routine, "__globals__", {}))
    asked.__annotations__ = {name: given[name] for name in names if name in given}
    try:
        return get_type_hints(asked, include_extras=True)
    except NameError as error:
        raise TypeError(f"{name_of(function)}: an annotation is no name of its module: {error}") from None


def _model_of(
    function: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], kinds: Mapping[str, Any]
) -> Any:
    """A pydantic class with the parameters as its members; None where pydantic is not there."""
    try:
        import pydantic
    except ImportError:
        return None
    members: dict[str, Any] = {}
    for place, (name, parameter) in enumerate(parameters.items()):
        default = ... if parameter.default is parameter.empty else parameter.default
        kind, words = _described(kinds[name])
        # Names of parameters may be such as a pydantic class cannot have: theirs are its aliases.
        told: Any = {} if words is None else {"description": words}
        members[f"p{place}"] = (kind, pydantic.Field(default, alias=name, **told))
    try:
        return pydantic.create_model("Arguments", __config__=pydantic.ConfigDict(extra="forbid"), **members)
    except pydantic.errors.PydanticUserError as error:
        raise TypeError(f"{name_of(function)}: {error.message}") from error


def _described(kind: Any) -> tuple[Any, str | None]:
    """An annotation and the words in its `Annotated`, which pydantic would pass over."""
    words = [part for part in getattr(kind, "__metadata__", ()) if isinstance(part, str)]
    if not words:
        return kind, None
    others = tuple(part for part in kind.__metadata__ if not isinstance(part, str))
    return (Annotated[(kind.__origin__, *others)] if others else kind.__origin__), words[0]


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
