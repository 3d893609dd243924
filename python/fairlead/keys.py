"""Keys that the application itself provides: callables and plug-ins, asked on one thread with a loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Desk, Secret
from ._ports import port_of
from .errors import ConfigError

if TYPE_CHECKING:
    Yielded = str | Secret | tuple[str | Secret, float | timedelta] | Mapping[str, Any] | object
    """A key; a key with the seconds it is good for; or a token endpoint's answer as a dict or an object."""

    Fetch = Callable[[], Yielded | Awaitable[Yielded]]
    """Yields a key, also asynchronously."""

    Plugin = Callable[[dict[str, str]], Yielded | Awaitable[Yielded]]
    """Yields the key that the options of `{plugin = "...", options = {...}}` name, also asynchronously."""

THREAD = "fairlead-hooks-keys"
"""The name of the thread."""


def register_secret_plugin(name: str, fetch: Plugin) -> None:
    """Make `fetch` known as the source of keys `{plugin = "name"}`, for all clients made from now on.

    It is called with the `options` of the key, on a thread of its own with an event loop; it may be
    asynchronous. What it yields is kept for the key's `ttl` (default: 300 s), or as long as it says itself. A
    function that blocks holds up the other callables, not the calls that have their keys.

    Args:
        name: what configurations call it; a second one of that name takes the place of the first.
        fetch: returns a key, a pair of a key and the seconds it is good for, or a token endpoint's answer as
            a dict or an object (`access_token`, `expires_in`).

    Raises:
        ConfigError: the name is empty, or `fetch` cannot be called.
    """
    if not isinstance(name, str) or not name:
        raise ConfigError("`name`: expected the name of a secret plug-in")
    if not callable(fetch):
        raise ConfigError(f"`fetch`: expected a callable, not {type(fetch).__name__}")
    _core._register_plugin(name, fetch)


def _begin() -> None:
    """Start the thread; called by the engine when a call may need it."""
    threading.Thread(target=_run, name=THREAD, daemon=True).start()


def _run() -> None:
    desk = Desk()
    try:
        asyncio.run(_serve(desk))
    except BaseException:
        desk.left()
        raise


async def _serve(desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    port = port_of(loop)
    asked: dict[int, asyncio.Task[None]] = {}
    try:
        while (taken := desk.take(bool(asked))) is not None:
            for number, fetch, options in taken:
                if fetch is None:
                    if task := asked.get(number):
                        task.cancel()
                    continue
                asked[number] = loop.create_task(_answer(desk, number, fetch, options))
                asked[number].add_done_callback(partial(_done, desk, asked, number))
            # Nothing of the last question is kept while waiting for the next one.
            fetch = options = task = None
            taken.clear()
            await desk.arrival(port, loop)
    finally:
        loop.remove_reader(port.fileno())
        port.close()


def _done(desk: Desk, asked: dict[int, asyncio.Task[None]], number: int, _: asyncio.Task[None]) -> None:
    del asked[number]
    desk.nudge()


async def _answer(desk: Desk, number: int, fetch: Callable[..., Any], options: dict[str, str] | None) -> None:
    try:
        given = fetch() if options is None else fetch(options)
        if inspect.isawaitable(given):
            given = await given
        key, seconds = _read(given)
        if key is None:
            desk.refuse(number, "it returned None")
        else:
            desk.answer(number, key, seconds)
    except BaseException as error:
        # Its text may hold the key; its type does not.
        desk.refuse(number, f"it raised {type(error).__name__}")
        if isinstance(error, asyncio.CancelledError):
            raise


def _read(given: Any) -> tuple[str | Secret | None, float | None]:
    """The key and its life in what a callable gave, whatever shape that has."""
    if given is None or isinstance(given, str | Secret):
        return given, None
    if isinstance(given, Mapping):
        return given["access_token"], _seconds(given.get("expires_in"), given.get("expires_on"))
    for name in ("access_token", "token"):
        if isinstance(found := getattr(given, name, None), str | Secret):
            return found, _seconds(getattr(given, "expires_in", None), getattr(given, "expires_on", None))
    key, life = given
    return key, _seconds(life, None)


def _seconds(expires_in: Any, expires_on: Any) -> float | None:
    if isinstance(expires_in, timedelta):
        return expires_in.total_seconds()
    if expires_in is not None:
        return float(expires_in)
    # A moment that has passed must not read as "unknown": the key would be used on.
    return max(float(expires_on) - time.time(), 0.001) if expires_on is not None else None
