"""`fairlead.openai`'s two clients behind one face that blocks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from fairlead.openai import AsyncOpenAI, OpenAI
from fairlead.testing import Upstream

MESSAGES: Any = [{"role": "user", "content": "hi"}]


class Twin:
    """One of the two clients; of an asynchronous one every use is an `asyncio.run` of its own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def make(self, *args: Any, **options: Any) -> Any:
        return (OpenAI if self.kind == "sync" else AsyncOpenAI)(*args, **options)

    def client(self, up: Upstream, **options: Any) -> Any:
        return self.make(api_key="test", base_url=up.base_url, **options)

    def do(self, call: Callable[[], Any]) -> Any:
        """What `call` returns, awaited where it must be."""
        if self.kind == "sync":
            return call()

        async def main() -> Any:
            found = call()
            return await found if inspect.isawaitable(found) else found

        return asyncio.run(main())

    def collect(self, call: Callable[[], Any]) -> list[Any]:
        """What `call` streams."""
        if self.kind == "sync":
            return list(call())

        async def main() -> list[Any]:
            found = call()
            return [item async for item in (await found if inspect.iscoroutine(found) else found)]

        return asyncio.run(main())


def text_of(chunks: list[Any]) -> str:
    """The text that a stream's chunks add up to."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
