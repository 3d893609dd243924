"""The measures, and the process that takes one.

    python measures.py MEASURE CLIENT BASE_URL IN_FLIGHT SECONDS

The process prints one JSON object, `{"value": ...}` or `{"absent": "why"}`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

from clients import CLIENTS, Client, Entry

CONTENT_EVENTS = 500
"""Content events in one whole stream."""
FIRST_TOKEN_MS = 50
"""What the upstream waits before the first token, and before it answers a burst."""


class Measure(NamedTuple):
    """One column: what is called, how, and how its figure is shown."""

    title: str
    unit: str
    path: str
    in_flight: int
    seconds: float
    """How long the calls go on; 0 means that each is made once."""


def measures(*, quick: bool) -> dict[str, Measure]:
    """The columns by name; `quick` makes fewer calls, for a smoke run."""
    shorter = 3 if quick else 1
    held, burst = (200, 500) if quick else (1000, 2000)
    return {
        "call": Measure("CPU per call, 64 in flight", "us", "plain", 64, 3.0 / shorter),
        "chunk": Measure("CPU per chunk, 32 streams", "us", "stream", 32, 2.0 / shorter),
        "latency": Measure("p50 of one call", "us", "plain", 1, 1.5 / shorter),
        "first_token": Measure(
            f"first token, sent after {FIRST_TOKEN_MS} ms",
            "ms",
            f"paced/{FIRST_TOKEN_MS}/1/20",
            1,
            1.5 / shorter,
        ),
        "import": Measure("import", "ms", "plain", 1, 0),
        "memory": Measure(f"memory per call, {held:,} in flight", "KiB", "delay/3000", held, 0),
        "burst": Measure(f"{burst:,} calls at once", "s", f"delay/{FIRST_TOKEN_MS}", burst, 0),
    }


class Run(NamedTuple):
    """What this process measures."""

    entry: Entry
    base_url: str
    in_flight: int
    seconds: float


async def cpu_per_call(run: Run) -> float:
    """CPU microseconds per call, all threads."""
    async with run.entry.open(run.base_url) as client:
        await at_once(client, run.in_flight)
        return await cpu_per_unit(run, lambda: whole(client))


async def cpu_per_chunk(run: Run) -> float:
    """CPU microseconds per streamed chunk, all threads."""
    async with run.entry.open(run.base_url) as client:
        await chunks(client)
        return await cpu_per_unit(run, lambda: chunks(client))


async def latency(run: Run) -> float:
    """Median microseconds of a call, one after the other."""
    times: list[float] = []
    async with run.entry.open(run.base_url) as client:
        await whole(client)
        end = perf_counter() + run.seconds
        while (start := perf_counter()) < end:
            await whole(client)
            times.append(perf_counter() - start)
    return statistics.median(times) * 1e6


async def first_token(run: Run) -> float:
    """Median milliseconds from the call to the text of the first chunk."""
    times: list[float] = []
    async with run.entry.open(run.base_url) as client:
        await client.stream()
        end = perf_counter() + run.seconds
        while (start := perf_counter()) < end:
            times.append((await client.stream()).first_at - start)
    return statistics.median(times) * 1e3


async def memory(run: Run) -> float:
    """KiB by which resident memory grows at its peak, per call in flight."""
    await warm_elsewhere(run)
    async with run.entry.open(run.base_url) as client:
        gc.collect()
        before = status_kib("VmRSS")
        forget_peak()
        await at_once(client, run.in_flight)
        return (status_kib("VmHWM") - before) / run.in_flight


async def burst(run: Run) -> float:
    """Seconds until all calls, started at once on a fresh client, are answered."""
    await warm_elsewhere(run)
    async with run.entry.open(run.base_url) as client:
        start = perf_counter()
        await at_once(client, run.in_flight)
        return perf_counter() - start


async def import_time(run: Run) -> float:
    """Milliseconds of the import that a user writes; asyncio and json are loaded already."""
    start = perf_counter()
    exec(run.entry.imports, {})
    return (perf_counter() - start) * 1e3


MEASURES: dict[str, Callable[[Run], Coroutine[None, None, float]]] = {
    "call": cpu_per_call,
    "chunk": cpu_per_chunk,
    "latency": latency,
    "first_token": first_token,
    "import": import_time,
    "memory": memory,
    "burst": burst,
}


async def whole(client: Client) -> int:
    """One call; 1, the units done."""
    if not await client.whole():
        raise RuntimeError("a reply without text")
    return 1


async def chunks(client: Client) -> int:
    """One whole stream; the number of its chunks."""
    read = (await client.stream()).chunks
    if read != CONTENT_EVENTS:
        raise RuntimeError(f"{read} of {CONTENT_EVENTS} chunks")
    return read


async def at_once(client: Client, in_flight: int) -> None:
    await asyncio.gather(*(whole(client) for _ in range(in_flight)))


async def cpu_per_unit(run: Run, call: Callable[[], Coroutine[None, None, int]]) -> float:
    """CPU microseconds per unit while `in_flight` lanes call over and over."""
    done = 0
    before, end = process_time(), perf_counter() + run.seconds

    async def lane() -> None:
        nonlocal done
        while perf_counter() < end:
            units = await call()  # on a line of its own: `done` must be read after the wait
            done += units

    await asyncio.gather(*(lane() for _ in range(run.in_flight)))
    return (process_time() - before) / done * 1e6


async def warm_elsewhere(run: Run) -> None:
    """One call that needs no waiting, on a client of its own, so that lazy set-up is not measured."""
    origin = "/".join(run.base_url.split("/")[:3])
    async with run.entry.open(f"{origin}/plain/v1") as client:
        await whole(client)


def status_kib(field: str) -> int:
    """A field of this process's status, in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0])


def forget_peak() -> None:
    """Lets the peak of resident memory begin anew at the memory of now."""
    Path("/proc/self/clear_refs").write_text("5")


def version(entry: Entry) -> dict[str, str]:
    """The installed version, once the import has been seen to work."""
    exec(entry.imports, {})
    with suppress(metadata.PackageNotFoundError):
        return {"version": metadata.version(entry.distribution)}
    return {"version": "unknown"}


def main(name: str, client: str, base_url: str = "", in_flight: str = "1", seconds: str = "0") -> None:
    entry = CLIENTS[client]
    if name == "version":
        try:
            print(json.dumps(version(entry)))
        except Exception as error:  # a peer that breaks while it is imported is no more usable than none
            print(json.dumps({"absent": f"{type(error).__name__}: {error}"}))
        return
    run = Run(entry, base_url, int(in_flight), float(seconds))
    print(json.dumps({"value": asyncio.run(MEASURES[name](run))}), flush=True)
    os._exit(
        0
    )  # the figure is out; a client whose native threads crash the interpreter's end has not failed it


if __name__ == "__main__":
    main(*sys.argv[1:])
