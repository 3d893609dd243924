"""A process that is treated badly in every way at once, then must hold nothing. `test_torture.py` runs it.

`python torture.py BASE_URL SECONDS SEED` tells as a JSON object what was done how often, and what was left.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import json
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import fairlead
from fairlead import _core, _ports

MESSAGES = [{"role": "user", "content": "one two three four"}]

PATIENCE = 60.0
"""Seconds after the end in which everything must have stopped; in truth it is one."""

FOREIGN = ("MainThread", "fairlead-hooks", "asyncio_")
"""Threads that may outlive the work."""


class Alarm(Exception):
    """What the signal handler raises."""


class Work:
    """What is going on, and until when."""

    def __init__(self, base_url: str, seconds: float, seed: int) -> None:
        self.base_url = base_url
        self.end = time.monotonic() + seconds
        self.seed = seed
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        # Two deployments: a call that fails goes to the other one.
        deployment = {"provider": "openai", "api_key": "k", "base_url": base_url}
        deployments = [{**deployment, "model": name} for name in ("m", "n")]
        self.config = {"models": {"m": {"deployments": deployments}}, "breaker": {"enabled": False}}
        self.blocking = fairlead.Client(self.config)
        self.client = fairlead.AsyncClient(self.config)

    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def luck(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def run(self, name: str, step: Callable[[random.Random], None]) -> threading.Thread:
        """Does `step` over and over on a thread of its own."""

        def again() -> None:
            luck = self.luck(name)
            while self.goes_on():
                try:
                    step(luck)
                    self.done[name.rstrip("0123456789")] += 1
                except fairlead.FairleadError:
                    self.done["errors that were ours"] += 1
                except BaseException as error:  # whatever it is, it is told
                    self.wrong.append(f"{name}: {error!r}")

        thread = threading.Thread(target=again, name=name)
        thread.start()
        return thread


# ===== threads =====


def blocking_call(client: fairlead.Client, luck: random.Random) -> None:
    """A whole reply; or a stream that is read, left, closed or forgotten."""
    if luck.random() < 0.5:
        client.chat.completions.create(model="m", messages=MESSAGES)
        return
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    fate = luck.choice(["read", "leave", "close", "forget"])
    if fate == "read":
        for _ in stream:
            pass
    elif fate == "leave":
        with stream:
            next(stream, None)
    elif fate == "close":
        stream.close()


# ===== loops =====


async def one(client: fairlead.AsyncClient, luck: random.Random) -> None:
    """A whole reply; or a stream that is read or left."""
    if luck.random() < 0.5:
        await client.chat.completions.create(model="m", messages=MESSAGES)
        return
    async with await client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as stream:
        async for _ in stream:
            if luck.random() < 0.2:
                return


async def many(client: fairlead.AsyncClient, luck: random.Random) -> None:
    """Calls at once, of which some are cancelled at a random moment and some have a time limit."""

    async def guarded(call: Awaitable[None]) -> None:
        with contextlib.suppress(fairlead.FairleadError, TimeoutError, asyncio.CancelledError):
            await call

    tasks: list[asyncio.Task[None]] = []
    for _ in range(luck.randrange(1, 20)):
        limit = asyncio.wait_for(one(client, luck), luck.choice([0.001, 0.01, 5.0]))
        tasks.append(asyncio.create_task(guarded(limit)))
    await asyncio.sleep(luck.random() * 0.01)
    for task in tasks:
        if luck.random() < 0.3:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def loop_of(luck: random.Random) -> asyncio.AbstractEventLoop:
    if luck.random() < 0.3:
        with contextlib.suppress(ImportError):
            import uvloop

            return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def a_loop(client: fairlead.AsyncClient, luck: random.Random) -> None:
    """A loop that comes and goes; sometimes with calls in flight, as when a process is told to stop."""
    loop = loop_of(luck)
    try:
        if luck.random() < 0.8:
            loop.run_until_complete(many(client, luck))
            return
        left = [loop.create_task(quietly(one(client, luck))) for _ in range(5)]
        loop.run_until_complete(asyncio.sleep(luck.random() * 0.005))
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def quietly(call: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(fairlead.FairleadError):
        await call


# ===== processes =====


def a_fork(work: Work, luck: random.Random) -> None:
    """A child, forked with everything in flight, calls by both doors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        # A child that hangs is ended, and is not 0 then.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)
        code = 1
        try:
            asyncio._set_running_loop(None)
            for _ in range(3):
                with contextlib.suppress(fairlead.FairleadError):
                    work.blocking.chat.completions.create(model="m", messages=MESSAGES)
                loop = asyncio.new_event_loop()
                loop.run_until_complete(quietly(one(work.client, luck)))
                loop.close()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        work.wrong.append(f"a forked child ended with {status}")
    time.sleep(0.05)


