"""From an HTTP library's request to the engine and back: what both libraries' transports share."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from .._core import Engine, RawReply
from ..client import AsyncClient, Client
from ..errors import APIConnectionError, ClientClosed, FairleadError
from ._answer import Answer, answered, failed
from ._asked import Request, read
from .told import KEY, collect

_BROKEN = {
    "ConnectTimeout": "ConnectTimeout",
    "WriteTimeout": "WriteTimeout",
    "PoolTimeout": "PoolTimeout",
    "APITimeoutError": "ReadTimeout",
    "ClientClosed": "ConnectError",
    "ConnectError": "ConnectError",
    "DnsError": "ConnectError",
    "LocalResourceError": "ConnectError",
    "TLSError": "ConnectError",
    "ProxyError": "ProxyError",
    "ProtocolError": "RemoteProtocolError",
    "ResponseTruncated": "RemoteProtocolError",
    "APIConnectionError": "ReadError",
}
"""fairlead's errors without a response, as httpx calls them; of several the nearest class counts."""


class _Transport:
    _library: ClassVar[Any]
    """`httpx` or `httpx2`."""
    _frames: ClassVar[Any]
    """Its kind of stream."""

    def __init__(
        self, client: Client | AsyncClient, *, closes_client: bool = False, own_key: str | None = None
    ) -> None:
        """
        Args:
            client: what makes the calls; either kind will do. Its keys are sent, not those of the SDK.
            closes_client: is it closed with this transport? Default: False.
            own_key: the API key of the SDK that stands for none; another one, which the caller set for a
                request, is sent. Default: none is sent.
        """
        self._client = client
        self._closes_client = closes_client
        self._base = urlsplit(client.base_url or "").path.rstrip("/")
        self._own_key = None if own_key is None else f"Bearer {own_key}".encode()

    @property
    def _engine(self) -> Engine:
        return self._client._engine

    def _read(self, request: Any, body: bytes) -> Request:
        return Request(
            request.method,
            request.url.raw_path,
            request.headers.raw,
            body,
            request.extensions.get("timeout"),
            self._own_key,
            self._base,
        )

    def _failed(self, error: FairleadError, request: Any) -> Answer:
        """The response that tells of `error`.

        Raises:
            TransportError: the library's own, when there is no response to tell it with.
        """
        request.extensions[KEY] = error
        if isinstance(error, APIConnectionError | ClientClosed):
            names = (_BROKEN.get(kind.__name__) for kind in type(error).__mro__)
            kind = getattr(self._library, next(name for name in names if name))
            raise kind(error.message, request=request) from error
        return failed(error)

    def _response(self, answer: Answer, request: Any) -> Any:
        status, headers, body, told = answer
        if isinstance(body, bytes):
            headers.append((b"content-length", b"%d" % len(body)))
            # Not as `content=`: what is read before the client sees it has no `elapsed`.
            stream = self._library.ByteStream(body)
        else:
            stream = self._frames(body, request)
        if isinstance(told, RawReply):
            collect(told)
        extensions = {} if told is None else {KEY: told}
        return self._library.Response(status, headers=headers, stream=stream, extensions=extensions)

    def _close(self) -> None:
        if self._closes_client:
            self._engine.close()


class BlockingTransport(_Transport):
    """For clients that block."""

    def handle_request(self, request: Any) -> Any:
        """Lead the request through the engine."""
        try:
            asked = read(self._read(request, request.read()), self._engine)
            answer = asked if isinstance(asked, Answer) else answered(asked.block(self._engine))
        except FairleadError as error:
            answer = self._failed(error, request)
        return self._response(answer, request)

    def close(self) -> None:
        """Close the client if it came with this transport."""
        self._close()


class AwaitingTransport(_Transport):
    """For clients on an event loop: any loop, any thread."""

    async def handle_async_request(self, request: Any) -> Any:
        """Lead the request through the engine; being cancelled ends it upstream too."""
        try:
            asked = read(self._read(request, await request.aread()), self._engine)
            answer = asked if isinstance(asked, Answer) else answered(await asked.start(self._engine))
        except FairleadError as error:
            answer = self._failed(error, request)
        return self._response(answer, request)

    async def aclose(self) -> None:
        """Close the client if it came with this transport."""
        self._close()
