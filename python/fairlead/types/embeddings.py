"""Embeddings."""

from array import array
from typing import Any, Literal

from ._base import BaseModel


class Embedding(BaseModel, vector="embedding"):
    """The vector of one input. Travels as base64, decoded when read, unless another form was asked for."""

    index: int
    embedding: list[float]
    object: Literal["embedding"]

    @property
    def buffer(self) -> memoryview:
        """The vector as 32-bit floats, for `numpy.frombuffer(e.buffer, "f4")` and the like."""
        return memoryview(array("f", self.embedding))

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As for every reply, with the vector decoded."""
        dumped = super().model_dump(**options)
        if "embedding" in dumped:
            dumped["embedding"] = self.embedding
        return dumped

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """As for every reply, with the vector decoded."""
        return super().model_dump_json(indent=indent, **options or {"mode": "json"})


class EncodedEmbedding(Embedding):
    """The vector of one input, in the form that was asked for."""

    embedding: Any


class EmbeddingUsage(BaseModel):
    """Tokens as the provider counted them."""

    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(BaseModel):
    """The vectors of all inputs."""

    data: list[Embedding]
    model: str
    object: Literal["list"]
    usage: EmbeddingUsage

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As for every reply, with the vectors decoded."""
        dumped = super().model_dump(**options)
        if "data" in dumped and self.data is not None:
            dumped["data"] = [entry.model_dump(**options) for entry in self.data]
        return dumped

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """As for every reply, with the vectors decoded."""
        return super().model_dump_json(indent=indent, **options or {"mode": "json"})


class EncodedEmbeddingResponse(CreateEmbeddingResponse):
    """The vectors of all inputs, in the form that was asked for."""

    data: list[EncodedEmbedding]  # type: ignore[assignment]
