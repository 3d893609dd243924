"""What is asked for: a class or a JSON schema, and how an answer becomes an object of it."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import check, sound
from . import schema as schemas
from .growing import Growing

MOST_STARTS = 20
"""At how many braces of a text it is tried whether JSON begins there."""


class Mismatch(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, problems: list[str], has_json: bool) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.has_json = has_json
        """Was there any JSON in it?"""


@dataclass(frozen=True)
class Target:
    """What is asked for."""

    name: str
    """Of the schema or of the tool that is forced."""
    description: str | None
    sent: dict[str, Any]
    """The schema as it is sent: always that of an object."""
    is_strict: bool
    """Is the service to hold the answer to it?"""
    is_wrapped: bool
    """Is the answer itself the only member of what is sent?"""
    kind: Any
    """The class or annotation; None where a schema was given."""
    validate: Callable[[Any], Any]
    """The object of a JSON value. Raises `Mismatch`."""

    def read(self, text: str) -> Any:
        """The object that `text` holds, alone or among other words.

        Raises:
            Mismatch: when it holds none.
        """
        value = document_in(text)
        if self.is_wrapped and isinstance(value, dict) and value.keys() == {schemas.WRAPPED}:
            value = value[schemas.WRAPPED]
        try:
            return self.validate(value)
        except RecursionError:
            raise Mismatch(["$: nests too deeply"], has_json=True) from None

    def growing(self) -> Growing:
        """What partial answers are made by."""
        return Growing(self.kind, self.is_wrapped)

    @property
    def response_format(self) -> dict[str, Any]:
        """How a service that knows JSON schemas is asked for it."""
        described = {} if self.description is None else {"description": self.description}
        inner = {"name": self.name, **described, "schema": self.sent, "strict": self.is_strict}
        return {"type": "json_schema", "json_schema": inner}

    @property
    def tool(self) -> dict[str, Any]:
        """The tool whose arguments are the answer."""
        function = {
            "name": self.name,
            "description": self.description or "Give the answer in this form.",
            "parameters": self.sent,
            **({"strict": True} if self.is_strict else {}),
        }
        return {"type": "function", "function": function}


def target_of(schema: Any, *, name: str | None = None, strict: bool | None = None) -> Target:
    """What `schema` asks for.

    Args:
        schema: a pydantic class; a dataclass, a TypedDict or any other annotation that pydantic knows; a JSON
            schema, or a whole `response_format` with one; `{"type": "json_object"}` is any object.
        name: what it is called; default: its own name or title.
        strict: is the service to hold the answer to it? The schema is made strict for that. Default: where it
            can be said in strict mode; a JSON schema only where it is strict already.

    Raises:
        TypeError: when it is none of these, or pydantic is needed and not there; for a JSON schema that is
            none, naming the place.
        ValueError: for a reference that leads nowhere.
    """
    if isinstance(schema, Mapping):
        inner = schema.get("json_schema") if schema.get("type") == "json_schema" else None
        if isinstance(inner, Mapping) and isinstance(inner.get("schema"), Mapping):
            name = name or inner.get("name")
            strict = strict if strict is not None else inner.get("strict")
            schema = inner["schema"]
        elif schema.get("type") == "json_object":
            schema = {**schema, "type": "object"}
        sound.look_at(schema)
        return _of_schema(dict(schema), name, strict)
    return _of_class(schema, name, strict)


def _of_schema(schema: dict[str, Any], name: str | None, strict: bool | None) -> Target:
    def validate(value: Any) -> Any:
        problems = check.problems(value, schema)
        if problems:
            raise Mismatch(problems, has_json=True)
        return value

    is_wrapped = not schemas.is_object(schema)
    sent = schemas.wrap(schema) if is_wrapped else schema
    if strict:
        sent = schemas.strict(sent)
    is_strict = schemas.is_strict(sent) if strict is None else strict
    title = name or schema.get("title")
    return Target(
        schemas.label(str(title or "answer")),
        schema.get("description"),
        sent,
        is_strict,
        is_wrapped,
        None,
        validate,
    )


def _of_class(kind: Any, name: str | None, strict: bool | None) -> Target:
    adapter, schema = adapted(kind)
    import pydantic

    def validate(value: Any) -> Any:
        try:
            return adapter.validate_json(json.dumps(value))
        except pydantic.ValidationError as error:
            raise Mismatch(problems_of(error), has_json=True) from error

    is_wrapped = not schemas.is_object(schema)
    plain = schemas.wrap(schema) if is_wrapped else schema
    made = schemas.strict(plain)
    is_strict = schemas.is_strict(made) if strict is None else strict
    title = name or getattr(kind, "__name__", None) or schema.get("title")
    return Target(
        schemas.label(str(title or "answer")),
        schema.get("description"),
        made if is_strict else plain,
        is_strict,
        is_wrapped,
        kind,
        validate,
    )


def adapted(kind: Any, argument: str = "schema") -> tuple[Any, dict[str, Any]]:
    """A pydantic `TypeAdapter` for the class or annotation, and its JSON schema.

    Raises:
        TypeError: naming the argument, when it is none, or pydantic is not there.
    """
    if is_pydantic_v1(kind):
        raise TypeError(f"`{argument}`: {kind.__name__} is a class of pydantic 1; pydantic 2 is needed")
    if kind is None or isinstance(kind, str | bytes | int | float | list | tuple):
        raise TypeError(f"`{argument}`: expected a class or a JSON schema, not {type(kind).__name__}")
    if inspect.isroutine(kind) or isinstance(kind, functools.partial):
        # Pydantic would call it with the answer.
        raise TypeError(f"`{argument}`: expected a class or a JSON schema, not a function")
    try:
        import pydantic
    except ImportError:
        raise TypeError(
            f"`{argument}`: {getattr(kind, '__name__', kind)} needs pydantic (`pip install pydantic`); "
            "a JSON schema does not"
        ) from None
    try:
        adapter = pydantic.TypeAdapter(kind)
        return adapter, adapter.json_schema()
    except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        raise TypeError(f"`{argument}`: {error}") from error


def is_pydantic_v1(kind: Any) -> bool:
    """Is it a class of pydantic 1, or of its copy in pydantic 2?"""
    if not isinstance(kind, type) or hasattr(kind, "model_json_schema"):
        return False
    return any(
        base.__module__.startswith("pydantic") and base.__name__ == "BaseModel" for base in kind.__mro__
    )


def problems_of(error: Any) -> list[str]:
    """What a `pydantic.ValidationError` says, with the place of each."""
    found = error.errors(include_url=False, include_context=False)
    told = [f"{_place(one['loc'])}: {one['msg']}" for one in found[: check.MOST_PROBLEMS]]
    more = len(found) - len(told)
    return [*told, f"and {more} more"] if more else told


def _place(path: Any) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def document_in(text: str) -> Any:
    """The JSON value that `text` is; where it is none, the first object or list that stands in it.

    Raises:
        Mismatch: when there is none.
    """
    try:
        return _strictly(text)
    except ValueError as error:
        fault = str(error)
    except RecursionError:
        raise Mismatch(["$: nests too deeply"], has_json=True) from None
    starts = [place for place, sign in enumerate(text) if sign in "{["][:MOST_STARTS]
    for start in starts:
        try:
            value, _ = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) or not text[:start].strip() or "```" in text[:start]:
            return value
    raise Mismatch([f"the answer is no JSON: {fault}"], has_json=bool(starts) and text.strip()[:1] in "{[")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _strictly(text: str) -> Any:
    return _DECODER.decode(text)
