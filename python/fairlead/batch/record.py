"""Where results go: into the journal, to whoever watches, and to the caller."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ..errors import ConfigError
from .awaited import Awaited
from .journal import Journal
from .progress import Progress, Shown, bar_for
from .requests import Item
from .results import Result, Results

OnResult = Callable[[Result], Any]
"""Called, or awaited, with every result."""


class Record:
    """The record of one batch.

    Args:
        total: requests in all, where that is known.
        journal: a path, or None.
        retry_failed: ask again what the journal says failed.
        shown: see `Progress`.
        on_result: called with every result.

    Raises:
        ConfigError: as `Journal`.
    """

    def __init__(
        self,
        total: int | None,
        journal: str | os.PathLike[str] | None,
        retry_failed: bool,
        shown: Shown,
        on_result: OnResult | None,
    ) -> None:
        self._journal = None if journal is None else Journal(journal, retry_failed=retry_failed)
        self._progress = Progress(total)
        self._bar = bar_for(shown, self._progress)
        self._told = shown if callable(shown) else None
        self._on_result = on_result
        self._begun = time.monotonic()

    @property
    def is_kept(self) -> bool:
        """Does it outlive the batch?"""
        return self._journal is not None

    def known(self, item: Item) -> Result | None:
        """What came of it in an earlier run."""
        return None if self._journal is None else self._journal.restored(item)

    def take(self, item: Item, result: Result) -> Result:
        """One more result, in a thread that blocks.

        Raises:
            ConfigError: when a function of the caller is asynchronous.
        """
        for name, told in self._tell(item, result):
            if inspect.isawaitable(told):
                if inspect.iscoroutine(told):
                    told.close()
                raise _asynchronous(name)
        return result

    async def take_async(self, item: Item, result: Result, awaited: Awaited) -> Result:
        """As `take`; functions of the caller are awaited beside the batch, where they are asynchronous."""
        for _, told in self._tell(item, result):
            # A task runs by itself, and is whoever's that made it.
            if inspect.isawaitable(told) and not asyncio.isfuture(told):
                await awaited.add(told)
        return result

    def _tell(self, item: Item, result: Result) -> Iterator[tuple[str, Any]]:
        """Keep and count a result; then the functions of the caller, and what each returns."""
        if self._journal is not None and not result.restored and item.fault is None:
            self._journal.write(item, result)
        self._progress.count(result)
        if self._bar is not None:
            self._bar.draw()
        if self._told is not None:
            # A copy: it may be read when there are more results already.
            yield "progress", self._told(replace(self._progress))
        if self._on_result is not None:
            yield "on_result", self._on_result(result)

    def refuse_asynchronous(self) -> None:
        """
        Raises:
            ConfigError: when a function of the caller is asynchronous.
        """
        for name, function in (("on_result", self._on_result), ("progress", self._told)):
            if inspect.iscoroutinefunction(function):
                raise _asynchronous(name)

    def in_order(self, results: list[Result]) -> Results:
        """All of them, as they were asked for."""
        results.sort(key=lambda result: result.index)
        return Results(results, time.monotonic() - self._begun)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._journal is not None:
            self._journal.close()


def _asynchronous(name: str) -> ConfigError:
    return ConfigError(f"`{name}`: an asynchronous function, which only AsyncClient awaits")
