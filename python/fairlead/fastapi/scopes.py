"""Who asks, and how urgently: said once for a request, held for every call it makes."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..options import scope as entered

Source = str | Callable[[HTTPConnection], Any]
"""The name of a header, or a function of the request; None is nothing said."""


class ScopeMiddleware:
    """Enters `fairlead.scope` for every request, by its headers.

    ```python
    app.add_middleware(ScopeMiddleware, user="x-user-id", tenant="x-tenant", deadline="x-deadline")
    app.add_middleware(ScopeMiddleware, user=lambda connection: connection.client.host)
    ```

    Clients can send any header: take limits from one only where something before you sets it. Where users
    log in, use `scoped` with the dependency that knows them.

    Args:
        app: the application.
        user, tenant, key, session, profile: names, as of `fairlead.scope`.
        priority: 0 to 9, or `background`, `low`, `normal`, `high`, `critical`.
        deadline: seconds from the arrival of the request on.

    A header that is no number where one is needed is answered with 400.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        user: Source | None = None,
        tenant: Source | None = None,
        key: Source | None = None,
        session: Source | None = None,
        profile: Source | None = None,
        priority: Source | None = None,
        deadline: Source | None = None,
    ) -> None:
        self.app = app
        given = {
            "user": user,
            "tenant": tenant,
            "key": key,
            "session": session,
            "profile": profile,
            "priority": priority,
            "deadline": deadline,
        }
        self._sources = {name: source for name, source in given.items() if source is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            said = {name: _said(name, source, connection) for name, source in self._sources.items()}
        except ValueError as error:
            detail = {
                "message": str(error),
                "type": "invalid_request_error",
                "param": str(error).partition(":")[0],
                "code": "invalid_value",
            }
            await JSONResponse({"error": detail}, 400)(scope, receive, send)
            return
        with entered(**said):
            await self.app(scope, receive, send)


def scoped(**values: Any) -> Callable[..., AsyncIterator[None]]:
    """A dependency that enters `fairlead.scope` for the rest of the request.

    ```python
    router = APIRouter(dependencies=[Depends(scoped(user=current_user_id, priority="high", deadline=60))])
    ```

    Args:
        values: as of `fairlead.scope`; a function is a dependency that returns the value.

    Raises:
        TypeError: for a name that `fairlead.scope` does not know.
    """
    unknown = values.keys() - inspect.signature(entered).parameters.keys()
    if unknown:
        raise TypeError(f"fairlead.scope knows no {', '.join(sorted(unknown))}")
    asked = {name: value for name, value in values.items() if callable(value)}
    fixed = {name: value for name, value in values.items() if name not in asked}

    async def enter(**found: Any) -> AsyncIterator[None]:
        with entered(**fixed, **found):
            yield

    enter.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=Depends(value))
            for name, value in asked.items()
        ]
    )
    return enter


def _said(name: str, source: Source, connection: HTTPConnection) -> Any:
    if callable(source):
        return source(connection)
    text = connection.headers.get(source)
    if text is None or not text.strip():
        return None
    if name == "deadline":
        return _seconds(source, text)
    return int(text) if name == "priority" and text.strip().isdecimal() else text


def _seconds(header: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{header}: expected seconds, 0 or more: {text}")
    return seconds
