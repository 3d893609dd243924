"""Streams as server-sent events, framed in Rust and passed on as they are."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .._core import Model, _encode
from ..accumulate import ChunkEvent
from ..errors import FairleadError
from ..options import is_absent
from ..stream import AsyncStream
from .disconnect import CLIENT_CLOSED_REQUEST, disconnected
from .errors import answer_for, body_for, event_for, log

PING = 15.0
"""Seconds of silence after which a comment is sent; proxies take a connection for dead after 30 or 60."""

_PING = b": ping\n\n"
_DONE = b"data: [DONE]\n\n"
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


Source = AsyncIterable[Any] | Awaitable[AsyncIterable[Any]]
"""A stream, or the call that begins one."""


def sse(
    stream: Source, *, ping: float | None = PING, headers: Mapping[str, str] | None = None
) -> EventStreamResponse:
    """A streamed answer as the response of a handler, in the shape of OpenAI's API.

    ```python
    @app.post("/stream")
    async def stream(question: Question, llm: LLM) -> EventStreamResponse:
        return sse(llm.chat.completions.create(model="smart", messages=question.messages, stream=True))
    ```

    The head of the response is sent with the first event: what fails before is an error with its own status.
    `data: [DONE]` is sent only after a good end; a stream that breaks ends with `data: {"error": ...}`
    instead. When the client goes, the connection to the provider is closed at once.

    Args:
        stream: an `AsyncStream`; better, the call that makes one, not awaited: then a client that goes before
            the first token ends it too. Or any asynchronous iterable: of chunks, of bytes that are framed
            already, or of anything that a handler may return: objects of pydantic, dataclasses, dates.
        ping: seconds of silence after which a comment is sent; None never. Default: 15.
        headers: further headers of the response.

    Raises:
        TypeError: for anything else.
    """
    return EventStreamResponse(stream, ping=ping, headers=headers)


class EventStreamResponse(Response):
    """What `sse` makes."""

    media_type = "text/event-stream"

    def __init__(
        self,
        stream: Source,
        *,
        ping: float | None = PING,
        headers: Mapping[str, str] | None = None,
        status_code: int = 200,
    ) -> None:
        if not inspect.isawaitable(stream) and not hasattr(stream, "__aiter__"):
            raise TypeError(f"expected a stream or the call that makes one, not {type(stream).__name__}")
        self.status_code = status_code
        self.background = None
        self.init_headers({**_HEADERS, **(headers or {})})
        self._stream = stream
        self._ping = ping
        self._context = contextvars.copy_context()
        """Of the handler, so that the scope it was in holds for the call."""
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.create_task(self._answer(scope, send), name="fairlead-sse", context=self._context)
        gone = asyncio.create_task(disconnected(receive), name="fairlead-disconnect")
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = not work.done()
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
        if not left:
            await work
        elif not self._begun:
            await send({"type": "http.response.start", "status": CLIENT_CLOSED_REQUEST, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        if self.background is not None:
            await self.background()

    async def _answer(self, scope: Scope, send: Send) -> None:
        stream = await self._stream if inspect.isawaitable(self._stream) else self._stream
        try:
            blocks = _blocks(stream)
            first = await anext(blocks, None)
            self._begun = True
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            await self._pass_on(first, blocks, _Wire(send, self._ping), scope)
        finally:
            await _close(stream)

    async def _pass_on(
        self, block: bytes | None, blocks: AsyncIterator[bytes], wire: _Wire, scope: Scope
    ) -> None:
        try:
            while block is not None:
                await wire.write(block)
                block = await anext(blocks, None)
            await wire.write(_DONE, more=False)
        except FairleadError as error:
            log(error, answer_for(error).status_code, scope["path"])
            await wire.write(event_for(error), more=False)
        except _Gone:
            pass
        except Exception as error:
            await wire.write(event_for(error), more=False)
            raise
        finally:
            wire.close()


class _Gone(Exception):
    """The client is gone; some servers say so when something is sent."""


class _Wire:
    """The body of a response, with comments in its silences."""

    def __init__(self, send: Send, ping: float | None) -> None:
        self._send = send
        self._ping = ping
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._pinging: asyncio.Task[None] | None = None
        self._written = self._loop.time()
        self._timer = None if ping is None else self._loop.call_later(ping, self._look)

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Send bytes of whole events; `more=False` ends the body."""
        async with self._turn:
            try:
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
            except OSError as error:
                raise _Gone from error
        self._written = self._loop.time()

    async def _ping_once(self) -> None:
        with suppress(_Gone):
            await self.write(_PING)

    def close(self) -> None:
        """No more comments."""
        if self._timer is not None:
            self._timer.cancel()
        if self._pinging is not None:
            self._pinging.cancel()

    def _look(self) -> None:
        # One timer for many events: cheaper than a new one for each.
        assert self._ping is not None
        due = self._written + self._ping - self._loop.time()
        if due <= 0 and not self._turn.locked():
            self._pinging = self._loop.create_task(self._ping_once(), name="fairlead-ping")
        self._timer = self._loop.call_later(due if due > 0 else self._ping, self._look)


def _blocks(stream: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    return _Framed(stream) if isinstance(stream, AsyncStream) else _Encoded(stream)


class _Framed(AsyncIterator[bytes]):
    """The events of a stream, as many at once as are there; no object is made of any."""

    def __init__(self, stream: AsyncStream[Any]) -> None:
        self._stream = stream

    async def __anext__(self) -> bytes:
        return await self._stream._frames()


class _Encoded(AsyncIterator[bytes]):
    """The items of any other iterable."""

    def __init__(self, stream: AsyncIterable[Any]) -> None:
        self._items = aiter(stream)

    async def __anext__(self) -> bytes:
        item = await anext(self._items)
        if isinstance(item, bytes):
            return item
        if isinstance(item, Model):
            return b"data: " + item._raw.encode() + b"\n\n"
        return b"data: " + _json(item) + b"\n\n"


_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Writes what is JSON as it is, an eighth of the price of FastAPI's encoder; it raises for all else."""


class _IsAbsent(type):
    def __instancecheck__(cls, value: object) -> bool:
        return is_absent(value)


class _Absent(metaclass=_IsAbsent):
    """Stands for the words for what is not given, the SDK's too, which cannot be imported here."""


_ENCODERS: dict[Any, Callable[[Any], Any]] = {
    # Members of that kind are left out at last, as in requests.
    _Absent: lambda value: value,
    # Objects that grow hold what their class does not expect yet, which pydantic would warn of.
    BaseModel: lambda value: value.model_dump(mode="json", by_alias=True, warnings=False),
    Model: lambda value: value.model_dump(mode="json"),
    Exception: lambda error: body_for(error)["error"],
    # What has been put together so far is the reader's own business.
    ChunkEvent: lambda event: {"type": event.type, "chunk": event.chunk.model_dump(mode="json")},
}
"""How items are written besides FastAPI's own ways."""


def _json(item: Any) -> bytes:
    """The item as a handler that returns it would answer: with the members that have their defaults.

    Raises:
        TypeError: when it has no JSON form.
    """
    with suppress(TypeError, ValueError, RecursionError):
        return _plain(item).encode()
    try:
        return _encode(jsonable_encoder(item, custom_encoder=_ENCODERS, sqlalchemy_safe=False))
    except (FairleadError, TypeError, ValueError, RecursionError) as error:
        # Not `_encode`'s own error: that would blame the request.
        message = f"an event of type {type(item).__name__} has no JSON form: {error}"
        raise TypeError(message) from error


async def _close(stream: AsyncIterable[Any]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
