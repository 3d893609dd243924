"""One port for each event loop that makes calls."""

from __future__ import annotations

import asyncio
import os
import select
import threading
import weakref
from collections.abc import Callable

from . import _core
from ._core import Port

_ports: dict[int, tuple[weakref.ref[asyncio.AbstractEventLoop], Port]] = {}
"""By the identity of the loop; the reference tells a loop from a later one at the same address."""

_left_behind: list[object] = []
"""What belongs to the process before a fork: its loops share selectors with us, so nothing is touched."""

after_fork: list[Callable[[], None]] = []
"""What else a forked child has to do."""


def port_of(loop: asyncio.AbstractEventLoop) -> Port:
    """The port of `loop`, which is running."""
    entry = _ports.get(id(loop))
    if entry is not None and entry[0]() is loop:
        return entry[1]
    return _open(loop)


def _open(loop: asyncio.AbstractEventLoop) -> Port:
    _sweep()
    port, key = Port(), id(loop)
    try:
        loop.add_reader(port.fileno(), port.drain)
    except NotImplementedError:
        relay = threading.Thread(target=_relay, args=(weakref.ref(loop), port), daemon=True)
        relay.name = "fairlead-relay"
        relay.start()
    _ports[key] = (weakref.ref(loop, lambda _: _ports.pop(key, None)), port)
    return port


def _sweep() -> None:
    """Let go of loops that were closed with calls in flight: their futures would keep them alive."""
    for key, (reference, port) in list(_ports.items()):
        loop = reference()
        if loop is None or loop.is_closed():
            _ports.pop(key, None)
            port.close()


def _relay(reference: weakref.ref[asyncio.AbstractEventLoop], port: Port) -> None:
    """Wake a loop that cannot watch descriptors, once for everything that is done."""
    drained = threading.Event()

    def drain() -> None:
        port.drain()
        drained.set()

    while True:
        readable, _, _ = select.select([port.fileno()], [], [], 0.5)
        loop = reference()
        if loop is None or loop.is_closed():
            return
        if readable:
            drained.clear()
            try:
                loop.call_soon_threadsafe(drain)
            except RuntimeError:
                return
            while not drained.wait(0.5) and not loop.is_closed():
                pass
        del loop


def _forked() -> None:
    _core._after_fork()
    _left_behind.append(dict(_ports))
    _ports.clear()
    for act in after_fork:
        act()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
