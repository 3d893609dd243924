"""Streamed replies."""

from __future__ import annotations

import asyncio
import warnings
from asyncio import get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from ._core import StreamCore
from ._ports import port_of
from .errors import Headers

if TYPE_CHECKING:
    from .types import Receipt

Chunk = TypeVar("Chunk")
Taken = TypeVar("Taken")


class StreamResponse:
    """The head of a streamed reply."""

    def __init__(self, core: StreamCore) -> None:
        self.status_code = core.status
        """The HTTP status."""
        self.headers = Headers(core.headers)
        """The headers of the attempt that answered."""

    def __repr__(self) -> str:
        return f"<StreamResponse [{self.status_code}]>"


class _Stream(Generic[Chunk]):
    """What both kinds of streams share."""

    def __init__(self, core: StreamCore) -> None:
        self._core = core

    @property
    def response(self) -> StreamResponse:
        """Status and headers."""
        return StreamResponse(self._core)

    @property
    def request_id(self) -> str | None:
        """The provider's request id."""
        return self._core.request_id

    @property
    def fairlead(self) -> Receipt:
        """Why and how the call was served; complete once the stream has ended."""
        return self._core.fairlead

    def __del__(self) -> None:
        core: StreamCore | None = getattr(self, "_core", None)
        if core is not None and not core.is_over:
            core.close()
            warnings.warn(
                f"a half-read {type(self).__name__} was dropped; use `with` or close() it",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


class AsyncStream(_Stream[Chunk], AsyncIterator[Chunk]):
    """A streamed reply, chunk by chunk.

    Iterating raises what broke the stream (`StreamInterrupted`, `StreamTruncated`, ...), with what was
    received in its `partial`. Being cancelled while waiting for a chunk closes it. Closing it, leaving
    its `async with` block or dropping it closes the connection to the upstream; the provider may still bill.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        chunk: Chunk | None = self._core.take()
        return chunk if chunk is not None else await self._next(self._core.take)

    async def _frames(self) -> bytes:
        """All events that are there as an event stream has them; `[DONE]` is the reader's to add."""
        frames = self._core.take_frames()
        return frames if frames is not None else await self._next(self._core.take_frames)

    async def _next(self, take: Callable[[], Taken | None]) -> Taken:
        loop = get_running_loop()
        while True:
            waiting = self._core.wait(loop, port_of(loop))
            if waiting is None:
                await asyncio.sleep(0)
            else:
                future, number = waiting
                try:
                    await future
                except BaseException:
                    port_of(loop).cancel(number)
                    self._core.interrupt()
                    raise
            taken = take()
            if taken is not None:
                return taken

    async def close(self) -> None:
        """Stop reading."""
        self._core.close()

    aclose = close

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.close()


class Stream(_Stream[Chunk], Iterator[Chunk]):
    """As `AsyncStream`, for threads that block. Ctrl-C interrupts the wait for a chunk."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        try:
            chunk: Chunk | None = self._core.block()
        except KeyboardInterrupt:
            self._core.interrupt()
            raise
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Stop reading."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.close()
