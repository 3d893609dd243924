"""The two clients behind one face."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import fairlead
from fairlead.testing import Upstream


class Twin:
    """One of the two clients behind one face that blocks."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def client(self, up: Upstream, **options: Any) -> Any:
        made = fairlead.Client if self.kind == "sync" else fairlead.AsyncClient
        return made(api_key="test", base_url=up.base_url, **options)

    def do(self, call: Callable[[], Any]) -> Any:
        if self.kind == "sync":
            return call()

        async def main() -> Any:
            return await call()

        return asyncio.run(main())

    def collect(self, call: Callable[[], Any]) -> list[Any]:
        if self.kind == "sync":
            return list(call())

        async def main() -> list[Any]:
            found = call()
            return [item async for item in (await found if asyncio.iscoroutine(found) else found)]

        return asyncio.run(main())
