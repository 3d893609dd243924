"""A tour in a few seconds: real HTTP calls from Python through the Rust engine to local upstreams and back.

    make demo

Needs no key and no network. Ends with status 1 if anything is not as promised.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from queue import Queue
from typing import Any

import fairlead
from fairlead.testing import Upstream, fail, faults, ok, stream
from fairlead.types import Receipt

USAGE = {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20, "cost": 0.00004}
CALLS = 60
AT_ONCE = 12
NORTH = "north/small"

chance = random.Random(7)
broken: list[str] = []


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def promise(kept: bool, text: str) -> None:
    """Prints what was promised, and remembers what was not kept."""
    print(f"  [{'ok' if kept else 'BROKEN'}] {text}")
    if not kept:
        broken.append(text)


def story(receipt: Receipt) -> str:
    """`north/small 503 Server -> south/small ok`."""
    lines = [
        f"{line.deployment} {line.status or '-'} {line.error}" if line.error else f"{line.deployment} ok"
        for line in receipt.attempts
    ]
    return " -> ".join(lines)


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.0f} ms"


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def config(north: Upstream, south: Upstream) -> dict[str, Any]:
    """Two deployments of one model at two providers, and a model that only one of them has."""
    return {
        "default_model": "small",
        "providers": {
            "north": {"base_url": north.base_url, "api_key": "none-needed"},
            "south": {"base_url": south.base_url, "api_key": "none-needed"},
        },
        "models": {
            "small": {
                "deployments": [
                    {"provider": "north", "model": "small"},
                    {"provider": "south", "model": "small"},
                ]
            },
            "lonely": {"deployments": [{"provider": "south", "model": "lonely"}]},
        },
    }


async def whole(client: fairlead.AsyncClient) -> None:
    title("1. A call, whole")
    reply = await client.chat.completions.create(messages=said("What is a fairlead?"))
    print(f"  {reply.choices[0].message.content}")
    receipt = reply.fairlead
    tokens = receipt.usage.total if receipt.usage else 0
    print(f"  route: {story(receipt)}; {tokens} tokens; {milliseconds(receipt.timings.total)}")
    promise(receipt.deployment == NORTH, "the first deployment of the list answers")


async def streamed(client: fairlead.AsyncClient, north: Upstream) -> None:
    title("2. The same, streamed")
    pieces = ["A ", "fitting ", "that ", "leads ", "a ", "line ", "in ", "the ", "right ", "direction."]
    north.script = [stream(pieces, interval=0.03, ttfb=0.05, usage=USAGE)]
    print("  ", end="")
    text = ""
    async with await client.chat.completions.create(messages=said("And again?"), stream=True) as chunks:
        async for chunk in chunks:
            piece = (chunk.choices[0].delta.content if chunk.choices else None) or ""
            text += piece
            print(piece, end="", flush=True)
    timings = chunks.fairlead.timings
    first, last = milliseconds(timings.first_token), milliseconds(timings.total)
    print(f"\n  first token after {first}, the end after {last}")
    promise(text == "".join(pieces), "every piece arrived, and the stream said that it was finished")


async def refused(client: fairlead.AsyncClient, north: Upstream) -> None:
    title("3. A deployment answers 503")
    north.script = [fail(503, "upstream is restarting")]
    reply = await client.chat.completions.create(messages=said("Are you there?"))
    print(f"  route: {story(reply.fairlead)}")
    promise(
        reply.fairlead.deployment == "south/small", "the next deployment answers; the caller sees a reply"
    )


async def dying(client: fairlead.AsyncClient, north: Upstream) -> None:
    title(f"4. A deployment dies while {CALLS} calls run, {AT_ONCE} at once")
    answered: Counter[str] = Counter()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Receipt:
        async with gate:
            reply = await client.chat.completions.create(messages=said(f"Call {number}"))
            answered[reply.fairlead.deployment] += 1
            if answered.total() == CALLS // 3:
                print(f"  after {CALLS // 3} answers: the replies of {NORTH} break off half-way")
                north.reply = faults.reset_in_body()
            if answered.total() == CALLS * 2 // 3:
                print(f"  after {CALLS * 2 // 3} answers: {NORTH} is switched off")
                await asyncio.to_thread(north.close)
            return reply.fairlead

    receipts = await asyncio.gather(*(one(number) for number in range(CALLS)), return_exceptions=True)
    lost = [receipt for receipt in receipts if isinstance(receipt, BaseException)]
    moved = [receipt for receipt in receipts if isinstance(receipt, Receipt) and len(receipt.attempts) > 1]
    for deployment, count in sorted(answered.items()):
        print(f"  {deployment}: {count} calls answered")
    if moved:
        causes = Counter(line.error for receipt in moved for line in receipt.attempts if line.error)
        print(f"  {len(moved)} calls were moved, such as: {story(moved[0])}")
        print(f"  because of: {', '.join(f'{cause} {count}' for cause, count in causes.most_common())}")
    promise(not lost, f"all {CALLS} calls were answered, none was lost")
    promise(
        len(answered) == 2 and bool(moved), "calls in flight at the dead deployment were moved to the other"
    )


async def truncated(client: fairlead.AsyncClient, south: Upstream) -> None:
    title("5. A stream is cut before its end")
    south.script = [faults.no_end()]
    received = ""
    try:
        async with await client.chat.completions.create(
            model="lonely", messages=said("Tell me all"), stream=True
        ) as chunks:
            async for chunk in chunks:
                received += (chunk.choices[0].delta.content if chunk.choices else None) or ""
    except fairlead.StreamTruncated as error:
        print(f"  {type(error).__name__}: {error}")
        print(f"  received before it: {error.partial!r}")
        promise(error.partial == received != "", "a cut stream is an error that carries what was received")
    else:
        promise(False, "a cut stream is an error")


async def throttled(client: fairlead.AsyncClient, south: Upstream) -> None:
    title("6. A provider says: 429, Retry-After: 1")
    south.script = [fail(429, "slow down", retry_after=1), ok("Thank you for waiting.", usage=USAGE)]
    began = time.monotonic()
    reply = await client.chat.completions.create(model="lonely", messages=said("Now?"))
    waited = time.monotonic() - began
    print(f"  {reply.choices[0].message.content}\n  route: {story(reply.fairlead)}; {waited:.2f} s")
    promise(waited >= 1.0, "the wait the provider asked for was kept, to the second")


async def summary(client: fairlead.AsyncClient, told: Queue[Receipt]) -> None:
    title("What was routed, retried and spent")
    totals = client.stats()
    receipts = [await asyncio.to_thread(told.get, timeout=5) for _ in range(totals["calls"])]
    rows: dict[str, Counter[str]] = {}
    for receipt in receipts:
        for line in receipt.attempts:
            row = rows.setdefault(line.deployment, Counter())
            row["failed" if line.error else "ok"] += 1
        answered = rows[receipt.deployment]
        answered["tokens"] += receipt.usage.total if receipt.usage else 0
        answered["micro"] += round((receipt.cost_usd or 0) * 1e6)
    print(f"  {'deployment':<14}{'attempts':>10}{'ok':>6}{'failed':>8}{'tokens':>9}{'USD':>11}")
    for name, row in sorted(rows.items()):
        attempts = row["ok"] + row["failed"]
        dollars = row["micro"] / 1e6
        print(f"  {name:<14}{attempts:>10}{row['ok']:>6}{row['failed']:>8}{row['tokens']:>9}{dollars:>11.6f}")
    print(
        f"  {totals['calls']} calls: {totals['succeeded']} answered, {totals['failed']} raised; "
        f"{totals['attempts']} attempts and {totals['transparent_retries']} repeats on a fresh connection; "
        f"{totals['input_tokens']} tokens in, {totals['output_tokens']} out"
    )
    promise(totals["now"]["calls"] == totals["now"]["attempts"] == 0, "nothing is left running")


async def main() -> int:
    told: Queue[Receipt] = Queue()
    with Upstream() as north, Upstream() as south:
        north.reply = lambda _: ok("A fitting that leads a line in the right direction.", usage=USAGE).after(
            chance.uniform(0.01, 0.04)
        )
        south.reply = ok("The same, from the south.", usage=USAGE).after(0.02)
        print(f"Two local upstreams: north {north.base_url}, south {south.base_url}")
        async with fairlead.AsyncClient(config(north, south), on_event=told.put) as client:
            await whole(client)
            await streamed(client, north)
            await refused(client, north)
            await dying(client, north)
            await truncated(client, south)
            await throttled(client, south)
            await summary(client, told)
    print(f"\n{'Something was not as promised: ' + '; '.join(broken) if broken else 'All as promised.'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