# ===== garbage =====


def garbage(work: Work, luck: random.Random) -> None:
    """Clients and streams in cycles, never closed, found by the collector alone."""
    client = fairlead.Client(work.config)
    cycle: list[Any] = [client]
    if luck.random() < 0.7:
        cycle.append(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    cycle.append(cycle)
    del client, cycle
    gc.collect()


# ===== signals =====


def interrupted(work: Work) -> None:
    """The main thread blocks in calls, and signals of which the handler raises come at random moments."""
    luck = work.luck("main")

    def ring(*_: object) -> None:
        raise Alarm

    signal.signal(signal.SIGALRM, ring)
    while work.goes_on():
        try:
            signal.setitimer(signal.ITIMER_REAL, luck.random() * 0.02 + 0.0005)
            blocking_call(work.blocking, luck)
            signal.setitimer(signal.ITIMER_REAL, 0)
            work.done["calls of the main thread"] += 1
        except Alarm:
            work.done["alarms"] += 1
        except fairlead.FairleadError:
            work.done["errors that were ours"] += 1
        finally:
            with contextlib.suppress(Alarm):
                signal.setitimer(signal.ITIMER_REAL, 0)
    with contextlib.suppress(Alarm):
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


# ===== what is left =====


def leftovers(work: Work) -> dict[str, Any]:
    """Whatever exists that should not."""
    gc.collect()
    found: dict[str, Any] = {}
    if _core._tasks():
        found["tasks"] = _core._tasks()
    for client in (work.blocking, work.client):
        gauges = client._engine.gauges()
        gauges["connections_open"] -= gauges.pop("connections_idle")
        if any(gauges.values()):
            found[type(client).__name__] = {name: count for name, count in gauges.items() if count}
    if threads := [one.name for one in threading.enumerate() if not one.name.startswith(FOREIGN)]:
        found["threads"] = threads
    if len(_ports._ports) > 1:
        found["ports"] = len(_ports._ports)
    return found


def resident() -> int:
    """Bytes of memory in use."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def unraisable(work: Work) -> Callable[[Any], None]:
    """An alarm may ring inside a `__del__`, where nothing is raised; what else goes wrong there counts."""

    def told(what: Any) -> None:
        if what.exc_type is not Alarm:
            work.wrong.append(f"{what.object!r}: {what.exc_value!r}")

    return told


def main() -> None:
    base_url, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore", ResourceWarning)
    faulthandler.dump_traceback_later(seconds + 2 * PATIENCE, exit=True)
    work = Work(base_url, seconds, seed)
    sys.unraisablehook = unraisable(work)
    threads = [work.run(f"threads{n}", lambda luck: blocking_call(work.blocking, luck)) for n in range(4)]
    threads += [work.run(f"loops{n}", lambda luck: a_loop(work.client, luck)) for n in range(4)]
    threads.append(work.run("forks", lambda luck: a_fork(work, luck)))
    threads.append(work.run("garbage", lambda luck: garbage(work, luck)))
    settled = threading.Timer(seconds / 3, lambda: memory.append(resident()))
    memory: list[int] = []
    settled.start()
    interrupted(work)
    for thread in [*threads, settled]:
        thread.join(PATIENCE)
    expiry = time.monotonic() + PATIENCE
    while (left := leftovers(work)) and time.monotonic() < expiry:
        time.sleep(0.05)
    grown = resident() - memory[0]
    work.blocking.close()
    work.client._engine.close()
    expiry = time.monotonic() + PATIENCE
    while descriptors() > DESCRIPTORS and time.monotonic() < expiry:
        gc.collect()
        time.sleep(0.05)
    told = {
        "done": work.done,
        "wrong": work.wrong[:10],
        "left": left,
        "grown": grown,
        "descriptors": max(0, descriptors() - DESCRIPTORS),
    }
    sys.stdout.write(json.dumps(told))


DESCRIPTORS = 40
"""Files that an idle process may hold, pools of its closed clients included."""


if __name__ == "__main__":
    main()
