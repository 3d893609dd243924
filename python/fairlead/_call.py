"""How a call is awaited."""

from __future__ import annotations

from asyncio import get_running_loop
from typing import Any

from ._core import Endpoint, Engine
from ._ports import port_of
from .options import current_scope
from .types import Warmed


async def call(engine: Engine, endpoint: Endpoint, params: dict[str, Any]) -> Any:
    """Start a call and wait for its answer; being cancelled ends it upstream too."""
    loop = get_running_loop()
    port = port_of(loop)
    future, number = engine.start(port, loop, endpoint, params, current_scope())
    try:
        return await future
    except BaseException:
        port.cancel(number)
        raise


async def warm_up(engine: Engine, options: dict[str, Any]) -> list[Warmed]:
    """Warm deployments up; being cancelled ends it."""
    loop = get_running_loop()
    port = port_of(loop)
    future, number = engine.start_warm_up(port, loop, **options)
    try:
        return [Warmed(**one) for one in await future]
    except BaseException:
        port.cancel(number)
        raise


async def call_raw(engine: Engine, endpoint: Endpoint, body: object, params: dict[str, Any]) -> Any:
    """As `call`, with the whole body as one value."""
    loop = get_running_loop()
    port = port_of(loop)
    future, number = engine.start_raw(port, loop, endpoint, body, params, current_scope())
    try:
        return await future
    except BaseException:
        port.cancel(number)
        raise
