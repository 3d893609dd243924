"""One accepted connection: reads requests, lets a step answer each, and notices at once when the peer leaves.

The transport keeps reading while a step replies, so a client that goes away cancels the step within
milliseconds even when the step is waiting. The write buffer is empty after every send: what a test sees as
sent is what the operating system took.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import NoReturn, Protocol

from .request import Headers, Request

YIELD_EVERY = 64 * 1024
"""Bytes sent without waiting after which a step lets the other connections run."""

_TCP_ESTABLISHED = 1
_UNREAD_POLL = 0.005


class Step(Protocol):
    """What a script is made of: answers one request, or breaks off in its own way."""

    @property
    def reads_body(self) -> bool:
        """False for a step that acts as soon as the request head is there."""

    async def perform(self, exchange: Exchange) -> None:
        """Answer the exchange's request."""


class Service(Protocol):
    """What a connection needs from the upstream that accepted it."""

    def opened(self, connection: Connection) -> int:
        """A connection exists; returns its number."""

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""

    def early_step(self, request: Request) -> Step | None:
        """The next step, taken only if it does not read the body."""

    def step(self, request: Request) -> Step:
        """The step that answers a request whose body is complete."""

    def started(self, request: Request) -> None:
        """A step is about to answer the request."""

    def ended(self, request: Request) -> None:
        """The exchange is over."""

    def failed(self, error: Exception) -> None:
        """A step raised."""


class BadRequest(Exception):
    """The bytes received are not an HTTP/1 request."""


class Connection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, service: Service, accepted: socket.socket) -> None:
        self._service = service
        self.accepted = accepted
        """The socket beneath the transport."""
        self._received = bytearray()
        self._arrival: asyncio.Future[None] | None = None
        self._flushed: asyncio.Future[None] | None = None
        self._write_paused = False
        self._unyielded = 0
        self._request: Request | None = None
        self.closing = False
        """True once the script ended the connection, so that its loss is not the client's doing."""

    # ===== callbacks of the event loop =====

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # Not 0: asyncio's TLS transport takes an empty buffer for a full one then.
        transport.set_write_buffer_limits(high=1, low=0)
        self.number = self._service.opened(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        self._received += data
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def eof_received(self) -> None:
        self._peer_left()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer_left()
        self._service.closed(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._flushed is not None and not self._flushed.done():
            self._flushed.set_result(None)

    def _peer_left(self) -> None:
        if self._request is not None and not self.closing:
            self._request.end(aborted=True)
        self.task.cancel()

    # ===== the conversation =====

    async def _serve(self) -> None:
        first = True
        try:
            while not self.closing:
                await self._converse(first)
                first = False
        except (ConnectionError, asyncio.CancelledError):
            self.transport.abort()
        except BadRequest as bad:
            body = str(bad).encode()
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n")
            self.transport.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
            self.close()

    async def _converse(self, first: bool) -> None:
        request = await self._read_head(first)
        early = self._service.early_step(request)
        if early is None:
            request.body = await self._read_body(request)
        self._request = request
        self._service.started(request)
        try:
            await self._answer(request, early)
            request.end(aborted=False)
        finally:
            request.end(aborted=not self.closing)
            self._request = None
            self._service.ended(request)
        if self.closing:
            return
        if not request.keeps_alive:
            self.close()
        elif early is not None:
            request.body = await self._read_body(request)

    async def _answer(self, request: Request, step: Step | None) -> None:
        exchange = Exchange(self, request)
        try:
            step = step or self._service.step(request)
            await step.perform(exchange)
        except ConnectionError:
            raise
        except Exception as error:
            self._service.failed(error)
            self.reset()

    async def _more(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    async def _read_head(self, first: bool) -> Request:
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            await self._more()
        lines = self._take(end + 4)[:-4].decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            raise BadRequest(f"not an HTTP/1 request line: {lines[0][:80]!r}")
        pairs = (line.partition(":") for line in lines[1:])
        headers = Headers((name, value.strip()) for name, _, value in pairs)
        return Request(method, target, version, headers, connection=self.number, first=first)

    async def _read_body(self, request: Request) -> bytes:
        if "chunked" in request.headers.get("transfer-encoding", "").lower():
            return await self._read_chunks()
        length = request.headers.get("content-length", "0")
        if not length.isdecimal():
            raise BadRequest(f"not a length: {length[:80]!r}")
        return await self._read(int(length))

    async def _read_chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := await self._read_chunk_size():
            parts.append(await self._read(size))
            await self._read_line()
        while await self._read_line():
            pass
        return b"".join(parts)

    async def _read_chunk_size(self) -> int:
        line = await self._read_line()
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError:
            raise BadRequest(f"not a chunk size: {line[:80]!r}") from None

    async def _read_line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            await self._more()
        return self._take(end + 2)[:-2]

    async def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._more()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    # ===== what steps ask for =====

    async def send(self, data: bytes) -> None:
        """Write `data` and wait until the operating system has taken all of it."""
        if self.transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self.transport.write(data)
        if self._write_paused:
            self._flushed = asyncio.get_running_loop().create_future()
            await self._flushed
            self._unyielded = 0
        self._unyielded += len(data)
        if self._unyielded >= YIELD_EVERY:
            self._unyielded = 0
            await asyncio.sleep(0)

    def close(self) -> None:
        """Close in good order: a FIN after everything sent so far."""
        self.closing = True
        self.transport.close()

    def half_close(self) -> None:
        """Say that nothing more will be sent, and leave the closing to the client."""
        self.closing = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def reset(self) -> None:
        """Close with a RST."""
        self.closing = True
        with contextlib.suppress(OSError):
            self.accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def abort(self) -> None:
        """Close at once, when the upstream stops."""
        self.closing = True
        self.transport.abort()
        self.task.cancel()

    async def stop_reading(self) -> NoReturn:
        """Read nothing more; ends only when the client closes, where the platform shows that."""
        self.transport.pause_reading()
        while self._established():  # noqa: ASYNC110 - only the kernel knows, and it calls nobody
            await asyncio.sleep(_UNREAD_POLL)
        raise ConnectionResetError("the client closed")

    def _established(self) -> bool:
        option = getattr(socket, "TCP_INFO", None)
        if option is None or self.accepted.family == getattr(socket, "AF_UNIX", None):
            return True
        return bool(self.accepted.getsockopt(socket.IPPROTO_TCP, option, 1)[0] == _TCP_ESTABLISHED)


class Exchange:
    """One request and the means to answer it: what a step is given."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection = connection
        self.request = request
        self._slice = 0
        self._slice_interval = 0.0

    def slice(self, size: int, interval: float) -> None:
        """From here on write at most `size` bytes at a time, `interval` seconds apart."""
        self._slice, self._slice_interval = size, interval

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not self._slice:
            await self._send(data)
            return
        for start in range(0, len(data), self._slice):
            await self._send(data[start : start + self._slice])
            await asyncio.sleep(self._slice_interval)

    async def _send(self, data: bytes) -> None:
        await self.connection.send(data)
        self.request.bytes_sent += len(data)

    async def pause(self, seconds: float) -> None:
        """Wait; the client's leaving ends the wait."""
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def stall(self) -> NoReturn:
        """Say nothing more until the client leaves."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a stall ends only by cancellation")
