"""Messages on their way to the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from ._content import content_of, reasoning_of, text_alone
from ._reasoning import merged

Wire = dict[str, Any]
"""A message as a provider takes it."""


def to_wire(messages: Sequence[BaseMessage]) -> list[Wire]:
    """The messages of a request.

    Raises:
        TypeError: when one is of a kind that no provider knows.
    """
    return [_wire(message) for message in messages]


def _wire(message: BaseMessage) -> Wire:
    if isinstance(message, HumanMessage):
        return _named(message, {"role": "user", "content": content_of(message.content)})
    if isinstance(message, AIMessage):
        return _named(message, _assistant(message))
    if isinstance(message, SystemMessage):
        role = message.additional_kwargs.get("__openai_role__", "system")
        return _named(message, {"role": role, "content": text_alone(message.content)})
    if isinstance(message, ToolMessage):
        content = text_alone(message.content)
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    if isinstance(message, ChatMessage):
        return _named(message, {"role": message.role, "content": content_of(message.content)})
    if isinstance(message, FunctionMessage):
        return {"role": "function", "name": message.name, "content": message.content}
    raise TypeError(f"a {type(message).__name__} cannot be sent to a model")


def _named(message: BaseMessage, wire: Wire) -> Wire:
    name = message.name or message.additional_kwargs.get("name")
    if name is not None:
        wire["name"] = name
    return wire


def _assistant(message: AIMessage) -> Wire:
    wire: Wire = {"role": "assistant", "content": text_alone(message.content)}
    extras = message.additional_kwargs
    calls = _calls(message)
    if calls:
        wire["tool_calls"] = calls
    elif "function_call" in extras:
        wire["function_call"] = extras["function_call"]
    if len(wire) > 2:
        wire["content"] = wire["content"] or None
    reasoning = extras.get("reasoning_content") or reasoning_of(message.content)
    if reasoning:
        wire["reasoning_content"] = reasoning
    if extras.get("reasoning_details"):
        wire["reasoning_details"] = merged(extras["reasoning_details"])
    if extras.get("refusal"):
        wire["refusal"] = extras["refusal"]
    sound = _sound(message)
    if sound:
        wire["audio"] = {"id": sound}
    return wire


def _calls(message: AIMessage) -> list[Wire]:
    if message.tool_calls or message.invalid_tool_calls:
        good = [
            _call(call.get("id"), call["name"], json.dumps(call["args"], ensure_ascii=False))
            for call in message.tool_calls
        ]
        return good + [
            _call(call.get("id"), call.get("name"), call.get("args") or "")
            for call in message.invalid_tool_calls
        ]
    raw = message.additional_kwargs.get("tool_calls") or ()
    return [{name: call[name] for name in ("id", "type", "function") if name in call} for call in raw]


def _call(id: str | None, name: str | None, arguments: str) -> Wire:
    return {"type": "function", "id": id, "function": {"name": name, "arguments": arguments}}


def _sound(message: AIMessage) -> str | None:
    """The id of an answer in sound: the sound itself is not sent back."""
    said = message.additional_kwargs.get("audio")
    if isinstance(said, dict) and said.get("id"):
        return str(said["id"])
    for block in message.content:
        if isinstance(block, dict) and block.get("type") == "audio" and block.get("id"):
            return str(block["id"])
    return None
