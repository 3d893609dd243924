"""A streamed answer, piece by piece, as LangChain's chunks."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from . import _build
from ._frames import Event
from ._reasoning import merged, reasoning_in
from ._usage import PROVIDER, response_metadata, traced, usage_metadata

_WHOLE = ("audio", "annotations", "images")
"""Members of deltas that are handed over with the last chunk."""


_PLAIN = {"role", "content"}
"""Members of a delta that is a piece of text and no more."""


class Pieces:
    """Makes chunks of events, and keeps what the last chunk tells: usage, metadata, how it ended."""

    def __init__(self) -> None:
        self._head: Event = {}
        self._usage: Any = None
        self._finish_reason: str | None = None
        self._logprobs: dict[str, list[Any]] = {}
        self._details: list[Any] = []
        self._extras: dict[str, Any] = {}

    def of(self, event: Event) -> ChatGenerationChunk | None:
        """The chunk of an event; `None` where it says nothing that could be shown now."""
        choices = event.get("choices")
        if not choices:
            self._note(event)
            return None
        choice = choices[0]
        delta = choice.get("delta") or {}
        text = delta.get("content")
        if choice.get("finish_reason") is None and len(choices) == 1 and not choice.get("index"):
            if (
                type(text) is str
                and text
                and (len(delta) == 1 or delta.keys() <= _PLAIN)
                and choice.get("logprobs") is None
            ):
                return _build.generation_chunk(_build.chunk({"content": text}), text)
        else:
            self._note(event)
        return None if choice.get("index") else self._piece(choice, delta)

    def last(self, receipt: Any) -> ChatGenerationChunk:
        """The chunk that ends the answer."""
        told = response_metadata(self._head, receipt, self._finish_reason)
        if self._logprobs:
            told["logprobs"] = self._logprobs
        if self._details:
            self._extras["reasoning_details"] = merged(self._details)
        given: dict[str, Any] = {
            "content": "",
            "chunk_position": "last",
            "response_metadata": told,
            "additional_kwargs": self._extras,
        }
        if self._usage:
            given["usage_metadata"] = usage_metadata(self._usage, self._head.get("service_tier"))
        return _build.generation_chunk(_build.chunk(given), "", traced(receipt))

    def _note(self, event: Event) -> None:
        """Keep the head and the usage of an event."""
        usage = event.get("usage")
        if usage:
            self._usage = usage
        self._head = {**self._head, **{name: value for name, value in event.items() if value is not None}}

    def _piece(self, choice: Event, delta: Event) -> ChatGenerationChunk | None:
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        for name, tokens in (choice.get("logprobs") or {}).items():
            self._logprobs.setdefault(name, []).extend(tokens or ())
        self._details += delta.get("reasoning_details") or ()
        for name in _WHOLE:
            if delta.get(name):
                self._extras[name] = _joined(self._extras.get(name), delta[name])
        text, extras = delta.get("content") or "", _extras(delta)
        calls = [_call_chunk(*numbered) for numbered in enumerate(delta.get("tool_calls") or ())]
        if not text and not extras and not calls:
            return None
        given: dict[str, Any] = {"content": text, "additional_kwargs": extras}
        if extras or calls:
            given["response_metadata"] = {"model_provider": PROVIDER}
        if calls:
            return ChatGenerationChunk(message=AIMessageChunk(**given, tool_call_chunks=calls))
        piece = _build.chunk(given)
        return _build.generation_chunk(piece, text if isinstance(text, str) else str(piece.text))


def _extras(delta: Event) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    reasoning = reasoning_in(delta)
    if reasoning:
        extras["reasoning_content"] = reasoning
    if delta.get("refusal"):
        extras["refusal"] = delta["refusal"]
    if delta.get("function_call"):
        extras["function_call"] = {k: v or "" for k, v in delta["function_call"].items()}
    return extras


def _call_chunk(position: int, call: Event) -> Any:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    return tool_call_chunk(
        name=function.get("name"),
        args=arguments,
        id=call.get("id"),
        index=call.get("index", position),
    )


def _joined(known: Any, more: Any) -> Any:
    """Lists one after the other; sound in pieces, put together."""
    if isinstance(known, list) and isinstance(more, list):
        return known + more
    if isinstance(known, dict) and isinstance(more, dict):
        grown = [name for name in ("data", "transcript") if name in known and name in more]
        return {**known, **more, **{name: known[name] + more[name] for name in grown}}
    return more
