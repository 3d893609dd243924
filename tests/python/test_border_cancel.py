"""Cancelling is honest: the upstream sees the close and everything is given back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from typing import Any

import fairlead
import pytest
from fairlead import _core
from fairlead.testing import Upstream, hang, ok, stream
from patience import until

MESSAGES = [{"role": "user", "content": "one two three four five six seven"}]
PATIENCE = 10.0


def client_of(up: Upstream) -> fairlead.AsyncClient:
    return fairlead.AsyncClient(api_key="test", base_url=up.base_url)


async def rest(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


def test_a_cancelled_call_is_closed_upstream(up: Upstream) -> None:
    up.script = [hang()]
    client = client_of(up)

    async def main() -> None:
        call = asyncio.ensure_future(client.chat.completions.create(model="m", messages=MESSAGES))
        assert await asyncio.to_thread(up.wait_requests, 1)
        assert client.stats()["now"]["calls"] == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(up.wait_idle)

    asyncio.run(main())
    assert up.wait_disconnected()


def test_a_timeout_around_a_call_is_a_cancel(up: Upstream) -> None:
    up.script = [hang()]
    client = client_of(up)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.chat.completions.create(model="m", messages=MESSAGES)

    asyncio.run(main())
    assert up.wait_disconnected()


def test_a_cancel_in_the_tick_of_the_result_drops_the_stream(up: Upstream) -> None:
    up.script = [stream("a b c d e f", interval=0.05)]
    client = client_of(up)

    async def main() -> None:
        call = asyncio.ensure_future(
            client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        )
        await asyncio.sleep(0)
        # The loop is held until the stream has committed: the result lies in the port, not drained yet.
        deadline = time.monotonic() + PATIENCE
        while not client.stats()["now"]["streams"] and time.monotonic() < deadline:
            time.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert up.wait_idle()


def test_cancels_at_random_points_leave_every_counter_at_zero(up: Upstream) -> None:
    chance = random.Random(7)
    client = client_of(up)

    async def one(delay: float) -> None:
        async def use() -> None:
            reply: Any = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            async for _ in reply:
                pass

        task = asyncio.ensure_future(use())
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def main() -> None:
        for _ in range(10):
            up.script = [
                chance.choice(
                    [ok(delay=0.01), ok(interval=0.004), hang(), stream(interval=0.003, ttfb=0.005)]
                )
                for _ in range(20)
            ]
            await asyncio.gather(*(one(chance.uniform(0, 0.04)) for _ in range(20)))

    asyncio.run(main())
    assert up.wait_idle(PATIENCE)
    stats = client.stats()
    assert stats["calls"] == stats["succeeded"] + stats["failed"] + stats["cancelled"]


def test_a_half_read_stream_that_is_dropped_warns_and_closes(up: Upstream) -> None:
    up.script = [stream("a b c d e f", interval=0.5)]
    client = client_of(up)

    async def main() -> None:
        chunks = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        await anext(chunks)
        held = [chunks]
        del chunks
        # asyncio itself holds the result of an await until the task is next suspended.
        await asyncio.sleep(0)
        with pytest.warns(ResourceWarning, match="half-read AsyncStream"):
            held.clear()
        assert await asyncio.to_thread(up.wait_idle)

    asyncio.run(main())
    assert up.wait_disconnected()


def test_leaving_the_block_closes_the_stream(up: Upstream) -> None:
    up.script = [stream("a b c d e f", interval=0.5)]
    client = client_of(up)

    async def main() -> None:
        async with await client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as chunks:
            await anext(chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        assert await asyncio.to_thread(up.wait_idle)

    asyncio.run(main())
    assert up.wait_disconnected()


def test_a_stream_whose_reader_was_cancelled_does_not_pretend_to_be_complete(up: Upstream) -> None:
    up.script = [stream("a b c d e f", interval=0.5)]
    client = client_of(up)

    async def main() -> None:
        chunks = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest(chunks), 0.2)
        with pytest.raises(fairlead.StreamInterrupted):
            await rest(chunks)

    asyncio.run(main())
    assert up.wait_disconnected()


def test_ready_chunks_leave_other_tasks_their_turn(up: Upstream) -> None:
    words = " ".join("w" for _ in range(400))
    up.script = [stream(words)]
    client = client_of(up)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async def main() -> None:
        nonlocal ticks
        chunks = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        deadline = time.monotonic() + PATIENCE
        while not chunks._core.is_over and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        ticker = asyncio.ensure_future(tick())
        count = 0
        async for _ in chunks:
            count += 1
        assert count >= 400
        assert ticks >= count // 64 - 1
        ticker.cancel()

    asyncio.run(main())


def test_ctrl_c_interrupts_a_blocking_call(up: Upstream) -> None:
    up.script = [hang()]
    client = fairlead.Client(api_key="test", base_url=up.base_url)

    def press() -> None:
        assert up.wait_requests(1)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        client.chat.completions.create(model="m", messages=MESSAGES)
    finger.join()
    assert up.wait_disconnected()


def test_ctrl_c_interrupts_a_blocking_stream(up: Upstream) -> None:
    up.script = [stream("a b c d e f g h i j k l m n o p q", interval=0.3)]
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    next(chunks)
    finger = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in chunks:
            pass
    finger.join()
    assert up.wait_disconnected()


def test_blocking_calls_do_not_hold_up_other_threads(up: Upstream) -> None:
    up.script = [ok(delay=0.3)]
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    worker = threading.Thread(target=lambda: client.generate("m", "hi"))
    worker.start()
    assert up.wait_requests(1)
    turns = 0
    while worker.is_alive():
        turns += 1
        time.sleep(0.001)
    assert turns > 10
    until(lambda: _core._tasks() == 0)
