"""One client, any event loop: many loops, many threads, uvloop, loops that cannot watch descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import fairlead
import pytest
from fairlead import _ports
from fairlead.testing import Upstream, hang, ok

MESSAGES = [{"role": "user", "content": "hi"}]


def client_of(up: Upstream) -> fairlead.AsyncClient:
    return fairlead.AsyncClient(api_key="test", base_url=up.base_url)


async def ask(client: fairlead.AsyncClient) -> str | None:
    reply = await client.chat.completions.create(model="m", messages=MESSAGES)
    return reply.choices[0].message.content


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def cycles(up: Upstream, count: int) -> None:
    client = client_of(up)
    for _ in range(3):
        assert asyncio.run(ask(client)) == "hi"
    before = descriptors()
    for _ in range(count):
        assert asyncio.run(ask(client)) == "hi"
    assert descriptors() <= before
    assert len(_ports._ports) <= 2


def test_repeated_runs_keep_the_descriptor_count(up: Upstream) -> None:
    cycles(up, 1000)


@pytest.mark.soak
def test_ten_thousand_runs_keep_the_descriptor_count(up: Upstream) -> None:
    cycles(up, 10_000)


def test_loops_closed_with_calls_in_flight_leave_nothing(up: Upstream) -> None:
    client = client_of(up)
    up.reply = hang()

    async def leave(loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(lambda: tasks.append(loop.create_task(ask(client))))
        await asyncio.to_thread(up.wait_requests, len(up.requests) + 1)

    before = descriptors()
    for _ in range(20):
        tasks: list[asyncio.Task[Any]] = []
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave(loop))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        tasks[0]._log_destroy_pending = False  # type: ignore[attr-defined]
    tasks.clear()
    up.reply = ok()
    assert asyncio.run(ask(client)) == "hi"
    del loop
    assert up.wait_idle()
    assert len(_ports._ports) <= 1
    assert descriptors() <= before + 4


def test_ten_threads_with_loops_of_their_own_share_a_client(up: Upstream) -> None:
    client = client_of(up)
    answers: list[Any] = []

    async def many() -> list[Any]:
        return await asyncio.gather(*(ask(client) for _ in range(20)))

    threads = [threading.Thread(target=lambda: answers.extend(asyncio.run(many()))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hi"] * 200


def test_the_same_client_serves_asyncio_and_uvloop(up: Upstream) -> None:
    uvloop = pytest.importorskip("uvloop")
    client = client_of(up)
    factories: list[Callable[[], asyncio.AbstractEventLoop]] = [
        asyncio.new_event_loop,
        uvloop.new_event_loop,
    ] * 3
    for factory in factories:
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(ask(client)) == "hi"


class Blind(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, like Windows' default."""

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        if callback.__name__ == "drain":
            raise NotImplementedError
        return super()._add_reader(fd, callback, *args)  # type: ignore[misc]

    add_reader = _add_reader


def test_loops_that_cannot_watch_descriptors_are_woken_by_a_thread(up: Upstream) -> None:
    client = client_of(up)

    async def many() -> list[Any]:
        return await asyncio.gather(*(ask(client) for _ in range(50)))

    with asyncio.Runner(loop_factory=Blind) as runner:
        assert runner.run(many()) == ["hi"] * 50
        assert runner.run(many()) == ["hi"] * 50


def test_two_thousand_calls_at_once_are_answered(up: Upstream) -> None:
    client = client_of(up)

    async def many() -> list[Any]:
        return await asyncio.gather(*(ask(client) for _ in range(2000)))

    assert asyncio.run(many()) == ["hi"] * 2000
