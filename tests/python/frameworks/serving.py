"""Applications behind real servers, and clients that read, stop reading, and leave."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

PROJECT = Path(__file__).parents[3]
LONGEST = 30.0
"""Seconds after which a server will not start or stop any more."""


class Served:
    """An application behind uvicorn, on a thread of this process."""

    def __init__(self, app: Any, **options: Any) -> None:
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="critical", lifespan="on", ws="none", **options
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="served")

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + LONGEST
        while not self._server.started:
            assert self._thread.is_alive(), "the application did not start"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(LONGEST)
        assert not self._thread.is_alive()


@contextmanager
def served(app: Any, **options: Any) -> Iterator[Served]:
    """`app` behind uvicorn."""
    server = Served(app, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def browsing(server: Served) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=server.url, timeout=LONGEST, trust_env=False) as http:
        yield http


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Launched:
    """A server in a process of its own."""

    def __init__(self, command: list[str], port: int, **environment: str) -> None:
        given = {"PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore", **environment}
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env={**os.environ, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + LONGEST
        while True:
            assert self.process.poll() is None, self.output()
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "not ready"
            time.sleep(0.05)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def output(self) -> str:
        """Everything it printed, once it has ended."""
        return self.process.communicate(timeout=LONGEST)[0]


@contextmanager
def launched(command: list[str], port: int, **environment: str) -> Iterator[Launched]:
    """`python command...`, serving at `port`, until it is told to end."""
    server = Launched(command, port, **environment)
    try:
        server.wait_ready()
        yield server
    finally:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(LONGEST)
        assert server.process.stdout is not None
        server.process.stdout.close()


# ===== clients =====


def request_bytes(path: str, body: Any, **headers: str) -> bytes:
    """A POST request."""
    content = json.dumps(body).encode()
    fields = {
        "host": "test",
        "content-type": "application/json",
        "content-length": str(len(content)),
        **headers,
    }
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


class Reading:
    """A request on a connection of its own, read by hand, so that leaving is leaving."""

    def __init__(self, port: int, path: str, body: Any, **headers: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LONGEST)
        self._socket.sendall(request_bytes(path, body, **headers))
        self.received = b""

    def until(self, needle: bytes) -> None:
        """Read until `needle` has come."""
        while needle not in self.received:
            data = self._socket.recv(65536)
            assert data, f"the server closed: {self.received[-300:]!r}"
            self.received += data

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self._socket.settimeout(seconds)
        try:
            self.received += self._socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(LONGEST)
        return False

    def leave(self) -> float:
        """Close the connection; returns when, on the monotonic clock."""
        self._socket.close()
        return time.monotonic()


async def stream_of(
    port: int, path: str, body: Any, *, leave_after: int | None = None, **headers: str
) -> bytes:
    """The body of a streamed answer; with `leave_after`, so many events of it, and then the client leaves."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request_bytes(path, body, connection="close", **headers))
        received = b""
        while data := await reader.read(65536):
            received += data
            if leave_after is not None and received.count(b"data: ") >= leave_after:
                break
        head, _, rest = received.partition(b"\r\n\r\n")
        return rest if head.startswith(b"HTTP/1.1 200") else received
    finally:
        writer.close()


def events_in(body: bytes | str) -> list[Any]:
    """The data of the events of a body, in order, chunk framing undone; `[DONE]` as it is."""
    text = body if isinstance(body, str) else body.decode()
    found = [line[6:] for line in re.split("\r?\n", text) if line.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in found]


def text_in(events: list[Any]) -> str:
    """The text of a streamed completion."""
    return "".join(
        choice["delta"].get("content") or ""
        for event in events
        if isinstance(event, dict)
        for choice in event.get("choices", ())
    )
