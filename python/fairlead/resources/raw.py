"""`client.with_raw_response`: the resources, returning replies with their HTTP side."""

from __future__ import annotations

from .chat import AsyncChat, AsyncChatWithRawResponse, Chat, ChatWithRawResponse
from .embeddings import AsyncEmbeddings, AsyncEmbeddingsWithRawResponse, Embeddings, EmbeddingsWithRawResponse
from .models import AsyncModels, AsyncModelsWithRawResponse, Models, ModelsWithRawResponse
from .resource import Resource


class AsyncWithRawResponse(Resource):
    """All resources of an `AsyncClient`, with the HTTP side of their replies."""

    _name = "`client.with_raw_response`"

    def __init__(self, chat: AsyncChat, embeddings: AsyncEmbeddings, models: AsyncModels) -> None:
        self.chat: AsyncChatWithRawResponse = chat.with_raw_response
        """Chat completions."""
        self.embeddings: AsyncEmbeddingsWithRawResponse = embeddings.with_raw_response
        """Embeddings."""
        self.models: AsyncModelsWithRawResponse = models.with_raw_response
        """Models."""


class WithRawResponse(Resource):
    """All resources of a `Client`, with the HTTP side of their replies."""

    _name = "`client.with_raw_response`"

    def __init__(self, chat: Chat, embeddings: Embeddings, models: Models) -> None:
        self.chat: ChatWithRawResponse = chat.with_raw_response
        """Chat completions."""
        self.embeddings: EmbeddingsWithRawResponse = embeddings.with_raw_response
        """Embeddings."""
        self.models: ModelsWithRawResponse = models.with_raw_response
        """Models."""
