"""Transports for clients of httpx2: `httpx2.Client(transport=Transport(fairlead.Client()))`.

A client of the OpenAI SDK that is given such a client calls through the engine. It should be made with
`max_retries=0`: the engine retries, and the SDK would try again what timed out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import httpx2

from ._frames import AsyncFrames, Frames
from ._transport import AwaitingTransport, BlockingTransport

__all__ = ["AsyncTransport", "Transport"]


class _Events(Frames, httpx2.SyncByteStream):
    """Server-sent events."""


class _AsyncEvents(AsyncFrames, httpx2.AsyncByteStream):
    """Server-sent events."""


class Transport(BlockingTransport, httpx2.BaseTransport):
    """For `httpx2.Client`."""

    _library: ClassVar[Any] = httpx2
    _frames: ClassVar[Any] = _Events


class AsyncTransport(AwaitingTransport, httpx2.AsyncBaseTransport):
    """For `httpx2.AsyncClient`."""

    _library: ClassVar[Any] = httpx2
    _frames: ClassVar[Any] = _AsyncEvents
