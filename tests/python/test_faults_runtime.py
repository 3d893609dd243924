"""Callers that go away: cancels in every phase, closed loops, other threads, many threads."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import fairlead
import pytest
from fairlead.testing import Step, Upstream, fail, faults, hang, ok, stream
from fault_table import config
from faulty import MESSAGES, acall, assert_quiet, async_client, call, client

PROMPT = 2.0
"""Seconds within which a cancel must have come to its end; in truth it is milliseconds."""

LARGE = [{"role": "user", "content": "x" * (8 << 20)}]


@dataclass(frozen=True)
class Phase:
    """Where a call is when it is cancelled."""

    name: str
    step: Step | None = None
    requests: int = 1
    """Requests the upstream has seen by then."""
    changes: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    address: Callable[[], Any] | None = None
    seen: bool = True
    """Can the upstream see the caller leave? Not while it leaves the caller's bytes unread."""


SLOW = {"retry": {"base": 9000.0, "cap": 9000.0}, "timeouts": {"total": 99_000}}

PHASES = [
    Phase("connecting", requests=0, address=faults.black_hole, changes={"timeouts": {"connect": 60}}),
    Phase("shaking hands", requests=0, address=faults.silent, changes={"timeouts": {"connect": 60}}),
    Phase("uploading", faults.never_reads(), arguments={"messages": LARGE}, seen=False),
    Phase("awaiting the head", hang()),
    Phase("inside the head", faults.trickle_headers(0.05), changes={"timeouts": {"headers": 60}}),
    Phase("inside the body", faults.stall_in_body()),
    Phase("before commit", faults.pings_only(), arguments={"stream": True}),
    Phase("inside the stream", faults.stall_in_stream(), arguments={"stream": True}),
    Phase("backing off", fail(500), changes=SLOW),
    Phase("waiting as asked", faults.throttled(30)),
]


def reached(made: Any, up: Upstream, phase: Phase) -> bool:
    if phase.requests:
        return up.wait_requests(phase.requests)
    deadline = time.monotonic() + 5
    while not made.stats()["now"]["attempts"] and time.monotonic() < deadline:
        time.sleep(0.002)
    return bool(made.stats()["now"]["attempts"])


@pytest.mark.skipif(sys.platform != "linux", reason="a black hole needs Linux")
@pytest.mark.parametrize("phase", [pytest.param(phase, id=phase.name) for phase in PHASES])
def test_f118_e1_a_cancel_in_any_phase_is_prompt_and_leaves_nothing(phase: Phase) -> None:
    async def run(up: Upstream, base_url: str) -> None:
        async with async_client(config(base_url, **phase.changes)) as made:
            running = asyncio.ensure_future(acall(made, **phase.arguments))
            assert await asyncio.to_thread(reached, made, up, phase)
            await asyncio.sleep(0.02)
            began = time.monotonic()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert time.monotonic() - began < PROMPT
            await asyncio.to_thread(assert_quiet, made)
            stats = made.stats()
            assert (stats["calls"], stats["cancelled"]) == (1, 1)
            assert (stats["succeeded"], stats["failed"]) == (0, 0)

    with ExitStack() as held:
        up = held.enter_context(Upstream(receive_buffer=4096))
        if phase.step:
            up.reply = phase.step
        base_url = held.enter_context(phase.address()) if phase.address else up.base_url
        asyncio.run(run(up, base_url))
        assert up.wait_idle(PROMPT) or not phase.seen
        assert len(up.requests) == phase.requests


@pytest.mark.parametrize("streamed", [False, True])
def test_f118_a_cancel_after_any_number_of_turns_leaves_nothing(up: Upstream, streamed: bool) -> None:
    async def run() -> None:
        async with async_client(config(up.base_url)) as made:
            for turns in range(150):
                running = asyncio.ensure_future(acall(made, stream=streamed))
                for _ in range(turns):
                    await asyncio.sleep(0)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await asyncio.to_thread(assert_quiet, made)
            stats = made.stats()
            ended = stats["succeeded"] + stats["failed"] + stats["cancelled"]
            assert (stats["failed"], ended) == (0, stats["calls"])
            assert (await acall(made, stream=streamed)).text == "hi"

    up.reply = ok("hi")
    asyncio.run(run())
    assert up.wait_idle(PROMPT)


def test_f119_a_timeout_around_a_call_is_the_callers_own_and_is_not_retried(up: Upstream) -> None:
    async def run() -> None:
        async with async_client(config(up.base_url)) as made:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.2):
                    await acall(made)
            assert not isinstance(caught.value, fairlead.FairleadError)

    up.reply = hang()
    asyncio.run(run())
    assert up.wait_disconnected(PROMPT)
    assert len(up.requests) == 1


def test_f120_a_loop_closed_inside_a_stream_leaves_nothing(up: Upstream) -> None:
    made = fairlead.AsyncClient(config(up.base_url))
    loop = asyncio.new_event_loop()

    async def begin() -> Any:
        reading = await made.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        await anext(reading)
        return reading

    up.reply = stream("one two three four", interval=0.3)
    reading = loop.run_until_complete(begin())
    loop.close()
    with pytest.warns(ResourceWarning):
        del reading
    assert up.requests[0].wait_closed(PROMPT)
    assert_quiet(made)


def test_f121_a_client_and_its_streams_may_change_threads_and_loops(up: Upstream) -> None:
    up.reply = ok("one two three")
    made = fairlead.AsyncClient(config(up.base_url))
    assert [asyncio.run(acall(made)).text for _ in range(3)] == ["one two three"] * 3
    pieces: list[str] = []
    with client(config(up.base_url)) as blocking:
        reading = blocking.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        next(reading)

        def read_on() -> None:
            pieces.extend(chunk.choices[0].delta.content or "" for chunk in reading if chunk.choices)

        thread = threading.Thread(target=read_on)
        thread.start()
        thread.join()
    assert "".join(pieces) == "one two three"


def test_a_blocking_client_works_inside_a_running_loop(up: Upstream) -> None:
    async def inside() -> str | None:
        with client(config(up.base_url)) as made:
            return call(made).text

    up.reply = ok("nested")
    assert asyncio.run(inside()) == "nested"


def test_f128_a_thousand_threads_share_a_client(up: Upstream) -> None:
    up.reply = ok("fine").after(0.2)
    texts: list[str | None] = []
    before = threading.stack_size(256 << 10)
    try:
        with client(config(up.base_url)) as made:
            threads = [threading.Thread(target=lambda: texts.append(call(made).text)) for _ in range(1000)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        threading.stack_size(before)
    assert texts == ["fine"] * 1000


def test_two_thousand_calls_at_once_complete_streamed_and_whole(up: Upstream) -> None:
    async def run() -> list[Any]:
        async with async_client(config(up.base_url)) as made:
            calls = [acall(made, stream=bool(number % 2)) for number in range(2000)]
            return await asyncio.gather(*calls)

    up.reply = ok("fine").after(0.1)
    outcomes = asyncio.run(run())
    assert [outcome.text for outcome in outcomes] == ["fine"] * 2000
