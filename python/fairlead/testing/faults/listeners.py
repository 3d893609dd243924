"""Addresses where no service answers: each a context manager that gives a base URL."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

_HOST = "127.0.0.1"


def _base_url(listener: socket.socket, scheme: str) -> str:
    return f"{scheme}://{_HOST}:{listener.getsockname()[1]}/v1"


@contextlib.contextmanager
def refused(scheme: str = "http") -> Iterator[str]:
    """F01: an address that refuses connections; the port stays taken meanwhile."""
    with socket.socket() as taken:
        taken.bind((_HOST, 0))
        yield _base_url(taken, scheme)


@contextlib.contextmanager
def black_hole(scheme: str = "http") -> Iterator[str]:
    """F02: an address where connecting neither succeeds nor fails, for its queue is full (on Linux)."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind((_HOST, 0))
        listener.listen(0)
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield _base_url(listener, scheme)


@contextlib.contextmanager
def silent(scheme: str = "https") -> Iterator[str]:
    """F30: an address that accepts connections and never says a word, not even a TLS handshake."""
    with socket.create_server((_HOST, 0), backlog=128) as listener:
        yield _base_url(listener, scheme)
