"""Streams read as bytes: what a server hands on without parsing it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fairlead import AsyncClient, Client, StreamTruncated
from fairlead._ports import port_of
from fairlead.testing import Upstream, stream

MESSAGES = [{"role": "user", "content": "hello"}]


def events(frames: bytes) -> list[str]:
    """The data of framed events."""
    assert frames.endswith(b"\n\n")
    return [event.removeprefix("data: ") for event in frames.decode().split("\n\n")[:-1]]


def test_blocking_frames_hold_every_event_once_and_in_order(up: Upstream) -> None:
    up.reply = stream(["one ", "two ", "three"])
    with Client(api_key="k", base_url=up.base_url) as client:
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as parsed:
            expected = [chunk.model_dump()["choices"] for chunk in parsed]
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as unparsed:
            core: Any = unparsed._core
            frames = b"".join(iter(core.block_frames, None))
    assert [json.loads(event)["choices"] for event in events(frames)] == expected


async def frames_of(core: Any) -> list[bytes]:
    """As an application would read them."""
    found: list[bytes] = []
    loop = asyncio.get_running_loop()
    try:
        while True:
            frames = core.take_frames()
            if frames is not None:
                found.append(frames)
            elif (waiting := core.wait(loop, port_of(loop))) is None:
                await asyncio.sleep(0)
            else:
                await waiting[0]
    except StopAsyncIteration:
        return found


def test_frames_that_are_waited_for_come_together(up: Upstream) -> None:
    words = [f"w{number} " for number in range(2000)]

    async def read() -> list[bytes]:
        up.script = [stream(words)]
        async with AsyncClient(api_key="k", base_url=up.base_url) as client:
            answer = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            async with answer:
                return await frames_of(answer._core)

    found = asyncio.run(read())
    told = events(b"".join(found))
    assert sum('"content":"w' in event for event in told) == len(words)
    assert len(found) < len(told) / 2


def test_a_stream_that_breaks_is_told_after_its_frames(up: Upstream) -> None:
    up.script = [stream(["a", "b"], finish=None, done=False, end="close")]
    with (
        Client(api_key="k", base_url=up.base_url, max_retries=0) as client,
        client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as broken,
    ):
        core: Any = broken._core
        frames: list[bytes] = []
        with pytest.raises(StreamTruncated):
            frames.extend(iter(core.block_frames, None))
    assert len(events(b"".join(frames))) >= 2
