"""A whole reply as LangChain's result."""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult

from ..types import ChatCompletion
from . import _build
from ._reasoning import reasoning_in
from ._usage import response_metadata, traced, usage_metadata

_KEPT = ("refusal", "audio", "annotations", "images", "function_call", "reasoning_details")
"""Members of a message that LangChain has no place of its own for."""


def result_of(reply: ChatCompletion) -> ChatResult:
    """All choices of a reply."""
    body = json.loads(reply._raw)
    receipt, usage, tier = reply.fairlead, body.get("usage"), body.get("service_tier")
    counted = usage_metadata(usage, tier) if usage else None
    generations = [
        _generation(choice, body, receipt, counted if position == 0 else None)
        for position, choice in enumerate(body.get("choices") or ())
    ]
    output = {"model_name": body.get("model"), "token_usage": usage} if usage else {}
    return _build.result(generations, output)


def _generation(choice: dict[str, Any], body: dict[str, Any], receipt: Any, usage: Any) -> ChatGeneration:
    said = choice.get("message") or {}
    content = said.get("content") or ""
    told = response_metadata(body, receipt, choice.get("finish_reason"))
    if choice.get("logprobs"):
        told["logprobs"] = choice["logprobs"]
    given: dict[str, Any] = {"content": content, "response_metadata": told, "usage_metadata": usage}
    extras = {name: said[name] for name in _KEPT if said.get(name)}
    reasoning = reasoning_in(said)
    if reasoning:
        extras["reasoning_content"] = reasoning
    given["additional_kwargs"] = extras
    if said.get("tool_calls"):
        given["tool_calls"], given["invalid_tool_calls"] = _calls(said["tool_calls"])
    message: AIMessage = _build.message(given)
    text = content if isinstance(content, str) else str(message.text)
    return _build.generation(message, text, traced(receipt))


def _calls(raw: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    good: list[Any] = []
    bad: list[Any] = []
    for call in raw:
        function = call.get("function") or {}
        name, text, id = function.get("name"), function.get("arguments") or "", call.get("id")
        arguments, fault = arguments_in(text)
        if fault is None and name:
            good.append(tool_call(name=name, args=arguments, id=id))
        else:
            bad.append(invalid_tool_call(name=name, args=text, id=id, error=fault or "a call without a name"))
    return good, bad


def arguments_in(text: str) -> tuple[dict[str, Any], str | None]:
    """The arguments of a tool call, or why they are none."""
    if not text.strip():
        return {}, None
    try:
        arguments = json.loads(text, strict=False)
    except ValueError as error:
        return {}, f"the arguments are no JSON: {error}"
    if not isinstance(arguments, dict):
        return {}, "the arguments are no JSON object"
    return arguments, None
