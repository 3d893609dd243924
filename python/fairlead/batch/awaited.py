"""What is awaited beside a batch: coroutines that functions of the caller return."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self

MOST_BEHIND = 1000
"""Coroutines that wait for their turn at most; no more results are taken until one has ended."""


class Awaited:
    """Coroutines awaited in order, one after another, while requests are asked.

    Leaving awaits all that were added, and raises what one raised; being cancelled ends them.
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Awaitable[Any] | None] = asyncio.Queue(MOST_BEHIND)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._work(), name="fairlead-batch-awaited")
        """Ends before its time only when a coroutine raises, and raises the same."""
        return self

    async def add(self, coroutine: Awaitable[Any]) -> None:
        """One more; waits for room."""
        try:
            await self._waiting.put(coroutine)
        except BaseException:
            _close(coroutine)
            raise

    async def _work(self) -> None:
        try:
            while (coroutine := await self._waiting.get()) is not None:
                await coroutine
        finally:
            self._drop()

    def _drop(self) -> None:
        """Nothing waits any longer, not even for room."""
        while not self._waiting.empty():
            _close(self._waiting.get_nowait())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not _is_cancelled(error):
                await self._waiting.put(None)
                await self.task
        finally:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self._drop()


def _close(coroutine: Awaitable[Any] | None) -> None:
    """Python warns of one that nobody awaited."""
    if inspect.iscoroutine(coroutine):
        coroutine.close()


def _is_cancelled(error: BaseException | None) -> bool:
    """Is whoever runs the batch to end now?"""
    if isinstance(error, GeneratorExit):
        # A reader that leaves early wants what it was given to be told; one that is cancelled does not wait.
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return error is not None and not isinstance(error, Exception)
