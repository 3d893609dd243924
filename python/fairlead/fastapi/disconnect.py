"""Clients that vanish: what they waited for is given up.

Servers cancel a streaming response when its client goes, but let any other handler run to its end. The call
behind it would go on, hold its place under the limits, and be billed, for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import HTTPException, Request
from starlette.types import Receive

CLIENT_CLOSED_REQUEST = 499
"""The status that nobody receives; logs and middleware see it. Made known by nginx."""


async def disconnected(receive: Receive) -> None:
    """Wait until the client is gone. What is received before is lost."""
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def cancel_on_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancel what runs inside when the client goes; the call's connection to the provider is closed at once.

    ```python
    @app.post("/summary")
    async def summary(request: Request, text: str, llm: LLM) -> str:
        async with cancel_on_disconnect(request):
            return await llm.generate("smart", f"In one sentence: {text}")
    ```

    Reads the request's body first, if nothing has; `request.body()` and `request.json()` find it inside.

    Raises:
        HTTPException: 499 instead of the cancellation, so that server and middleware end in order.
    """
    with suppress(RuntimeError):  # read as a form or as a stream: then there is nothing left to lose
        await request.body()
    inside = asyncio.current_task()
    assert inside is not None
    before, gone = inside.cancelling(), False

    def leave(listening: asyncio.Task[None]) -> None:
        nonlocal gone
        if not listening.cancelled() and listening.exception() is None:
            gone = True
            inside.cancel()

    listening = asyncio.create_task(disconnected(request.receive), name="fairlead-disconnect")
    listening.add_done_callback(leave)
    try:
        yield
    except asyncio.CancelledError:
        if gone and inside.cancelling() <= before + 1:
            raise HTTPException(CLIENT_CLOSED_REQUEST, "the client closed the request") from None
        raise
    finally:
        listening.remove_done_callback(leave)
        listening.cancel()
        if gone:
            inside.uncancel()


async def cancellation(request: Request) -> AsyncIterator[None]:
    """`cancel_on_disconnect` as a dependency: `dependencies=[Depends(fairlead.fastapi.cancellation)]`.

    For handlers that answer whole; `sse` looks after its client itself.
    """
    async with cancel_on_disconnect(request):
        yield
