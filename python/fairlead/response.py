"""Replies with their HTTP side: what `with_raw_response` hands out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import Headers

if TYPE_CHECKING:
    from ._core import RawReply, StreamCore
    from .stream import _Stream
    from .types import Receipt

Parsed = TypeVar("Parsed")


class _Response(Generic[Parsed]):
    status_code: int
    """The HTTP status."""
    headers: Headers
    """The headers of the attempt that answered."""
    request_id: str | None
    """The provider's request id."""

    @property
    def fairlead(self) -> Receipt:
        """Why and how the call was served."""
        raise NotImplementedError

    @property
    def retries_taken(self) -> int:
        """Attempts before the one that answered."""
        return max(0, len(self.fairlead.attempts) - 1)

    @property
    def elapsed(self) -> timedelta | None:
        """How long the call took in all; `None` while a stream is open."""
        total = self.fairlead.timings.total
        return None if total is None else timedelta(seconds=total)

    @property
    def http_version(self) -> str:
        """The version of HTTP that is spoken unless `http2` is set."""
        return "HTTP/1.1"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.status_code}]>"


class APIResponse(_Response[Parsed]):
    """A whole reply before anything is made of its body."""

    def __init__(self, core: RawReply, into: Callable[[Any], Any] | None = None) -> None:
        self._core = core
        self._into = into
        self._parsed: Parsed | None = None
        self.status_code = core.status
        self.headers = Headers(core.headers)
        self.request_id = core.request_id
        self.is_closed = True

    @property
    def fairlead(self) -> Receipt:
        """Why and how the call was served."""
        return self._core.fairlead

    @property
    def content(self) -> bytes:
        """The body as it was received."""
        return self._core.content

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def read(self) -> bytes:
        """The body as it was received."""
        return self.content

    def json(self) -> Any:
        """The body as plain objects."""
        return json.loads(self.content)

    def parse(self) -> Parsed:
        """The reply that the plain method returns."""
        if self._parsed is None:
            reply = self._core.parse()
            self._parsed = reply if self._into is None else self._into(reply)
        return self._parsed


class StreamAPIResponse(_Response[Parsed]):
    """A streamed reply that was asked for raw; `parse` returns the stream."""

    def __init__(self, core: StreamCore, stream: type[_Stream[Any]]) -> None:
        self._core = core
        self._stream: Any = stream(core)
        self.status_code = core.status
        self.headers = Headers(core.headers)
        self.request_id = core.request_id

    @property
    def fairlead(self) -> Receipt:
        """Why and how the call was served; complete once the stream has ended."""
        return self._core.fairlead

    @property
    def is_closed(self) -> bool:
        """Has the stream ended or been closed?"""
        return self._core.is_over

    def parse(self) -> Parsed:
        """The stream that the plain method returns."""
        stream: Parsed = self._stream
        return stream
