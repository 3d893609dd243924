"""A local OpenAI-compatible service that does what a script says.

It runs on a daemon thread with an event loop of its own, so that synchronous and asynchronous tests use it
alike, and so that a blocked test never blocks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from .connection import Connection, Step
from .endpoint import Answer, Endpoint, condition
from .request import Request

BACKLOG = 4096
"""Connections that may wait to be accepted."""

CLOSE_TIMEOUT = 10.0
"""Seconds that closing waits for the upstream's thread."""

_ACCEPT_PAUSE = 0.01


class Upstream(Endpoint):
    """A scripted local upstream.

    ```python
    with Upstream() as up:
        up.script = [fail(503), ok("hi")]
        client = fairlead.Client(api_key="test", base_url=up.base_url)
        ...
        assert [request.path for request in up.requests] == ["/v1/chat/completions"] * 2
    ```

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        tls: a server-side context; the URLs are `https` then.
        unix: path of a Unix socket to listen on instead; the base URL is `unix:` and the path.
        send_buffer: SO_SNDBUF of accepted connections in bytes; the system's default when `None`.
        receive_buffer: SO_RCVBUF likewise.

    Raises:
        OSError: from `start`, when the address is taken.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        unix: str | os.PathLike[str] | None = None,
        send_buffer: int | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        super().__init__("")
        self.host = host
        self.port = port
        self.connections_open = 0
        """Connections that are open now."""
        self.connections_total = 0
        """Connections that were ever opened, those with a failed TLS handshake not counted."""
        self.handshakes_failed = 0
        """Connections that ended in their TLS handshake."""
        self.in_flight = 0
        """Requests that are being answered now."""
        self.errors: list[Exception] = []
        """What functions of the script raised; the client saw a reset then."""
        self._tls = tls
        self._unix = None if unix is None else os.fspath(unix)
        self._buffers = {socket.SO_SNDBUF: send_buffer, socket.SO_RCVBUF: receive_buffer}
        self._places: dict[str, Endpoint] = {}
        self._conditions: list[tuple[Callable[[Request], bool], Endpoint]] = []
        self._change = threading.Condition()
        self._connections: set[Connection] = set()
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}
        self._thread: threading.Thread | None = None

    # ===== life =====

    def start(self) -> Self:
        """Listen; returns once connections are accepted."""
        if self._thread is not None:
            raise RuntimeError("this upstream is running already")
        listener = self._listener = self._listen()
        self.base_url = self._url("/v1")
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_debug(False)
        self._stopping = asyncio.Event()
        self._departure = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name="fairlead-testing-upstream", daemon=True
        )
        self._thread.start()
        _running.add(self)
        return self

    def close(self) -> None:
        """Close every connection and stop; returns once the thread is gone. Closing twice is fine."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(CLOSE_TIMEOUT)
        if self._thread.is_alive():
            raise RuntimeError(f"the upstream's thread did not end within {CLOSE_TIMEOUT} s")
        self._thread = None
        _running.discard(self)

    def abandon(self) -> None:
        """Give up the sockets in a forked child, so that only the parent holds the connections open."""
        self._listener.close()
        for connection in list(self._connections):
            connection.accepted.close()
        for accepted in list(self._handshakes.values()):
            accepted.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # ===== scripts =====

    def url(self, place: str) -> str:
        """Base URL of the named place: a second deployment behind the same upstream."""
        return self.at(place).base_url

    def at(self, place: str) -> Endpoint:
        """The named place with its own script and log, made on first use."""
        known = self._places.get(place)
        if known is None:
            known = self._places[place] = Endpoint(self._url(f"/{place}/v1"), self)
        return known

    def on(self, where: str | Callable[[Request], bool], steps: Answer | Iterable[Answer] = ()) -> Endpoint:
        """A script for some of the requests; conditions are tried in order of their making, before places.

        Args:
            where: the end of a path (`"/embeddings"`), the name of a model (no leading slash), or
                a function of the request.
            steps: the script, or a single answer for all of them. A step that acts before the body is read
                belongs into the script of a place: conditions are asked when the request is complete.
        """
        endpoint = Endpoint(self.base_url, self)
        if isinstance(steps, Iterable):
            endpoint.script = list(steps)
        else:
            endpoint.reply = steps
        self._conditions.append((condition(where), endpoint))
        return endpoint

    def reset(self) -> None:
        """Forget every script, condition and log, but keep the connections."""
        super().reset()
        for place in self._places.values():
            place.reset()
        self._conditions.clear()
        self.errors = []

    # ===== waiting =====

    def wait_idle(self, timeout: float = 5.0) -> bool:
        """Wait until no request is being answered; False when `timeout` seconds pass first."""
        return self._wait(lambda: self.in_flight == 0, timeout)

    def wait_disconnected(self, timeout: float = 5.0) -> bool:
        """Wait until no connection is open; False when `timeout` seconds pass first."""
        return self._wait(lambda: self.connections_open == 0, timeout)

    def wait_requests(self, count: int, timeout: float = 5.0) -> bool:
        """Wait until `count` requests have arrived; False when `timeout` seconds pass first."""
        return self._wait(lambda: len(self.requests) >= count, timeout)

    def wait_handshakes_failed(self, count: int, timeout: float = 5.0) -> bool:
        """Wait until `count` TLS handshakes have failed; False when `timeout` seconds pass first."""
        return self._wait(lambda: self.handshakes_failed >= count, timeout)

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._change:
            return self._change.wait_for(condition, timeout)

    # ===== what connections tell =====

    def opened(self, connection: Connection) -> int:
        """A connection exists; returns its number."""
        with self._change:
            self._connections.add(connection)
            self.connections_open += 1
            self.connections_total += 1
            self._change.notify_all()
            return self.connections_total

    def closed(self, connection: Connection) -> None:
        """The connection is gone."""
        with self._change:
            self._connections.discard(connection)
            self.connections_open -= 1
            self._change.notify_all()
        self._departure.set()

    def early_step(self, request: Request) -> Step | None:
        """The next step, taken only if it does not read the body."""
        place = self._place(request)
        return self._take(place, request) if place.is_early() else None

    def step(self, request: Request) -> Step:
        """The step that answers a request whose body is complete."""
        found = next((endpoint for holds, endpoint in self._conditions if holds(request)), None)
        return self._take(found or self._place(request), request)

    def started(self, request: Request) -> None:
        """A step is about to answer the request."""
        with self._change:
            self.in_flight += 1
            self.requests.append(request)
            self._change.notify_all()

    def ended(self, request: Request) -> None:
        """The exchange is over."""
        with self._change:
            self.in_flight -= 1
            self._change.notify_all()

    def failed(self, error: Exception) -> None:
        """A step raised."""
        self.errors.append(error)

    def _place(self, request: Request) -> Endpoint:
        return self._places.get(request.path.strip("/").partition("/")[0], self)

    def _take(self, endpoint: Endpoint, request: Request) -> Step:
        if endpoint is not self:
            endpoint.requests.append(request)
        answer = endpoint.next_answer()
        return answer(request) if callable(answer) else answer

    # ===== the upstream's thread =====

    def _listen(self) -> socket.socket:
        if self._unix is not None:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self._unix)
            listener.listen(BACKLOG)
        else:
            listener = socket.create_server((self.host, self.port), backlog=BACKLOG)
            self.port = listener.getsockname()[1]
        for option, size in self._buffers.items():
            if size is not None:
                listener.setsockopt(socket.SOL_SOCKET, option, size)
        listener.setblocking(False)
        return listener

    def _url(self, path: str) -> str:
        if self._unix is not None:
            return f"unix:{self._unix}"
        return f"{'http' if self._tls is None else 'https'}://{self.host}:{self.port}{path}"

    def _run(self, listener: socket.socket) -> None:
        try:
            self._loop.run_until_complete(self._main(listener))
        finally:
            self._loop.close()

    async def _main(self, listener: socket.socket) -> None:
        self._loop.add_reader(listener, self._accept, listener)
        await self._stopping.wait()
        self._loop.remove_reader(listener)
        listener.close()
        if self._unix is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._unix)
        await self._drop_handshakes()
        await self._drop_connections()

    async def _drop_handshakes(self) -> None:
        accepted = dict(self._handshakes)
        for handshake in accepted:
            handshake.cancel()
        await asyncio.gather(*accepted, return_exceptions=True)
        for connection in accepted.values():
            connection.close()

    async def _drop_connections(self) -> None:
        tasks = [connection.task for connection in self._connections]
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._connections:
            self._departure = asyncio.Event()
            await self._departure.wait()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(BACKLOG):
            try:
                accepted, _address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(listener)
                self._loop.call_later(_ACCEPT_PAUSE, self._accept_again, listener)
                return
            accepted.setblocking(False)
            if self._unix is None:
                # Else the system holds back each small write until the one before is acknowledged: 40 ms.
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handshake = self._loop.create_task(self._welcome(accepted))
            self._handshakes[handshake] = accepted
            handshake.add_done_callback(self._handshakes.pop)

    def _accept_again(self, listener: socket.socket) -> None:
        if not self._stopping.is_set():
            self._loop.add_reader(listener, self._accept, listener)

    async def _welcome(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: Connection(self, accepted), accepted, ssl=self._tls
            )
        except OSError:
            with self._change:
                self.handshakes_failed += 1
                self._change.notify_all()


_running: weakref.WeakSet[Upstream] = weakref.WeakSet()


def _abandon_all() -> None:
    for upstream in list(_running):
        upstream.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
