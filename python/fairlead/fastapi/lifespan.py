"""A client for the life of the application: made, warmed up, handed to requests, drained and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from ..client import AsyncClient, Config
from ..types import Warmed

DRAIN = 30.0
"""Seconds that calls get to end in at shutdown; also gunicorn's default."""

CLIENT = "llm"
WARM_UP = "llm_warm_up"

_LOOK = 0.02
"""Seconds between two looks at what still runs."""

_log = logging.getLogger("fairlead.fastapi")


class WarmUp:
    """The warm-up of a client, in the background. It fails no start-up."""

    def __init__(self, client: AsyncClient) -> None:
        self.results: list[Warmed] = []
        """What came of it, once it is over."""
        self._client = client
        self._task = asyncio.create_task(self._run(), name="fairlead-warm-up")

    @property
    def is_over(self) -> bool:
        """Has it ended, well or not?"""
        return self._task.done()

    async def stop(self) -> None:
        """End it now."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            self.results = await self._client.warm_up()
        except Exception:
            _log.warning("the warm-up failed; the first calls open their connections", exc_info=True)
        for result in self.results:
            if not result.ok:
                _log.warning("%s is not warm: %s", result.deployment, result.error)


def lifespan(
    config: Config | None = None, *, warm_up: bool = True, drain: float = DRAIN, **options: Any
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan that makes the client of the application, for `FastAPI(lifespan=...)`.

    Each worker process makes its own, after any fork. Requests find it as `request.state.llm`, or by the
    dependency `client`. A lifespan of your own goes around it:

    ```python
    @asynccontextmanager
    async def lifespan(app):
        async with fairlead.fastapi.lifespan("fairlead.toml")(app) as state:
            yield {**state, "database": ...}
    ```

    Args:
        config: as of `AsyncClient`; None looks for one, in FAIRLEAD_CONFIG first.
        warm_up: open connections in the background at start-up, within the `warm_up` section's bounds. What
            does not work is logged; requests are served meanwhile, and `/readyz` says when it is over.
        drain: the longest that calls may still run at shutdown, in seconds. Default: 30.
        options: the other arguments of `AsyncClient`.

    Raises:
        ConfigError: at start-up, naming every fault of the configuration.
    """

    @asynccontextmanager
    async def life(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with AsyncClient(config, **options) as client:
            warming = WarmUp(client) if warm_up else None
            try:
                yield {CLIENT: client, WARM_UP: warming}
            finally:
                if warming is not None:
                    await warming.stop()
                await _drain(client, drain)

    return life


async def client(connection: HTTPConnection) -> AsyncClient:
    """The dependency: the client that the lifespan made.

    Raises:
        RuntimeError: when the application has none.
    """
    found: AsyncClient | None = getattr(connection.state, CLIENT, None)
    if found is None:
        raise RuntimeError("no client: make the app with `FastAPI(lifespan=fairlead.fastapi.lifespan(...))`")
    return found


LLM = Annotated[AsyncClient, Depends(client)]
"""The client as an argument: `async def ask(question: str, llm: LLM)`."""


async def _drain(client: AsyncClient, seconds: float) -> None:
    """Wait for calls that run, so that nobody's answer is cut off."""
    end = asyncio.get_running_loop().time() + seconds
    while running := _running(client):
        if asyncio.get_running_loop().time() >= end:
            _log.warning("%d calls were still running %g s after the shutdown began", running, seconds)
            return
        await asyncio.sleep(_LOOK)


def _running(client: AsyncClient) -> int:
    now = client.stats()["now"]
    return max(now["calls"], now["streams"])
