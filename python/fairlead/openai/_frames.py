"""Streamed replies as bytes: framed events, then `[DONE]`, or the error that broke them."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from typing import Any, Self

from .._core import StreamCore
from .._ports import port_of
from ..errors import FairleadError
from ._answer import broken
from .told import KEY, collect

DONE = b"data: [DONE]\n\n"


class _Frames:
    """Both kinds. Once an end was handed out nothing follows."""

    def __init__(self, core: StreamCore, request: Any) -> None:
        self._core = core
        self._request = request
        self._is_over = False

    def _broke(self, error: FairleadError) -> bytes:
        self._request.extensions[KEY] = error
        self._end()
        return broken(error)

    def _done(self) -> bytes:
        self._end()
        return DONE

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            collect(self._core)

    def _stop(self) -> None:
        # Whoever still reads, in another thread, is told that it is not complete.
        self._core.interrupt()
        self._end()


class Frames(_Frames):
    """For threads that block. Ctrl-C interrupts the wait."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        try:
            frames = self._core.block_frames()
        except FairleadError as error:
            return self._broke(error)
        except KeyboardInterrupt:
            self._stop()
            raise
        return self._done() if frames is None else frames

    def close(self) -> None:
        """Stop reading; the connection to the upstream is closed unless the stream was complete."""
        self._stop()


class AsyncFrames(_Frames):
    """For event loops. Being cancelled while waiting closes the stream."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        try:
            while (frames := self._core.take_frames()) is None:
                await self._arrival()
        except StopAsyncIteration:
            return self._done()
        except FairleadError as error:
            return self._broke(error)
        return frames

    async def _arrival(self) -> None:
        loop = get_running_loop()
        waiting = self._core.wait(loop, port_of(loop))
        if waiting is None:
            await asyncio.sleep(0)
            return
        future, number = waiting
        try:
            await future
        except BaseException:
            port_of(loop).cancel(number)
            self._stop()
            raise

    async def aclose(self) -> None:
        """Stop reading; the connection to the upstream is closed unless the stream was complete."""
        self._stop()
