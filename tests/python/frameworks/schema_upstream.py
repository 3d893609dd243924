"""An upstream that answers by the schemas of a request, as a model would that always obeys.

1. A tool is called where one is forced, or where tools are offered and the last word is not a tool's; its
   arguments are an instance of its schema.
2. A `json_schema` gets an instance of it, `json_object` a joke.
3. Everything else gets text.

Numbers in brackets and quoted text that is not ASCII are taken from the prompt. The model that was asked for
is the one that answers, and usage has every detail.
"""

from __future__ import annotations

import json
import re
from typing import Any

from fairlead.testing import Upstream, ok, tool_call
from fairlead.testing.connection import Step
from fairlead.testing.replies import last_user_text, messages_of
from fairlead.testing.request import Request

TEXT = "Hello! This is an answer of several words."
JOKE = {"setup": "Why did the chicken cross the road?", "punchline": "To get to the other side."}
USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 20,
    "total_tokens": 60,
    "prompt_tokens_details": {"audio_tokens": 5, "cached_tokens": 10, "cache_write_tokens": 15},
    "completion_tokens_details": {"audio_tokens": 5, "reasoning_tokens": 10},
}
_BRACKETED = re.compile(r"\((\d+)\)")
_FOREIGN = re.compile(r"[\"'“]([^\"'“”]*[^\x00-\x7f][^\"'“”]*)[\"'”]")


def schema_upstream() -> Upstream:
    """An upstream that obeys, not yet started."""
    upstream = Upstream()
    upstream.reply = obey
    return upstream


def obey(request: Request) -> Step:
    """The answer to a request."""
    body = request.fields
    if not request.path.endswith("/chat/completions"):
        return ok()
    function = _called(body)
    if function is not None:
        arguments = instance(function.get("parameters") or {}, last_user_text(body))
        return ok(tool_calls=[tool_call(function["name"], arguments, f"call_{request.at:.6f}")], usage=USAGE)
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        made = instance(wanted["json_schema"]["schema"], last_user_text(body))
        return ok(json.dumps(made, ensure_ascii=False), usage=USAGE)
    if wanted.get("type") == "json_object":
        return ok(json.dumps(JOKE), usage=USAGE)
    return ok(TEXT, usage=USAGE)


def _called(body: dict[str, Any]) -> dict[str, Any] | None:
    """The function that is to be called, if any."""
    functions = {tool["function"]["name"]: tool["function"] for tool in body.get("tools") or ()}
    choice = body.get("tool_choice")
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        return functions[choice["function"]["name"]]
    said = messages_of(body)
    forced = choice == "required" or (said and said[-1].get("role") == "user")
    return next(iter(functions.values())) if forced else None


def instance(schema: dict[str, Any], prompt: str, top: dict[str, Any] | None = None) -> Any:
    """A value that fits a JSON schema, after the prompt where that names one."""
    top = schema if top is None else top
    if "$ref" in schema:
        return instance(_pointed(schema["$ref"], top), prompt, top)
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return instance(schema[choice][0], prompt, top)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        members = schema.get("properties") or {}
        return {name: _member(name, part, prompt, top) for name, part in members.items()}
    if kind == "array":
        return [instance(schema.get("items") or {}, prompt, top)]
    return _plain(kind, prompt)


def _member(name: str, schema: dict[str, Any], prompt: str, top: dict[str, Any]) -> Any:
    found = _FOREIGN.search(prompt)
    return found.group(1) if found and "name" in name else instance(schema, prompt, top)


def _plain(kind: str, prompt: str) -> Any:
    number = _BRACKETED.search(prompt)
    whole = int(number.group(1)) if number else 1
    return {"integer": whole, "number": float(whole), "boolean": True, "null": None}.get(kind, "some text")


def _pointed(pointer: str, top: dict[str, Any]) -> dict[str, Any]:
    found: Any = top
    for step in pointer.lstrip("#/").split("/"):
        found = found[step]
    return dict(found)
