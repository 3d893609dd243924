"""Content blocks on their way to the wire: OpenAI's own, LangChain's of both versions, Anthropic's."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from langchain_core.messages import is_data_content_block
from langchain_core.messages.block_translators.openai import convert_to_openai_data_block

Block = dict[str, Any]
"""A content block."""

_SAID_ELSEWHERE = (
    "tool_call",
    "tool_call_chunk",
    "invalid_tool_call",
    "tool_use",
    "function_call",
    "reasoning",
    "reasoning_content",
    "thinking",
    "redacted_thinking",
)
"""Blocks whose content stands in other members of the message, or is no input at all."""


_FORMATS = {
    "mpeg": "mp3",
    "mpeg3": "mp3",
    "x-mp3": "mp3",
    "x-mpeg": "mp3",
    "wave": "wav",
    "x-wav": "wav",
    "vnd.wave": "wav",
}
"""Names of sounds in MIME types, and what OpenAI calls them."""


def content_of(content: Any) -> Any:
    """The content of a message as a provider takes it: text, or a list of parts.

    Raises:
        ValueError: naming the block that cannot be said.
    """
    if not isinstance(content, list):
        return content
    return [part for part in map(_part, content) if part is not None]


def text_alone(content: Any) -> Any:
    """As `content_of`; a list of nothing but text becomes one text, for providers that take no other."""
    parts = content_of(content)
    if not isinstance(parts, list):
        return parts
    if all(isinstance(part, dict) and set(part) <= {"type", "text"} and "text" in part for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def reasoning_of(content: Any) -> str:
    """The text of the reasoning blocks of a message's content."""
    if not isinstance(content, list):
        return ""
    blocks = [block for block in content if isinstance(block, dict)]
    return "".join(
        str(block.get("reasoning") or block.get("thinking") or "")
        for block in blocks
        if block.get("type") in ("reasoning", "thinking")
    )


def _part(block: Any) -> Any:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if not isinstance(block, dict):
        return block
    kind = block.get("type")
    if kind in _SAID_ELSEWHERE:
        return None
    convert = _CONVERSIONS.get(str(kind))
    return block if convert is None else convert(block)


def _data(block: Block) -> Block:
    """LangChain's own conversion of a block with data.

    Raises:
        ValueError: naming what the block lacks.
    """
    try:
        return convert_to_openai_data_block(block)
    except KeyError as error:
        message = f"a content block of type `{block.get('type')}` needs `{error.args[0]}` beside its data"
        raise ValueError(message) from error


def _unsaid(block: Block, what: str) -> ValueError:
    return ValueError(f"a content block of type `{block.get('type')}` cannot be sent with {what}")


def _text(block: Block) -> Block:
    kept: Block = {
        name: block[name] for name in ("cache_control", "prompt_cache_breakpoint") if name in block
    }
    return {"type": "text", "text": block.get("text", ""), **kept}


def _image(block: Block) -> Any:
    source = block.get("source")
    if isinstance(source, dict):
        return {"type": "image_url", "image_url": {"url": _source_url(block, source, "image/png")}}
    if not is_data_content_block(block):
        return block
    part = _data(block)
    detail = (block.get("extras") or {}).get("detail")
    if detail:
        part["image_url"]["detail"] = detail
    return part


def _source_url(block: Block, source: Block, media_type: str) -> str:
    """Where the data of a block of Anthropic's is, or the data itself."""
    if source.get("type") == "base64":
        return f"data:{source.get('media_type', media_type)};base64,{source.get('data', '')}"
    if source.get("type") == "url":
        return str(source.get("url", ""))
    raise _unsaid(block, f"a source of type `{source.get('type')}`")


def _file(block: Block) -> Any:
    if not is_data_content_block(block):
        return block
    if "url" in block and "base64" not in block and block.get("source_type") in (None, "url"):
        # OpenAI takes no URLs of files; OpenRouter and others do, in this place.
        return {"type": "file", "file": {"filename": _filename(block), "file_data": block["url"]}}
    named = block if "filename" in block else {**block, "filename": _filename(block)}
    return _data(named)


def _filename(block: Block) -> str:
    for holder in (block, block.get("extras") or {}, block.get("metadata") or {}):
        name = holder.get("filename") or holder.get("name")
        if name:
            return str(name)
    kind = str(block.get("mime_type") or "application/pdf").rpartition("/")[2]
    return f"file.{kind}"


def _document(block: Block) -> Block:
    """Anthropic's form of a file."""
    source = block.get("source") or {}
    if source.get("type") == "text":
        return {"type": "text", "text": source.get("data", "")}
    if source.get("type") == "content":
        return {"type": "text", "text": _inside(block, source.get("content"))}
    if source.get("type") == "file":
        return {"type": "file", "file": {"file_id": source.get("file_id")}}
    data = _source_url(block, source, "application/pdf")
    return {"type": "file", "file": {"filename": block.get("title") or "file.pdf", "file_data": data}}


def _audio(block: Block) -> Any:
    if "input_audio" in block or not is_data_content_block(block):
        return None if "id" in block else block
    part = _data(block)
    sound = part["input_audio"]
    sound["format"] = _FORMATS.get(sound["format"], sound["format"])
    return part


def _video(block: Block) -> Any:
    if "base64" in block:
        url = f"data:{block.get('mime_type', 'video/mp4')};base64,{block['base64']}"
    elif "url" in block:
        url = block["url"]
    else:
        return block
    return {"type": "video_url", "video_url": {"url": url}}


def _plain_text(block: Block) -> Block:
    if "text" in block:
        return {"type": "text", "text": block["text"]}
    if "file_id" in block:
        return {"type": "file", "file": {"file_id": block["file_id"]}}
    if "base64" not in block:
        raise _unsaid(block, "neither `text` nor `base64`")
    try:
        return {"type": "text", "text": base64.b64decode(block["base64"], validate=True).decode()}
    except ValueError as error:
        raise _unsaid(block, f"data that is no text in UTF-8: {error}") from error


def _non_standard(block: Block) -> Any:
    return _part(block.get("value"))


def _tool_result(block: Block) -> Any:
    """What Anthropic's tools answered, inside a message of a tool."""
    return {"type": "text", "text": _inside(block, block.get("content"))}


def _inside(block: Block, content: Any) -> str:
    """The text of what stands inside a block."""
    parts = content_of(content) or ""
    if isinstance(parts, str):
        return parts
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise _unsaid(block, "content that is not text alone")
    return "".join(str(part.get("text", "")) for part in parts)


def _refusal(block: Block) -> Block:
    return {"type": "refusal", "refusal": block.get("refusal", "")}


_CONVERSIONS: dict[str, Callable[[Block], Any]] = {
    "text": _text,
    "image": _image,
    "file": _file,
    "document": _document,
    "audio": _audio,
    "video": _video,
    "text-plain": _plain_text,
    "non_standard": _non_standard,
    "tool_result": _tool_result,
    "refusal": _refusal,
}
