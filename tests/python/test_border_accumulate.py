"""Chunks put together again are the completion that the OpenAI SDK puts together."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import fairlead
import pytest
from fairlead.accumulate import ChatCompletionStreamState
from fairlead.testing import Upstream, stream, tool_call
from fairlead.types import ChatCompletionChunk

MESSAGES = [{"role": "user", "content": "hi"}]


def chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    return {"tool_calls": [{"index": index, "function": function, **more}]}


CHUNKS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}, 1),
    chunk({"content": "lo"}),
    chunk(call(0, "", id="t0", type="function", name="f")),
    chunk(call(0, '{"a":')),
    chunk(call(0, " 1}")),
    chunk(call(1, "{}", id="t1", type="function", name="g")),
    chunk({}, 0, "tool_calls"),
    chunk({}, 1, "stop"),
    {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
]


def test_the_whole_equals_what_the_openai_sdk_puts_together() -> None:
    streaming = pytest.importorskip("openai.lib.streaming.chat")
    types = pytest.importorskip("openai.types.chat")
    theirs = streaming.ChatCompletionStreamState()
    ours = ChatCompletionStreamState()
    for written in CHUNKS:
        theirs.handle_chunk(types.ChatCompletionChunk.model_validate(written))
        ours.handle_chunk(ChatCompletionChunk.model_validate(written))
    expected, found = theirs.get_final_completion(), ours.get_final_completion()
    assert found.usage is not None
    assert found.usage.model_dump() == expected.usage.model_dump(exclude_unset=True)
    assert len(found.choices) == len(expected.choices)
    for mine, sdk in zip(found.choices, expected.choices, strict=True):
        assert mine.finish_reason == sdk.finish_reason
        assert mine.message.content == sdk.message.content
        calls = [(c.id, c.function.name, c.function.arguments) for c in mine.message.tool_calls or ()]
        assert calls == [(c.id, c.function.name, c.function.arguments) for c in sdk.message.tool_calls or ()]


def test_a_message_beside_the_deltas_does_not_replace_what_was_put_together() -> None:
    state = ChatCompletionStreamState()
    for text in ("Hel", "lo"):
        written = chunk({"content": text})
        written["choices"][0] |= {"message": {"role": "assistant", "content": text}, "seen": text}
        state.handle_chunk(ChatCompletionChunk.model_validate(written))
    choice = state.get_final_completion().choices[0]
    assert choice.message.content == "Hello"
    assert choice.seen == "lo"


def test_events_tell_what_a_chunk_means() -> None:
    state = ChatCompletionStreamState()
    events = [
        event
        for written in CHUNKS
        for event in state.handle_chunk(ChatCompletionChunk.model_validate(written))
    ]
    told = [(event.type, getattr(event, "snapshot", None)) for event in events if event.type != "chunk"]
    assert told[:3] == [("content.delta", "Hel"), ("content.delta", "lo"), ("content.delta", "Hello")]
    calls = [event for event in events if event.type.startswith("tool_calls")]
    assert [(event.type.rpartition(".")[2], event.index, event.arguments) for event in calls] == [  # type: ignore[union-attr]
        ("delta", 0, '{"a":'),
        ("delta", 0, '{"a": 1}'),
        ("done", 0, '{"a": 1}'),
        ("delta", 1, "{}"),
        ("done", 1, "{}"),
    ]
    assert [event.type for event in events].count("content.done") == 2


def test_the_stream_helper_of_both_clients(up: Upstream) -> None:
    up.reply = stream("a b c", tool_calls=[tool_call("f", {"x": 1})])
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    with client.chat.completions.stream(model="m", messages=MESSAGES) as events:
        text = "".join(event.delta for event in events if event.type == "content.delta")  # type: ignore[union-attr]
        whole = events.get_final_completion()
    assert text == whole.choices[0].message.content == "a b c"
    assert whole.choices[0].message.tool_calls is not None
    assert json.loads(whole.choices[0].message.tool_calls[0].function.arguments) == {"x": 1}

    async def main() -> None:
        twin = fairlead.AsyncClient(api_key="test", base_url=up.base_url)
        async with twin.chat.completions.stream(model="m", messages=MESSAGES) as events:
            completion = await events.get_final_completion()
        assert completion.choices[0].message.content == "a b c"

    asyncio.run(main())
