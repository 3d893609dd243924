"""How far a WebSocket is. Every application that another mounts has an object of its own for it, which knows
only what was sent through itself."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

_NOTED = "fairlead.websocket"
"""The member of the scope that holds it, in a list of one: scopes are copied."""

_STATES = {
    "websocket.accept": WebSocketState.CONNECTED,
    "websocket.http.response.start": WebSocketState.RESPONSE,
    "websocket.close": WebSocketState.DISCONNECTED,
    "websocket.disconnect": WebSocketState.DISCONNECTED,
}
"""What a message makes of a WebSocket, whichever side it is from."""


class SocketMiddleware:
    """Notes how far WebSockets are, for `state_of`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        noted = scope.setdefault(_NOTED, [WebSocketState.CONNECTING])

        async def received() -> Message:
            message = await receive()
            noted[0] = _STATES.get(message["type"], noted[0])
            return message

        async def sent(message: Message) -> None:
            noted[0] = _STATES.get(message["type"], noted[0])
            await send(message)

        await self._app(scope, received, sent)


def state_of(socket: WebSocket) -> WebSocketState | None:
    """How far it is: CONNECTING is not accepted yet. None where that is not known."""
    noted: list[WebSocketState] | None = socket.scope.get(_NOTED)
    if noted is not None:
        return noted[0]
    if WebSocketState.DISCONNECTED in (socket.application_state, socket.client_state):
        return WebSocketState.DISCONNECTED
    return None if socket.application_state is WebSocketState.CONNECTING else socket.application_state
