"""Our messages' content as LangChain's standard blocks."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

from ._usage import PROVIDER


def blocks_of(message: AIMessage) -> list[types.ContentBlock]:
    """The thoughts, the content, the tool calls and the refusal of an answer."""
    calls: list[Any] = [
        {"type": "tool_call", "id": call.get("id"), "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
    ]
    return _around(message, calls)


def blocks_of_chunk(chunk: AIMessageChunk) -> list[types.ContentBlock]:
    """The same of a piece of an answer; tool calls are in pieces until the last one."""
    if chunk.chunk_position == "last" or not chunk.tool_call_chunks:
        return blocks_of(chunk)
    calls: list[Any] = []
    for call in chunk.tool_call_chunks:
        piece = {"type": "tool_call_chunk", "id": call["id"], "name": call["name"], "args": call["args"]}
        if call.get("index") is not None:
            # A name of its own: as a number it would meet the positions of the text and the thoughts.
            piece["index"] = f"lc_tool_{call['index']}"
        calls.append(piece)
    return _around(chunk, calls)


def _around(message: AIMessage, calls: list[Any]) -> list[types.ContentBlock]:
    inside: list[Any] = _plain(message)
    known = {block.get("id") for block in inside if block["type"] in ("tool_call", "tool_call_chunk")}
    blocks = inside + [call for call in calls if call["id"] is None or call["id"] not in known]
    extras = message.additional_kwargs
    if extras.get("reasoning_content") and not any(block["type"] == "reasoning" for block in inside):
        blocks.insert(0, {"type": "reasoning", "reasoning": extras["reasoning_content"]})
    if extras.get("refusal"):
        blocks.append({"type": "refusal", "refusal": extras["refusal"]})
    return blocks


_plain: Any = vars(BaseMessage)["content_blocks"].fget
"""LangChain's reading of the content alone."""

register_translator(PROVIDER, blocks_of, blocks_of_chunk)
