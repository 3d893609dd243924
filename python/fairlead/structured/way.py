"""The ways to ask for an object, and how an answer is read and mended in each.

json_schema    the service's own: it holds the answer to the schema
tool           a tool whose arguments are the answer, and no other choice
prompt         the schema in words
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..errors import FairleadError
from ..text import said
from .target import Mismatch, Target

Way = Literal["json_schema", "tool", "prompt"]
"""How an object is asked for."""

Mode = Literal["auto", "json_schema", "tool", "prompt"]
"""A way, or `auto`: the best one that the model is not known to refuse."""

NEXT: Mapping[Way, Way] = {"json_schema": "tool", "tool": "prompt"}
"""What is tried where a way is refused."""

_REFUSING = (400, 404, 405, 422, 501)
_ABOUT: Mapping[Way, tuple[str, ...]] = {
    "json_schema": (
        "response_format",
        "response format",
        "json_schema",
        "json schema",
        "structured output",
        "structured_output",
        "guided_json",
        "requested parameters",
    ),
    "tool": (
        "tool_choice",
        "tool choice",
        "tools",
        "tool use",
        "tool call",
        "function call",
        "functions",
        "requested parameters",
    ),
}
_ABOUT_THE_SCHEMA = (
    "invalid schema",
    "invalid json schema",
    "schema is invalid",
    "schema is too",
    "schema has",
)


def asked(way: Way, target: Target, messages: list[Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `chat.completions.create` that ask for the object in this way."""
    given = {**params, "messages": messages}
    if way == "json_schema":
        return {**given, "response_format": target.response_format}
    if way == "tool":
        choice = {"type": "function", "function": {"name": target.name}}
        return {**given, "tools": [target.tool], "tool_choice": choice}
    return {**given, "messages": with_instruction(messages, instruction(target))}


def instruction(target: Target) -> str:
    """The schema in words."""
    schema = json.dumps(target.sent, ensure_ascii=False)
    return f"Answer with one JSON object that fits this JSON schema, and with nothing else:\n{schema}"


def with_instruction(messages: list[Any], words: str) -> list[Any]:
    """The messages with `words` in the system message, or in one of their own before all others."""
    first = messages[0] if messages else None
    if isinstance(first, Mapping) and first.get("role") == "system" and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{words}"}, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


def answer_in(way: Way, message: Any) -> str:
    """The text that should be the object: the arguments of the forced tool, else the content."""
    for call in message.tool_calls or () if way == "tool" else ():
        arguments = call.function.arguments if call.function is not None else None
        if arguments is not None:
            return arguments if isinstance(arguments, str) else json.dumps(arguments)
    return message.content or ""


def mending(target: Target, message: Any, mismatch: Mismatch) -> list[Any]:
    """The messages that show the model its answer and what is wrong with it."""
    faults = "\n".join(f"- {problem}" for problem in mismatch.problems)
    words = f"That does not fit the schema:\n{faults}\n{instruction(target)}"
    calls = [call.id for call in message.tool_calls or ()]
    told = [{"role": "tool", "tool_call_id": call, "content": words} for call in calls]
    if calls:
        return [said(message), *told]
    answer = [said(message)] if message.content else []
    return [*answer, {"role": "user", "content": words}]


def is_refused(error: FairleadError, way: Way) -> bool:
    """Does it say that the model, its host or our own configuration cannot do it in this way?"""
    if error.status_code is not None and error.status_code not in _REFUSING:
        return False
    told = _told(error)
    return any(words in told for words in _ABOUT.get(way, ()))


def is_about_the_schema(error: FairleadError) -> bool:
    """Does it say that this schema is refused, and not all of them?"""
    return any(words in _told(error) for words in _ABOUT_THE_SCHEMA)


def _told(error: FairleadError) -> str:
    """All that a refusal says, in lower case."""
    members: Iterable[Any] = (error.message, error.param, error.code, error.body)
    return " ".join(str(member) for member in members if member is not None).lower()
