"""A local upstream that stands for every service."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ..testing import Reply, Request, Step, Upstream, ok

KEY = "sk-or-v1-offline"
"""A key for it; any would do."""

_ACCOUNT = {"is_free_tier": False, "limit": 10.0, "limit_remaining": 9.5, "usage": 0.5}
_CREDITS = {"total_credits": 10.0, "total_usage": 0.5}


class Offline:
    """The upstream, running inside `with`."""

    def __init__(self) -> None:
        self._upstream = Upstream()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return self._upstream.base_url

    def __enter__(self) -> Self:
        self._upstream.start()
        self._upstream.reply = _answer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._upstream.close()


def _answer(request: Request) -> Step:
    if request.path.endswith("/key"):
        return Reply(body={"data": _ACCOUNT})
    if request.path.endswith("/credits"):
        return Reply(body={"data": _CREDITS})
    if request.path.endswith("/models"):
        return Reply(body={"object": "list", "data": []})
    return ok("hi")
