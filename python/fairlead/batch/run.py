"""Requests asked side by side, their results as they come."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from ..errors import (
    BudgetExceeded,
    CircuitOpen,
    FairleadError,
    LimitExceeded,
    NoHealthyDeployment,
    OverloadedError,
    QueueTimeout,
    QuotaExceeded,
    RateLimitError,
)
from .pace import Pace
from .requests import Item
from .results import Result

if TYPE_CHECKING:
    from ..client import AsyncClient

MOST_TURNS = 3
"""How often a request is asked that upstreams turn away; the engine's own retries are within each turn."""

LONGEST_WAIT = 60.0
"""Seconds that a request waits for a limit before it is asked again; one that opens later fails it."""

SHORTEST_WAIT = 0.5
"""Seconds that it waits where nobody says how long."""

_THROTTLED = (429, 503, 529)

Known = Callable[[Item], Result | None]
"""What came of a request in an earlier run."""


class Run:
    """A batch that is being asked.

    Args:
        client: whom to ask.
        items: what to ask.
        most: requests in flight at once at most.
        known: what need not be asked.
        beside: a task that ends first only by raising, which ends the batch.
    """

    def __init__(
        self,
        client: AsyncClient,
        items: AsyncIterator[Item],
        most: int,
        known: Known,
        beside: asyncio.Task[None] | None,
    ) -> None:
        self._client, self._items, self._known, self._beside = client, items, known, beside
        self._pace = Pace(most)
        self._calls: dict[asyncio.Task[Result], Item] = {}
        self._reading: asyncio.Task[Item] | None = None
        self._again: list[tuple[float, int, Item, int, float]] = []
        """Requests that were turned away: from when they are asked again, and what they have taken so far."""
        self._all_read = False

    async def results(self) -> AsyncIterator[tuple[Item, Result]]:
        """Every request with its result, as they come. Leaving ends all that runs."""
        try:
            while True:
                self._start_due()
                for item, result in self._read_on():
                    yield item, result
                waited_for: set[asyncio.Task[Any]] = set(self._calls)
                if self._reading is not None:
                    waited_for.add(self._reading)
                if not waited_for and not self._again:
                    if self._all_read:
                        return
                    continue
                await self._wait(waited_for)
                for item, result in self._finished():
                    yield item, result
        finally:
            await self._end()

    # ===== asking =====

    def _has_room(self) -> bool:
        return len(self._calls) < self._pace.number

    def _start_due(self) -> None:
        now = time.monotonic()
        while self._again and self._again[0][0] <= now and self._has_room():
            _, _, item, turns, begun = heapq.heappop(self._again)
            self._start(item, turns + 1, begun)

    def _read_on(self) -> list[tuple[Item, Result]]:
        """Takes the request that was read; asks it, unless its result is known already."""
        told: list[tuple[Item, Result]] = []
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            try:
                item = reading.result()
            except StopAsyncIteration:
                self._all_read = True
            else:
                result = Result(item.index, error=item.fault) if item.fault else self._known(item)
                if result is not None:
                    told.append((item, result))
                else:
                    self._start(item, 1, time.monotonic())
        # One that was turned away goes first, so no more is read than can be asked.
        if self._reading is None and not self._all_read and self._has_room():
            self._reading = asyncio.ensure_future(_next(self._items))
        return told

    def _start(self, item: Item, turns: int, begun: float) -> None:
        self._calls[asyncio.create_task(self._ask(item, turns, begun, self._pace.round))] = item

    async def _ask(self, item: Item, turns: int, begun: float, round: int) -> Result:
        arguments: Any = item.arguments
        resource = self._client.embeddings if item.is_embedding else self._client.chat.completions
        try:
            reply = await resource.create(**arguments)
        except Exception as error:
            if is_throttled(error):
                self._pace.throttled(round)
            return Result(item.index, error=error, seconds=time.monotonic() - begun, turns=turns)
        receipt = reply.fairlead
        if any(attempt.status in _THROTTLED for attempt in receipt.attempts):
            self._pace.throttled(round)
        else:
            self._pace.answered(len(self._calls))
        usage = receipt.usage
        return Result(
            item.index,
            value=reply,
            seconds=time.monotonic() - begun,
            turns=turns,
            input_tokens=(usage and usage.input) or 0,
            output_tokens=(usage and usage.output) or 0,
            cost_usd=receipt.cost_usd,
        )

    # ===== waiting =====

    async def _wait(self, waited_for: set[asyncio.Task[Any]]) -> None:
        pause = None
        if self._again and self._has_room():
            pause = max(0.0, self._again[0][0] - time.monotonic())
        if self._beside is not None:
            waited_for.add(self._beside)
        if waited_for:
            await asyncio.wait(waited_for, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if self._beside is not None and self._beside.done():
                self._beside.result()
        else:
            await asyncio.sleep(pause or 0.0)

    def _finished(self) -> list[tuple[Item, Result]]:
        told: list[tuple[Item, Result]] = []
        for task in [task for task in self._calls if task.done()]:
            item, result = self._calls.pop(task), task.result()
            wait = wait_of(result)
            if wait is None:
                told.append((item, result))
            else:
                now = time.monotonic()
                turn = (now + wait, item.index, item, result.turns, now - result.seconds)
                heapq.heappush(self._again, turn)
        return told

    async def _end(self) -> None:
        running: list[asyncio.Task[Any]] = [*self._calls]
        if self._reading is not None:
            running.append(self._reading)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _next(items: AsyncIterator[Item]) -> Item:
    return await anext(items)


def is_throttled(error: Exception) -> bool:
    """Does it say that there are too many calls at once?"""
    return isinstance(error, RateLimitError | OverloadedError) and not isinstance(error, QuotaExceeded)


def wait_of(result: Result) -> float | None:
    """After how many seconds the request is asked again; None where its result stands."""
    error = result.error
    if not isinstance(error, FairleadError) or isinstance(error, BudgetExceeded) or not error.is_retryable:
        return None
    wait = max(SHORTEST_WAIT, error.retry_after or 0.0)
    if wait > LONGEST_WAIT:
        return None
    if isinstance(error, LimitExceeded | QueueTimeout):
        # A limit of ours: nothing was sent, and its turn comes.
        return wait
    turned_away = is_throttled(error) or isinstance(error, CircuitOpen | NoHealthyDeployment)
    return wait * 2 ** (result.turns - 1) if turned_away and result.turns < MOST_TURNS else None
