"""The events of a stream, all that are ready at once, read by one pass of the JSON parser."""

from __future__ import annotations

import asyncio
import json
from asyncio import get_running_loop
from typing import Any

from .._core import StreamCore
from .._ports import port_of

Event = dict[str, Any]
"""A chunk as the provider sent it."""

_HEAD, _TAIL = len("data: "), len("\n\n")


def events_in(frames: bytes) -> list[Event]:
    """The events in framed bytes. Line ends inside of JSON are escaped, so frames cannot be mistaken."""
    text = frames.decode("utf-8", "replace")
    found: list[Event] = json.loads("[" + text[_HEAD:-_TAIL].replace("\n\ndata: ", ",") + "]")
    return found


def next_events(core: StreamCore) -> list[Event] | None:
    """The next events of a stream, for threads that block; `None` when it ended well.

    Raises:
        FairleadError: what broke the stream.
    """
    try:
        frames = core.block_frames()
    except KeyboardInterrupt:
        core.interrupt()
        raise
    return None if frames is None else events_in(frames)


async def anext_events(core: StreamCore) -> list[Event] | None:
    """The next events of a stream. Being cancelled while waiting ends the stream upstream.

    Raises:
        FairleadError: what broke the stream.
    """
    while True:
        try:
            frames = core.take_frames()
        except StopAsyncIteration:
            return None
        if frames is not None:
            return events_in(frames)
        loop = get_running_loop()
        waiting = core.wait(loop, port_of(loop))
        if waiting is None:
            await asyncio.sleep(0)
            continue
        future, number = waiting
        try:
            await future
        except BaseException:
            port_of(loop).cancel(number)
            core.interrupt()
            raise
