"""A batch for threads that block: it runs on the loop of a thread of its own and hands its results over."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")

READ_AHEAD = 64
"""Results that may wait for the thread that takes them."""

_END = object()


def iterate(make: Callable[[], AsyncIterator[T]]) -> Generator[T]:
    """What an async iterator yields, for a thread that blocks. Leaving early ends it and all that it runs."""
    return _Bridge(make).items()


class _Bridge:
    def __init__(self, make: Callable[[], AsyncIterator[Any]]) -> None:
        self._make = make
        self._queue: queue.Queue[Any] = queue.Queue(READ_AHEAD)
        self._error: BaseException | None = None
        self._left = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        # The scope of the caller, with its deadline and budget, holds there too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="fairlead-batch")

    def items(self) -> Generator[Any]:
        self._thread.start()
        try:
            while (item := self._queue.get()) is not _END:
                yield item
        finally:
            self._leave()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._pump())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self._error = error
        self._put(_END)

    async def _pump(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        items = self._make()
        try:
            async for item in items:
                while not self._left.is_set():
                    try:
                        self._queue.put_nowait(item)
                        break
                    except queue.Full:
                        await asyncio.sleep(0.005)
                else:
                    return
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    def _put(self, item: Any) -> None:
        while not self._left.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.05)
                return

    def _leave(self) -> None:
        self._left.set()
        if self._loop is not None and self._task is not None and self._thread.is_alive():
            # The loop may just have ended.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
