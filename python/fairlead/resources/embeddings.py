"""`client.embeddings`."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Unpack

from .._call import call
from .._core import Endpoint, Engine
from ..options import current_scope, is_absent
from ..response import APIResponse
from ..types.embeddings import CreateEmbeddingResponse, EncodedEmbeddingResponse
from ..types.params import EmbeddingParams
from .needed import need
from .resource import Resource
from .shown import shows

_DECODED = Endpoint("embeddings", CreateEmbeddingResponse)
_AS_ASKED = Endpoint("embeddings", EncodedEmbeddingResponse)
_DECODED_RAW = Endpoint("embeddings", CreateEmbeddingResponse, raw=APIResponse)
_AS_ASKED_RAW = Endpoint("embeddings", EncodedEmbeddingResponse, raw=APIResponse)


def _chosen(params: dict[str, Any], raw: bool = False) -> Endpoint:
    """Vectors travel as base64 unless the caller chose: a third of the bytes, and no parsing of numbers."""
    encoding = params.get("encoding_format")
    if encoding is None or is_absent(encoding):
        params["encoding_format"] = "base64"
        return _DECODED_RAW if raw else _DECODED
    return _AS_ASKED_RAW if raw else _AS_ASKED


class AsyncEmbeddings(Resource):
    """Embeddings."""

    _name = "`client.embeddings`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    @shows(EmbeddingParams)
    async def create(self, **params: Unpack[EmbeddingParams]) -> CreateEmbeddingResponse:
        """Ask for vectors.

        Args:
            params: the arguments of the OpenAI SDK, and any other. Without `encoding_format` the vectors come
                as base64 and read as lists of floats.

        Raises:
            TypeError: without `input`.
            FairleadError: one of `fairlead.errors`.
        """
        given: Any = params
        need("input", given)
        reply: CreateEmbeddingResponse = await call(self._engine, _chosen(given), given)
        return reply

    @cached_property
    def with_raw_response(self) -> AsyncEmbeddingsWithRawResponse:
        """The same methods, returning replies with their HTTP side."""
        return AsyncEmbeddingsWithRawResponse(self._engine)


class AsyncEmbeddingsWithRawResponse(Resource):
    """Embeddings with their HTTP side."""

    _name = "`client.embeddings.with_raw_response`"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @shows(EmbeddingParams)
    async def create(self, **params: Unpack[EmbeddingParams]) -> APIResponse[CreateEmbeddingResponse]:
        """As `AsyncEmbeddings.create`."""
        given: Any = params
        need("input", given)
        reply: APIResponse[CreateEmbeddingResponse] = await call(self._engine, _chosen(given, True), given)
        return reply


class Embeddings(Resource):
    """Embeddings."""

    _name = "`client.embeddings`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    @shows(EmbeddingParams)
    def create(self, **params: Unpack[EmbeddingParams]) -> CreateEmbeddingResponse:
        """As `AsyncEmbeddings.create`; blocks, and can be interrupted by Ctrl-C."""
        given: Any = params
        need("input", given)
        reply: CreateEmbeddingResponse = self._engine.block(_chosen(given), given, current_scope())
        return reply

    @cached_property
    def with_raw_response(self) -> EmbeddingsWithRawResponse:
        """The same methods, returning replies with their HTTP side."""
        return EmbeddingsWithRawResponse(self._engine)


class EmbeddingsWithRawResponse(Resource):
    """Embeddings with their HTTP side."""

    _name = "`client.embeddings.with_raw_response`"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @shows(EmbeddingParams)
    def create(self, **params: Unpack[EmbeddingParams]) -> APIResponse[CreateEmbeddingResponse]:
        """As `Embeddings.create`."""
        given: Any = params
        need("input", given)
        reply: APIResponse[CreateEmbeddingResponse] = self._engine.block(
            _chosen(given, True), given, current_scope()
        )
        return reply
