"""Replies validated by a pydantic class: `chat.completions.parse`."""

from __future__ import annotations

from typing import Any

from .errors import ContentFilterFinishReasonError, LengthFinishReasonError, _make


def response_format_of(model: Any) -> dict[str, Any]:
    """The `response_format` that asks for objects of the pydantic class `model`.

    Raises:
        TypeError: when `model` is no such class.
    """
    if not isinstance(model, type) or not hasattr(model, "model_json_schema"):
        raise TypeError(f"`response_format`: parse() needs a pydantic model class, not {model!r}")
    schema = strict(model.model_json_schema())
    return {"type": "json_schema", "json_schema": {"schema": schema, "name": model.__name__, "strict": True}}


def strict(schema: Any) -> Any:
    """The JSON schema as strict mode wants it: every property required, none besides, no null default."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict_member(name, part) for name, part in schema.items()}
    if made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    if "properties" in made:
        made["required"] = list(made["properties"])
    if made.get("default", ...) is None:
        del made["default"]
    return {"allOf": [{"$ref": made.pop("$ref")}], **made} if "$ref" in made and len(made) > 1 else made


def _strict_member(name: str, part: Any) -> Any:
    if name in ("default", "enum", "const", "examples"):
        return part
    if name in ("properties", "$defs", "definitions") and isinstance(part, dict):
        return {member: strict(inner) for member, inner in part.items()}
    return strict(part)


def parse_into(reply: Any, model: Any) -> Any:
    """The same reply with `message.parsed` filled in.

    Raises:
        LengthFinishReasonError: when the answer was cut off.
        ContentFilterFinishReasonError: when a filter cut it off.
        pydantic.ValidationError: when the answer is not what was asked for.
    """
    for choice in reply.choices:
        if choice.finish_reason == "length":
            raise _with(LengthFinishReasonError, "the answer was cut off by its length limit", reply)
        if choice.finish_reason == "content_filter":
            raise _with(ContentFilterFinishReasonError, "the answer was cut off by a content filter", reply)
        content = choice.message.content
        if content and not choice.message.refusal:
            # Reply objects refuse assignment; what a reader finds first is the instance's own dict.
            vars(choice.message)["parsed"] = model.model_validate_json(content)
    return reply


def _with(leaf: Any, message: str, reply: Any) -> Any:
    error: Any = _make(leaf, message)
    error.completion = reply
    return error
