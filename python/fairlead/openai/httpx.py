"""Transports for clients of httpx: `httpx.Client(transport=Transport(fairlead.Client()))`.

A client of the OpenAI SDK that is given such a client calls through the engine. It should be made with
`max_retries=0`: the engine retries, and the SDK would try again what timed out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import httpx

from ._frames import AsyncFrames, Frames
from ._transport import AwaitingTransport, BlockingTransport

__all__ = ["AsyncTransport", "Transport"]


class _Events(Frames, httpx.SyncByteStream):
    """Server-sent events."""


class _AsyncEvents(AsyncFrames, httpx.AsyncByteStream):
    """Server-sent events."""


class Transport(BlockingTransport, httpx.BaseTransport):
    """For `httpx.Client`."""

    _library: ClassVar[Any] = httpx
    _frames: ClassVar[Any] = _Events


class AsyncTransport(AwaitingTransport, httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`."""

    _library: ClassVar[Any] = httpx
    _frames: ClassVar[Any] = _AsyncEvents
