"""Streams that are left: the upstream sees it at once, nothing stays."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import openai
import pytest
from fairlead.openai import AsyncOpenAI, OpenAI, failure, receipts
from fairlead.testing import Upstream, hang, stream
from openai_twin import MESSAGES

SLOW = stream("a b c d e f g h i j", interval=0.2)
AT_ONCE = 1.0
"""Seconds; far below what the stream would take."""


def open_of(up: Upstream) -> OpenAI:
    up.reply = SLOW
    return OpenAI(api_key="test", base_url=up.base_url)


def async_of(up: Upstream, reply: Any = SLOW) -> AsyncOpenAI:
    up.reply = reply
    return AsyncOpenAI(api_key="test", base_url=up.base_url)


def is_closed_at_once(up: Upstream) -> bool:
    return up.wait_idle(AT_ONCE) and up.wait_disconnected(AT_ONCE)


def test_closing_a_stream_early_closes_the_upstream(up: Upstream) -> None:
    client = open_of(up)
    with receipts() as told:
        chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        next(chunks)
        chunks.close()
    assert is_closed_at_once(up)
    assert len(told) == 1


def test_leaving_a_with_block_early_closes_the_upstream(up: Upstream) -> None:
    client = open_of(up)
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as chunks:
        next(chunks)
    assert is_closed_at_once(up)


def test_dropping_a_stream_closes_the_upstream(up: Upstream) -> None:
    client = open_of(up)
    chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    next(chunks)
    del chunks
    gc.collect()
    assert is_closed_at_once(up)


def test_a_streaming_response_that_is_left_closes_the_upstream(up: Upstream) -> None:
    client = open_of(up)
    create = client.chat.completions.with_streaming_response.create
    with create(model="m", messages=MESSAGES, stream=True) as events:
        next(events.iter_bytes())
    assert is_closed_at_once(up)


def test_the_stream_helper_that_is_left_closes_the_upstream(up: Upstream) -> None:
    client = open_of(up)
    with client.chat.completions.stream(model="m", messages=MESSAGES) as events:
        next(iter(events))
    assert is_closed_at_once(up)


def test_closing_from_another_thread_ends_the_reader_with_an_error(up: Upstream) -> None:
    up.reply = stream(["a ", "b ", 30.0, "c"])
    client = OpenAI(api_key="test", base_url=up.base_url)
    create = client.chat.completions.with_streaming_response.create
    with create(model="m", messages=MESSAGES, stream=True) as events:
        stop = threading.Timer(0.3, events.http_response.stream._stream.close)
        stop.start()
        body = b"".join(events.iter_bytes())
        stop.join()
    assert b"data: [DONE]" not in body
    assert b'"stream_interrupted"' in body
    assert is_closed_at_once(up)


def test_cancelling_a_call_closes_the_upstream(up: Upstream) -> None:
    client = async_of(up, hang())

    async def main() -> None:
        call = asyncio.ensure_future(client.chat.completions.create(model="m", messages=MESSAGES))
        assert await asyncio.to_thread(up.wait_requests, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(up.wait_idle, AT_ONCE)

    asyncio.run(main())


def test_cancelling_a_reader_closes_the_upstream(up: Upstream) -> None:
    client = async_of(up)
    seen: list[Any] = []

    async def read() -> None:
        async for chunk in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            seen.append(chunk)

    async def main() -> None:
        reader = asyncio.ensure_future(read())
        while len(seen) < 2:
            await asyncio.sleep(0.01)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert await asyncio.to_thread(up.wait_idle, AT_ONCE)

    asyncio.run(main())


def test_a_timeout_around_a_reader_is_the_callers_own(up: Upstream) -> None:
    client = async_of(up)

    async def read() -> None:
        async for _ in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            pass

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.3)
        assert await asyncio.to_thread(up.wait_idle, AT_ONCE)

    asyncio.run(main())


def test_closing_on_a_loop_closes_the_upstream(up: Upstream) -> None:
    client = async_of(up)

    async def main() -> None:
        async with await client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as chunks:
            await anext(chunks)
        assert await asyncio.to_thread(up.wait_idle, AT_ONCE)

    asyncio.run(main())


def test_a_silent_stream_is_told_in_time(up: Upstream) -> None:
    up.reply = stream(["a ", "b ", 30.0, "c"])
    client = OpenAI(api_key="test", base_url=up.base_url, timeout=openai.Timeout(0.3, connect=5))
    began = time.monotonic()
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert time.monotonic() - began < 5
    assert caught.value.code == "stream_idle_timeout"
    assert failure(caught.value).partial == "a b "


def test_a_hundred_streams_at_once_are_each_complete(up: Upstream) -> None:
    client = async_of(up, stream("a b c d e f", interval=0.01))

    async def one() -> str:
        pieces = []
        async for chunk in await client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            pieces += [choice.delta.content or "" for choice in chunk.choices]
        return "".join(pieces)

    async def main() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(100)))

    assert asyncio.run(main()) == ["a b c d e f"] * 100
