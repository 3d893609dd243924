"""Processes: forks, exits, imports. Each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest
from fairlead.testing import Upstream, hang, ok


def run(program: str, *arguments: str, timeout: float = 60) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


FORK = """
    import asyncio, os, signal, sys, threading
    import fairlead

    base_url = sys.argv[1]
    client = fairlead.AsyncClient(api_key="test", base_url=base_url)
    blocking = fairlead.Client(api_key="test", base_url=base_url)

    async def ask():
        return await client.generate("m", "hi")

    def child():
        signal.alarm(30)
        asyncio._set_running_loop(None)
        try:
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(ask()) == "hi"
            assert blocking.generate("m", "there") == "there"
            assert sum(client._engine.gauges()[name] for name in ("calls", "attempts", "streams")) == 0
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)

    async def parent():
        assert await ask() == "hi"
        chunks = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "a b c d"}], stream=True
        )
        flying = [asyncio.ensure_future(ask()) for _ in range(20)]
        await asyncio.sleep(0)
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                child()
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert status == 0, status
            assert await ask() == "hi"
        assert await asyncio.gather(*flying) == ["hi"] * 20
        assert "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices]) == "a b c d"

    asyncio.run(parent())
"""


def test_a_fork_in_flight_serves_child_and_parent(up: Upstream) -> None:
    run(FORK, up.base_url)


EXIT = """
    import asyncio, random, sys
    import fairlead

    client = fairlead.AsyncClient(api_key="test", base_url=sys.argv[1])

    async def main():
        for _ in range(50):
            asyncio.ensure_future(client.generate("m", "hi"))
        await asyncio.sleep(random.Random(sys.argv[2]).uniform(0, 0.02))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
"""


@pytest.mark.parametrize("seed", range(5))
def test_an_exit_with_calls_in_flight_is_silent(up: Upstream, seed: int) -> None:
    up.reply = hang() if seed % 2 else ok(delay=0.005)
    run(
        EXIT.replace(
            "asyncio.new_event_loop()",
            "asyncio.new_event_loop(); import warnings; warnings.simplefilter('ignore')",
        ),
        up.base_url,
        str(seed),
    )
    assert up.wait_disconnected()


DAEMON = """
    import sys, threading, time
    import fairlead

    client = fairlead.Client(api_key="test", base_url=sys.argv[1])
    threading.Thread(target=lambda: client.generate("m", "hi"), daemon=True).start()
    while not client.stats()["now"]["attempts"]:
        time.sleep(0.001)
"""


def test_an_exit_with_a_blocked_daemon_thread_is_silent(up: Upstream) -> None:
    up.reply = hang()
    run(DAEMON, up.base_url)


IMPORT = """
    import json, sys, threading, time
    began = time.perf_counter()
    import fairlead
    took = time.perf_counter() - began
    heavy = [name for name in ("openai", "pydantic", "httpx", "asyncio", "logging") if name in sys.modules]
    print(json.dumps({"took": took, "threads": threading.active_count(), "heavy": heavy}))
"""


def test_importing_does_next_to_nothing() -> None:
    seen = json.loads(run(IMPORT))
    assert seen["threads"] == 1
    assert seen["heavy"] == []


CONSTRUCT = """
    import os, fairlead
    client = fairlead.AsyncClient(api_key="test")
    fairlead.Client(api_key="test")
    print(len(os.listdir("/proc/self/task")))
"""


def test_constructing_a_client_starts_no_thread() -> None:
    assert run(CONSTRUCT).strip() == "1"
