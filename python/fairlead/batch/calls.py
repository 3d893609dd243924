"""`batch`: what clients offer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from ..types.params import BatchParams
    from .progress import Shown
    from .record import OnResult, Record
    from .results import Result, Results
    from .run import Run

# The rest of this package is imported with the first call: most clients never need it.

MOST_AT_ONCE = 64
"""Requests in flight at once at most, unless the caller says otherwise."""


class AsyncBatchCalls:
    """Many requests at once."""

    async def batch(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int = MOST_AT_ONCE,
        progress: Shown = None,
        on_result: OnResult | None = None,
        journal: str | os.PathLike[str] | None = None,
        retry_failed: bool = True,
        **params: Unpack[BatchParams],
    ) -> Results:
        """Ask many requests side by side; a failed one fails itself alone.

        As many are in flight as are answered without being throttled, `concurrency` at most. A request that
        a limit of ours turns away waits and is asked again, up to 60 s at a time; one that a throttled
        upstream turns away is asked three times in all, beyond what the engine retries by itself. Being
        cancelled ends all of them. Deadline and budget of the surrounding `fairlead.scope` hold for all.

        Args:
            requests: prompts, lists of messages, or dicts of arguments of `chat.completions.create`, or of
                `embeddings.create` where they have `input`. Any iterable, asynchronous or not: it is read as
                requests are asked.
            concurrency: requests in flight at once at most. Default: 64.
            progress: True shows a bar (tqdm's, where that is installed), False none; a function is called
                with a `Progress` after every result. Default: a bar if standard error is a terminal, or in
                a notebook.
            on_result: called with every `Result` as it comes. Coroutines that it or `progress` returns are
                awaited in order, one after another, while requests are asked, 1,000 behind at most; the
                batch ends when they have. Tasks and futures are left alone.
            journal: a file that every result is added to. A later run with the same requests asks only what
                is not answered in it; a request that has changed is asked. It holds answers, but no prompts
                and no keys.
            retry_failed: ask again what failed in an earlier run, rather than give its error. Default: True.
            params: for all requests; what a request says itself wins.

        Returns:
            A `Result` for each request, in the order of the requests.

        Raises:
            ConfigError: when `requests` are not several, or `journal` is not a journal or in use.
            Exception: what reading `requests`, `progress` or `on_result` raises.
        """
        with _record(requests, concurrency, journal, retry_failed, progress, on_result) as record:
            async with aclosing(_iterate_async(self, requests, concurrency, record, params)) as results:
                return record.in_order([result async for result in results])

    async def batch_iter(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int = MOST_AT_ONCE,
        progress: Shown = None,
        on_result: OnResult | None = None,
        journal: str | os.PathLike[str] | None = None,
        retry_failed: bool = True,
        **params: Unpack[BatchParams],
    ) -> AsyncIterator[Result]:
        """As `batch`, but each result as it comes, whatever its place; none is kept.

        `requests` may be without end. Close it (`contextlib.aclosing`) where it is left early.
        """
        with _record(requests, concurrency, journal, retry_failed, progress, on_result) as record:
            async with aclosing(_iterate_async(self, requests, concurrency, record, params)) as results:
                async for result in results:
                    yield result


class BatchCalls:
    """As `AsyncBatchCalls`, for threads that block."""

    def batch(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int = MOST_AT_ONCE,
        progress: Shown = None,
        on_result: OnResult | None = None,
        journal: str | os.PathLike[str] | None = None,
        retry_failed: bool = True,
        **params: Unpack[BatchParams],
    ) -> Results:
        """As `AsyncClient.batch`. Ctrl-C ends it; a journal holds what was answered until then.

        Raises:
            ConfigError: also when `progress` or `on_result` is asynchronous.
        """
        with _record(requests, concurrency, journal, retry_failed, progress, on_result) as record:
            results = _iterate(self, requests, concurrency, record, params)
            return record.in_order(list(results))

    def batch_iter(
        self,
        requests: Iterable[Any] | AsyncIterable[Any],
        *,
        concurrency: int = MOST_AT_ONCE,
        progress: Shown = None,
        on_result: OnResult | None = None,
        journal: str | os.PathLike[str] | None = None,
        retry_failed: bool = True,
        **params: Unpack[BatchParams],
    ) -> Iterator[Result]:
        """As `AsyncClient.batch_iter`. `requests` are read on another thread."""
        with _record(requests, concurrency, journal, retry_failed, progress, on_result) as record:
            yield from _iterate(self, requests, concurrency, record, params)


def _record(
    requests: Any,
    concurrency: int,
    journal: str | os.PathLike[str] | None,
    retry_failed: bool,
    progress: Shown,
    on_result: OnResult | None,
) -> Record:
    from ..errors import ConfigError
    from .record import Record
    from .requests import checked, size_of

    checked(requests)
    if not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigError(f"`concurrency`: expected a whole number above 0, not {concurrency!r}")
    return Record(size_of(requests), journal, retry_failed, progress, on_result)


def _run(
    client: Any,
    requests: Any,
    concurrency: int,
    record: Record,
    params: Any,
    beside: asyncio.Task[None] | None = None,
) -> Run:
    from .requests import items
    from .run import Run

    return Run(client, items(requests, params, record.is_kept), concurrency, record.known, beside)


async def _iterate_async(
    client: Any, requests: Any, concurrency: int, record: Record, params: Any
) -> AsyncGenerator[Result, None]:
    from .awaited import Awaited

    async with Awaited() as awaited:
        run = _run(client, requests, concurrency, record, params, awaited.task)
        async with aclosing(run.results()) as results:  # type: ignore[type-var]
            async for item, result in results:
                yield await record.take_async(item, result, awaited)


def _iterate(client: Any, requests: Any, concurrency: int, record: Record, params: Any) -> Iterator[Result]:
    from ..client import AsyncClient
    from .bridge import iterate

    record.refuse_asynchronous()
    twin = client._twin(AsyncClient)
    with closing(iterate(lambda: _run(twin, requests, concurrency, record, params).results())) as results:
        for item, result in results:
            yield record.take(item, result)
