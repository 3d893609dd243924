"""What every test is held to: nothing is left over."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from fairlead import _core
from fairlead.client import _BaseClient
from fairlead.testing import Upstream
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

SETTLING = 20.0
"""Seconds that calls, streams and threads get to end after a test."""

LASTING = ("MainThread", "fairlead-hooks", "pytest_timeout")
"""Threads that outlive a test."""

_clients: weakref.WeakSet[Any] = weakref.WeakSet()
_construct = _BaseClient.__init__


def _remember(self: Any, *args: Any, **options: Any) -> None:
    _construct(self, *args, **options)
    _clients.add(self)


_BaseClient.__init__ = _remember  # type: ignore[method-assign]


def leftovers() -> dict[str, Any]:
    """Whatever exists that should not, when nothing is going on."""
    found: dict[str, Any] = {}
    if _core._tasks():
        found["tasks"] = _core._tasks()
    for client in list(_clients):
        gauges = client._engine.gauges()
        idle = gauges.pop("connections_idle")
        if gauges.pop("connections_open") != idle or any(gauges.values()):
            found[repr(client)] = client._engine.gauges()
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith(LASTING)]
    if threads:
        found["threads"] = threads
    return found


@pytest.fixture(autouse=True)
def quiescent() -> Iterator[None]:
    """After every test: no permits, tasks, sockets beyond the idle pool, or threads left over."""
    yield
    if not leftovers():
        return
    gc.collect()
    deadline = time.monotonic() + SETTLING
    while (found := leftovers()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not found


@pytest.fixture
def up() -> Iterator[Upstream]:
    """A scripted upstream."""
    with Upstream() as upstream:
        yield upstream
        assert upstream.errors == []
