"""What a reader of the OpenAI SDK's objects finds in a reply: the same words for its objects and for ours.

`official` is what the SDK itself makes of the same bytes, through its own client, parser and accumulator.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import openai
from corpus import MESSAGES, Item

try:
    import httpx2 as http
except ImportError:
    import httpx as http  # type: ignore[no-redef]

Read = dict[str, Any]
"""What was read, as plain values."""

_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = {
    "prompt_tokens_details": ("cached_tokens", "audio_tokens"),
    "completion_tokens_details": (
        "reasoning_tokens",
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    ),
}


def of(value: Any, name: str) -> Any:
    """A member. The SDK lacks required ones that were not received; unknown ones are plain objects."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def usage(value: Any) -> Read | None:
    """The counts of a usage."""
    if value is None:
        return None
    read: Read = {name: of(value, name) for name in _USAGE}
    for group, names in _DETAILS.items():
        details = of(value, group)
        read |= {f"{group}.{name}": of(details, name) for name in names}
    return read


def _call(function: Any) -> Read | None:
    if function is None:
        return None
    return {"name": of(function, "name"), "arguments": of(function, "arguments")}


def _tool_call(call: Any) -> Read:
    custom = of(call, "custom")
    return {
        "id": of(call, "id"),
        "type": of(call, "type"),
        "function": _call(of(call, "function")),
        "custom": None if custom is None else {"name": of(custom, "name"), "input": of(custom, "input")},
    }


def _choice(choice: Any) -> Read:
    message = of(choice, "message")
    return {
        "index": of(choice, "index"),
        "finish_reason": of(choice, "finish_reason"),
        "role": of(message, "role"),
        "text": of(message, "content"),
        "refusal": of(message, "refusal"),
        "reasoning": of(message, "reasoning_content") or of(message, "reasoning"),
        "tool_calls": [_tool_call(call) for call in of(message, "tool_calls") or ()],
        "function_call": _call(of(message, "function_call")),
    }


def completion(reply: Any) -> Read:
    """What a whole completion says."""
    head = {name: of(reply, name) for name in ("id", "object", "created", "model", "service_tier")}
    choices = [_choice(choice) for choice in of(reply, "choices") or ()]
    return {**head, "choices": choices, "usage": usage(of(reply, "usage"))}


def embeddings(reply: Any) -> Read:
    """What an embedding reply says, every vector included."""
    counts = of(reply, "usage")
    data = [(of(entry, "index"), of(entry, "object"), of(entry, "embedding")) for entry in reply.data]
    return {
        "model": of(reply, "model"),
        "object": of(reply, "object"),
        "data": data,
        "usage": counts and [of(counts, "prompt_tokens"), of(counts, "total_tokens")],
    }


# ===== streams =====


@dataclass
class _Said:
    """What the chunks said of one choice."""

    finish_reason: Any = None
    text: str | None = None
    refusal: str | None = None
    calls: dict[Any, Read] | None = None
    function: Read | None = None

    def add(self, choice: Any) -> None:
        delta = of(choice, "delta")
        self.finish_reason = of(choice, "finish_reason") or self.finish_reason
        self.text = _joined(self.text, of(delta, "content"))
        self.refusal = _joined(self.refusal, of(delta, "refusal"))
        function = of(delta, "function_call")
        if function is not None:
            self.function = self.function or {"name": None, "arguments": None}
            _add_call(self.function, function)
        for piece in of(delta, "tool_calls") or ():
            self.calls = {} if self.calls is None else self.calls
            call = self.calls.setdefault(
                of(piece, "index"), {"id": None, "type": None, "name": None, "arguments": None}
            )
            call["id"] = _joined(call["id"], of(piece, "id"))
            call["type"] = of(piece, "type") or call["type"]
            if of(piece, "function") is not None:
                _add_call(call, piece.function)

    def read(self) -> Read:
        return {
            "finish_reason": self.finish_reason,
            "text": self.text,
            "refusal": self.refusal,
            "tool_calls": [call for _, call in sorted((self.calls or {}).items())],
            "function_call": self.function,
        }


def _joined(known: str | None, more: str | None) -> str | None:
    return known if more is None else (known or "") + more


def _add_call(call: Read, piece: Any) -> None:
    for name in ("name", "arguments"):
        call[name] = _joined(call[name], of(piece, name))


def fold(chunks: Iterable[Any]) -> Read:
    """What the chunks of a stream add up to."""
    choices: dict[int, _Said] = {}
    counts = None
    for chunk in chunks:
        counts = usage(of(chunk, "usage")) or counts
        for choice in of(chunk, "choices") or ():
            choices.setdefault(choice.index, _Said()).add(choice)
    return {"choices": {index: said.read() for index, said in sorted(choices.items())}, "usage": counts}


def accumulated(state: Any, chunks: Iterable[Any]) -> Read:
    """The same as an accumulator of chunks has it."""
    for chunk in chunks:
        state.handle_chunk(chunk)
    snapshot = state.current_completion_snapshot
    choices = {}
    for choice in snapshot.choices:
        read = _choice(choice)
        calls = [{"id": c["id"], "type": c["type"], **(c["function"] or {})} for c in read["tool_calls"]]
        kept = {name: read[name] for name in ("finish_reason", "text", "refusal", "function_call")}
        choices[choice.index] = {**kept, "tool_calls": calls}
    return {"choices": dict(sorted(choices.items())), "usage": usage(snapshot.usage)}


# ===== the SDK on the same bytes =====


@dataclass(frozen=True)
class Official:
    """What the SDK made of an interaction."""

    reply: Any = None
    chunks: tuple[Any, ...] = ()
    error: Any = None


class _Recorded(http.BaseTransport):
    """Answers with the recorded bytes of the interaction that a request names."""

    def __init__(self) -> None:
        self.item: Item | None = None

    def handle_request(self, request: Any) -> Any:
        item = self.item
        assert item is not None
        return http.Response(item.status, headers=dict(item.headers), content=item.body)


@functools.cache
def _sdk() -> tuple[_Recorded, openai.OpenAI]:
    transport = _Recorded()
    client = http.Client(transport=transport)
    sdk = openai.OpenAI(api_key="sk-test", base_url="http://recorded/v1", max_retries=0, http_client=client)
    return transport, sdk


@functools.cache
def official(item: Item, encoding_format: str | None = None) -> Official:
    """The SDK's reading of an interaction."""
    transport, sdk = _sdk()
    transport.item = item
    try:
        if not item.is_chat:
            asked: Read = {} if encoding_format is None else {"encoding_format": encoding_format}
            return Official(sdk.embeddings.create(model=item.model, input="hi", **asked))
        streams = item.asks_for_stream
        reply: Any = sdk.chat.completions.create(model=item.model, messages=MESSAGES, stream=streams)  # type: ignore[call-overload]
    except openai.APIError as error:
        return Official(error=error)
    return _read(reply) if streams else Official(reply)


def _read(stream: Any) -> Official:
    chunks: list[Any] = []
    try:
        for chunk in stream:
            chunks.append(chunk)
    except openai.APIError as error:
        return Official(chunks=tuple(chunks), error=error)
    return Official(chunks=tuple(chunks))
