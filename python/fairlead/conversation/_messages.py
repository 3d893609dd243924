"""Messages as plain data, and the blocks that must not be torn: what a model called with what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .. import _core
from ..errors import ConfigError

Message: TypeAlias = dict[str, Any]
"""A message as it is sent: plain JSON types only."""

Kind: TypeAlias = Literal["system", "user", "assistant"]

ROLES: dict[str, Kind] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "assistant",
    "function": "assistant",
}
"""The roles there are, and which part of a conversation they belong to."""

MEDIA = frozenset(
    {
        "image_url",
        "input_image",
        "image",
        "input_audio",
        "audio_url",
        "video_url",
        "file",
        "input_file",
        "document",
    }
)
"""Parts of a message that are pictures, sounds or files."""


@dataclass(slots=True, eq=False)
class Block:
    """Messages that go together: one, or an assistant's calls with all their results."""

    kind: Kind
    messages: list[Message]
    tokens: float
    """What they come to, uncalibrated."""
    open: Counter[str] = field(default_factory=Counter)
    """Calls without a result so far; how often, where a model gave several one id."""

    def copy(self) -> Block:
        """The same, growing on its own. Messages are never changed, so they are shared."""
        return Block(self.kind, list(self.messages), self.tokens, self.open.copy())


def is_single(given: Any) -> bool:
    """Is it one message, reply or tool, rather than several? Some of them can be iterated, too."""
    return isinstance(given, str | Mapping) or hasattr(given, "model_dump")


def plain(message: Any) -> Message:
    """A message as plain data of its own.

    Raises:
        ConfigError: when it has no JSON form.
        TypeError: when it is no message.
        ValueError: when its role is none.
    """
    if isinstance(message, str):
        return {"role": "user", "content": message}
    decoded = json_of(_dumped(message))
    if not isinstance(decoded, dict):
        raise TypeError(f"expected a message, a reply or a str, not {type(message).__name__}")
    if decoded.get("role") not in ROLES:
        raise ValueError(f"`role`: expected one of {', '.join(ROLES)}, not {decoded.get('role')!r}")
    content = decoded.get("content")
    if content is not None and not isinstance(content, str | list):
        raise TypeError(f"`content`: expected a str, a list of parts or None, not {type(content).__name__}")
    # What `parse` makes of contents and arguments; no provider takes it back.
    decoded.pop("parsed", None)
    for call in _listed_calls(decoded):
        if isinstance(call.get("function"), dict):
            call["function"].pop("parsed_arguments", None)
    return {name: value for name, value in decoded.items() if value is not None or name == "content"}


def tools_of(given: Any) -> list[dict[str, Any]]:
    """Tools as they are sent; a single one may stand by itself.

    Raises:
        ConfigError: when one has no JSON form, or is none.
    """
    listed: list[Any] = json_of([given] if is_single(given) or not isinstance(given, Iterable) else [*given])
    for position, tool in enumerate(listed):
        if not isinstance(tool, dict):
            raise ConfigError(f"`tools[{position}]`: expected a dict or a tool, not {tool!r}")
    return listed


def json_of(value: Any) -> Any:
    """Plain data of its own, as the engine would send `value`.

    Raises:
        ConfigError: when it has no JSON form.
    """
    return json.loads(_core._encode(value))


def _dumped(message: Any) -> Any:
    """An object of pydantic as the engine would dump it, but without pydantic's warnings: the SDK declares no
    class for what `parse` makes."""
    if not hasattr(message, "__pydantic_serializer__"):
        return message
    return message.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


def message_of(given: Any) -> Any:
    """The message of a reply; anything else as it is.

    Raises:
        ValueError: when a reply has no choice.
    """
    choices = given.get("choices") if isinstance(given, dict) else getattr(given, "choices", None)
    if choices is None:
        return given
    if not choices:
        raise ValueError("the reply holds no choice")
    first = choices[0]
    return first["message"] if isinstance(first, dict) else first.message


def parts(message: Message) -> list[dict[str, Any]]:
    """The parts of a content that is a list."""
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _listed_calls(message: Message) -> list[dict[str, Any]]:
    listed = message.get("tool_calls")
    return [call for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []


def calls_of(message: Message) -> list[str]:
    """The ids of the calls that an assistant's message makes."""
    if message["role"] != "assistant":
        return []
    calls = _listed_calls(message)
    calls += [part for part in parts(message) if part.get("type") == "tool_use"]
    ids = [str(call.get("id") or "") for call in calls]
    old = message.get("function_call")
    return [*ids, _function(old.get("name"))] if isinstance(old, dict) else ids


def answers_of(message: Message) -> list[str]:
    """The ids of the calls whose results a message brings."""
    if message["role"] == "tool":
        return [str(message.get("tool_call_id") or "")]
    if message["role"] == "function":
        return [_function(message.get("name"))]
    if message["role"] != "user":
        return []
    return [
        str(part.get("tool_use_id") or "") for part in parts(message) if part.get("type") == "tool_result"
    ]


def has_media(message: Message) -> bool:
    """Does it hold a picture, a sound or a file?"""
    return any(part.get("type") in MEDIA for part in parts(message))


def told(message: Message) -> str:
    """A message as a line of text, for somebody who is to sum it up."""
    content = message.get("content")
    said = [content] if isinstance(content, str) and content else []
    for part in parts(message):
        text = part.get("text")
        said.append(text if isinstance(text, str) else f"[{part.get('type')}]")
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        said.append(
            f"[calls {function.get('name')}({function.get('arguments') or function.get('input') or ''})]"
        )
    return f"{message['role']}: {' '.join(said)}"


def _function(name: object) -> str:
    """A call in the form before tools is known by its function."""
    return f"function {name}"
