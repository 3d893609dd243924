"""A streamed answer as events of LangChain's protocol (`stream_events(version="v3")`)."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from ._replies import arguments_in
from ._usage import PROVIDER

Event = dict[str, Any]
"""An event of the protocol."""


class Events:
    """Makes events of chunks: blocks open when they are first seen and close at the end.

    Args:
        message_id: the message's.
        model: what was asked for, known before the answer says it.
    """

    def __init__(self, message_id: str, model: str | None) -> None:
        self._id = message_id
        self._model = model
        self._started = False
        self._places: dict[Any, int] = {}
        self._blocks: list[dict[str, Any]] = []

    def of(self, chunk: ChatGenerationChunk) -> list[Event]:
        """The events that a chunk brings."""
        message = chunk.message
        assert isinstance(message, AIMessageChunk)
        events = [] if self._started else [self._start()]
        extras = message.additional_kwargs
        if extras.get("reasoning_content"):
            events += self._grown("reasoning", "reasoning", extras["reasoning_content"])
        if chunk.text:
            events += self._grown("text", "text", chunk.text)
        for call in message.tool_call_chunks:
            events += self._call(call)
        if extras.get("refusal"):
            events += self._refused(extras["refusal"])
        if message.chunk_position == "last":
            events += self._end(message)
        return events

    def _start(self) -> Event:
        self._started = True
        metadata = {"provider": PROVIDER} | ({} if self._model is None else {"model": self._model})
        return {"event": "message-start", "role": "ai", "id": self._id, "metadata": metadata}

    def _grown(self, kind: str, member: str, text: str) -> list[Event]:
        events, place = self._opened(kind, {"type": kind, member: ""})
        self._blocks[place][member] += text
        delta = {"type": f"{kind}-delta", member: text}
        return [*events, {"event": "content-block-delta", "index": place, "delta": delta}]

    def _call(self, call: Any) -> list[Event]:
        key = ("call", call.get("index"))
        opening = {"type": "tool_call_chunk", "id": call.get("id"), "name": call.get("name"), "args": ""}
        events, place = self._opened(key, opening)
        block = self._blocks[place]
        block["id"], block["name"] = block["id"] or call.get("id"), block["name"] or call.get("name")
        arguments = call.get("args")
        if arguments:
            block["args"] += arguments
            delta = {"type": "tool-call-delta", "args": arguments}
            events.append({"event": "content-block-delta", "index": place, "delta": delta})
        return events

    def _refused(self, text: str) -> list[Event]:
        events, place = self._opened("refusal", {"type": "refusal", "refusal": ""})
        self._blocks[place]["refusal"] += text
        return events

    def _opened(self, key: Any, block: dict[str, Any]) -> tuple[list[Event], int]:
        place = self._places.get(key)
        if place is not None:
            return [], place
        place = self._places[key] = len(self._blocks)
        self._blocks.append(block)
        return [{"event": "content-block-start", "index": place, "content": dict(block)}], place

    def _end(self, last: AIMessageChunk) -> list[Event]:
        events: list[Event] = [
            {"event": "content-block-finish", "index": place, "content": _finished(block)}
            for place, block in enumerate(self._blocks)
        ]
        finish: Event = {"event": "message-finish", "metadata": dict(last.response_metadata)}
        if last.usage_metadata:
            finish["usage"] = dict(last.usage_metadata)
        if last.additional_kwargs:
            finish["additional_kwargs"] = dict(last.additional_kwargs)
        return [*events, finish]


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] != "tool_call_chunk":
        return block
    arguments, fault = arguments_in(block["args"])
    if fault is None and block["name"]:
        return {"type": "tool_call", "id": block["id"], "name": block["name"], "args": arguments}
    error = fault or "a call without a name"
    return {**block, "type": "invalid_tool_call", "error": error}
