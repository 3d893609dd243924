"""Module functions over a client that the first of them makes."""

from __future__ import annotations

import threading
from typing import Any, Literal, Unpack, overload

from .client import AsyncClient, Client
from .stream import AsyncStream, Stream
from .types import ChatCompletion, ChatCompletionChunk, CreateEmbeddingResponse
from .types.params import ChatParams, EmbeddingParams

_lock = threading.Lock()
_clients: dict[str, Any] = {}


def _blocking() -> Client:
    with _lock:
        if "blocking" not in _clients:
            _clients["blocking"] = Client()
        found: Client = _clients["blocking"]
        return found


def _asynchronous() -> AsyncClient:
    with _lock:
        if "asynchronous" not in _clients:
            _clients["asynchronous"] = AsyncClient()
        found: AsyncClient = _clients["asynchronous"]
        return found


@overload
def completion(*, stream: Literal[False] | None = ..., **params: Unpack[ChatParams]) -> ChatCompletion: ...
@overload
def completion(*, stream: Literal[True], **params: Unpack[ChatParams]) -> Stream[ChatCompletionChunk]: ...
@overload
def completion(
    *, stream: bool, **params: Unpack[ChatParams]
) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
def completion(**params: Any) -> Any:
    """`Client().chat.completions.create` on a client that is made when it is first needed."""
    return _blocking().chat.completions.create(**params)


@overload
async def acompletion(
    *, stream: Literal[False] | None = ..., **params: Unpack[ChatParams]
) -> ChatCompletion: ...
@overload
async def acompletion(
    *, stream: Literal[True], **params: Unpack[ChatParams]
) -> AsyncStream[ChatCompletionChunk]: ...
@overload
async def acompletion(
    *, stream: bool, **params: Unpack[ChatParams]
) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
async def acompletion(**params: Any) -> Any:
    """`AsyncClient().chat.completions.create` on a client that is made when it is first needed."""
    return await _asynchronous().chat.completions.create(**params)


def embedding(**params: Unpack[EmbeddingParams]) -> CreateEmbeddingResponse:
    """`Client().embeddings.create` on a client that is made when it is first needed."""
    return _blocking().embeddings.create(**params)


async def aembedding(**params: Unpack[EmbeddingParams]) -> CreateEmbeddingResponse:
    """`AsyncClient().embeddings.create` on a client that is made when it is first needed."""
    return await _asynchronous().embeddings.create(**params)
