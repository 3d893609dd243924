"""Tools at work: the calls of one turn side by side, sync functions in threads, each with its time limit.

A thread cannot be stopped: one that goes on after its time is left to end by itself, and what it returns is
forgotten. Such threads are daemons, so that none of them keeps a program from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..options import current_deadline, scope
from .course import ToolCall, prepared, words_of
from .results import text_of
from .tool import Tool

Hook = Callable[[ToolCall], Any]
"""Called when a call of a tool begins and when it has ended; `call.state` tells which."""


class Workshop:
    """Where the calls of a run are made.

    Args:
        tools: by name.
        options: the call's own deadline and budget, which hold for tools too.
        max_parallel: calls at once.
        timeout: seconds that a call may take; None is no limit but the deadline.
        on_tool: called before and after every call.

    Raises:
        ValueError: for bounds that are none.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool[..., Any]],
        options: Mapping[str, Any],
        max_parallel: int,
        timeout: float | None,
        on_tool: Hook | None,
    ) -> None:
        if max_parallel < 1:
            raise ValueError(f"`max_parallel`: expected 1 or more, not {max_parallel}")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"`tool_timeout`: expected a number of seconds above 0, not {timeout}")
        self._tools = tools
        self._options = {name: options[name] for name in ("deadline", "budget") if name in options}
        self._max_parallel = max_parallel
        self._timeout = timeout
        self._on_tool = on_tool

    def _inside(self) -> AbstractContextManager[None]:
        """The scope that tools run in: what they ask of models is under the same deadline and budget."""
        return scope(**self._options)

    def _limit(self, tool: Tool[..., Any]) -> float | None:
        """Seconds that a call may take now."""
        deadlines = (self._options.get("deadline"), current_deadline())
        left = [max(deadline.remaining, 0.0) for deadline in deadlines if deadline is not None]
        own = [limit for limit in (tool.timeout, self._timeout) if limit is not None]
        return min([*own[:1], *left], default=None)

    # ===== threads that block =====

    def block(self, calls: list[ToolCall]) -> None:
        """Make the calls; returns when each has ended or has had its time."""
        waiting = deque(calls)
        running: dict[Future[Any], tuple[ToolCall, float, float | None]] = {}
        with self._inside():
            while waiting or running:
                while waiting and len(running) < self._max_parallel:
                    self._begin(waiting.popleft(), running)
                self._settle(running)

    def _begin(
        self, call: ToolCall, running: dict[Future[Any], tuple[ToolCall, float, float | None]]
    ) -> None:
        self._tell(call)
        began = time.monotonic()
        try:
            tool, work = prepared(call, self._tools)
        except Exception as error:
            call.failed(words_of(error), error, 0.0)
            self._tell(call)
            return
        limit = self._limit(tool)
        running[in_thread(lambda: _whole(work(), limit))] = (call, began, limit)

    def _settle(self, running: dict[Future[Any], tuple[ToolCall, float, float | None]]) -> None:
        """Wait until a call has ended or has had its time."""
        if not running:
            return
        now = time.monotonic()
        ends = [began + limit for _, began, limit in running.values() if limit is not None]
        done, _ = wait(running, max(min(ends) - now, 0.0) if ends else None, FIRST_COMPLETED)
        now = time.monotonic()
        for future, (call, began, limit) in list(running.items()):
            if future in done:
                _end(call, future, now - began)
            elif limit is not None and now - began >= limit:
                call.failed(_too_long(limit), None, now - began)
            else:
                continue
            del running[future]
            self._tell(call)

    def _tell(self, call: ToolCall) -> None:
        told = None if self._on_tool is None else self._on_tool(call)
        if inspect.isawaitable(told):
            # This thread may have an event loop that runs already, as those of notebooks have.
            in_thread(lambda: _whole(told)).result()

    # ===== event loops =====

    async def run(self, calls: list[ToolCall]) -> None:
        """As `block`, in tasks; being cancelled cancels them all."""
        places = asyncio.Semaphore(self._max_parallel)
        with self._inside():
            tasks = [asyncio.ensure_future(self._one(call, places)) for call in calls]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _one(self, call: ToolCall, places: asyncio.Semaphore) -> None:
        async with places:
            await self._atell(call)
            began = time.monotonic()
            try:
                tool, work = prepared(call, self._tools)
                limit = self._limit(tool)
            except Exception as error:
                call.failed(words_of(error), error, 0.0)
                await self._atell(call)
                return
            try:
                async with asyncio.timeout(limit) as patience:
                    result = await (work() if tool.is_async else _beside(work))
                    if isinstance(result, _Raised):
                        raise result.error
                    result = await result if inspect.isawaitable(result) else result
            except Exception as error:
                is_late = patience.expired() and isinstance(error, TimeoutError) and limit is not None
                words = _too_long(limit or 0.0) if is_late else words_of(error)
                call.failed(words, None if is_late else error, time.monotonic() - began)
            else:
                call.succeeded(text_of(result), time.monotonic() - began)
            await self._atell(call)

    async def _atell(self, call: ToolCall) -> None:
        if self._on_tool is None:
            return
        told = self._on_tool(call)
        if inspect.isawaitable(told):
            await told


def _end(call: ToolCall, future: Future[Any], seconds: float) -> None:
    error = future.exception()
    if error is None:
        call.succeeded(text_of(future.result()), seconds)
    elif isinstance(error, Exception):
        call.failed(words_of(error), error, seconds)
    else:
        raise error


def _too_long(seconds: float) -> str:
    return f"it did not end within {seconds:.3g} s"


def _whole(result: Any, limit: float | None = None) -> Any:
    """A result that may have to be awaited, in a thread without an event loop; it is cancelled in time."""
    if not inspect.isawaitable(result):
        return result

    async def main(waited: Awaitable[Any]) -> Any:
        return await asyncio.wait_for(waited, limit)

    return asyncio.run(main(result))


@dataclass(frozen=True)
class _Raised:
    """What a tool raised, on its way from its thread to the event loop."""

    error: Exception


async def _beside(work: Callable[[], Any]) -> Any:
    """What `work` returns in a thread, or `_Raised`: futures of event loops would hang on a StopIteration."""

    def attempt() -> Any:
        try:
            return work()
        except Exception as error:
            return _Raised(error)

    return await asyncio.wrap_future(in_thread(attempt))


def in_thread(work: Callable[[], Any]) -> Future[Any]:
    """Start `work` in a daemon thread of its own, in this context."""
    future: Future[Any] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(work)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="fairlead-tool", daemon=True).start()
    return future
