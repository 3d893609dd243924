"""What the upstream was asked: one record per request, kept in the log that tests assert on.

A record is filled in by the upstream's thread and may be read from any other. Times are `time.monotonic()`
seconds, so they compare with those of the test.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Headers(Mapping[str, str]):
    """Header fields with case-insensitive names; a repeated field reads as its values joined by a comma."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.fields = tuple(fields)
        """Every field as it was sent, in order, with its own spelling."""
        self._values: dict[str, str] = {}
        for name, value in self.fields:
            known = self._values.get(name.lower())
            self._values[name.lower()] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({list(self.fields)!r})"


class Request:
    """One request that reached the upstream."""

    def __init__(
        self, method: str, target: str, version: str, headers: Headers, *, connection: int, first: bool
    ) -> None:
        parts = urlsplit(target)
        self.method = method
        self.target = target
        """The request target exactly as it was sent, query included."""
        self.path = parts.path
        self.query: dict[str, str] = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.version = version
        self.headers = headers
        self.body = b""
        """The body with its framing undone; empty at first for a step that answers before reading it."""
        self.at = time.monotonic()
        """When the head was complete."""
        self.connection = connection
        """Number of the connection it came on, from 1."""
        self.first_on_connection = first
        """False when the connection has carried a request before."""
        self.bytes_sent = 0
        """Bytes of the reply that the operating system has taken so far."""
        self.aborted_at: float | None = None
        """When the client went away before the reply was finished; `None` if it did not."""
        self.finished_at: float | None = None
        """When the reply was finished, or broken off by the script; `None` if the client left first."""
        self._over = threading.Event()

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` when it is not."""
        return json.loads(self.body)

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is anything else."""
        try:
            body = json.loads(self.body)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def model(self) -> str | None:
        """The model that the body names."""
        model = self.fields.get("model")
        return model if isinstance(model, str) else None

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to use the connection again."""
        wish = self.headers.get("connection", "").lower()
        return "keep-alive" in wish if self.version == "HTTP/1.0" else "close" not in wish

    def wait_over(self, timeout: float = 5.0) -> bool:
        """Wait until the exchange is over, finished or aborted; False when `timeout` seconds pass first."""
        return self._over.wait(timeout)

    def wait_closed(self, timeout: float = 5.0) -> bool:
        """Wait for the client to go away; False when the reply was finished or `timeout` seconds passed."""
        return self._over.wait(timeout) and self.aborted_at is not None

    def end(self, *, aborted: bool) -> None:
        """Record how the exchange ended. Called by the connection; the first call counts."""
        if self._over.is_set():
            return
        if aborted:
            self.aborted_at = time.monotonic()
        else:
            self.finished_at = time.monotonic()
        self._over.set()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} on connection {self.connection}>"
