"""`FairleadEmbeddings`: LangChain's embeddings on the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field, model_validator

from ..errors import FairleadError
from ._arguments import EngineArguments
from ._errors import as_langchain
from ._names import in_our_names


class FairleadEmbeddings(EngineArguments, Embeddings):
    """Embeddings of LangChain whose calls run through the engine.

    ```python
    from fairlead.langchain import FairleadEmbeddings

    embeddings = FairleadEmbeddings(model="text-embedding-3-small")
    vectors = embeddings.embed_documents(["one", "two"])
    ```

    Vectors travel as base64, in the order of the texts. One instance serves all threads and event loops.
    """

    model: str | None = Field(default=None, alias="model_name")
    """The model as a call names it; left out, the configuration decides."""
    dimensions: int | None = None
    """Length of the vectors, where the model lets one choose."""
    chunk_size: int = Field(default=512, gt=0)
    """Texts in one request; providers take 96 to 2,048."""
    max_concurrency: int = Field(default=4, gt=0)
    """Requests at once of one `aembed_documents`."""
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of every request, also `fairlead={...}`."""

    model_config = ConfigDict(
        populate_by_name=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, values: dict[str, Any]) -> Any:
        return in_our_names(cls.__name__, values, {*cls.model_fields, "model_name"})

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in their order.

        Raises:
            FairleadError: one of `fairlead.errors`, which is a `ModelError` too.
        """
        vectors: list[list[float]] = []
        for batch in self._batches(texts):
            try:
                reply = self._engines().blocking.embeddings.create(**self._request(batch))
            except FairleadError as error:
                as_langchain(error)
                raise
            vectors += _vectors(reply)
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text.

        Raises:
            FairleadError: one of `fairlead.errors`, which is a `ModelError` too.
        """
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As `embed_documents`, `max_concurrency` requests at once. When one fails the others are ended."""
        turn = asyncio.Semaphore(self.max_concurrency)
        tasks = [asyncio.ensure_future(self._embedded(batch, turn)) for batch in self._batches(texts)]
        try:
            return [vector for vectors in await asyncio.gather(*tasks) for vector in vectors]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def aembed_query(self, text: str) -> list[float]:
        """As `embed_query`, awaited."""
        return (await self.aembed_documents([text]))[0]

    async def _embedded(self, batch: Sequence[str], turn: asyncio.Semaphore) -> list[list[float]]:
        async with turn:
            try:
                return _vectors(await self._engines().awaited.embeddings.create(**self._request(batch)))
            except FairleadError as error:
                as_langchain(error)
                raise

    def _batches(self, texts: Sequence[str]) -> list[Sequence[str]]:
        return [texts[start : start + self.chunk_size] for start in range(0, len(texts), self.chunk_size)]

    def _request(self, batch: Sequence[str]) -> dict[str, Any]:
        given = {"model": self.model, "dimensions": self.dimensions, "timeout": self.timeout}
        request: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        request.update(self.model_kwargs, input=list(batch))
        if self.max_retries is not None:
            request["fairlead"] = {"max_retries": self.max_retries, **(request.get("fairlead") or {})}
        if self.default_headers:
            request["extra_headers"] = {**self.default_headers, **(request.get("extra_headers") or {})}
        return request


def _vectors(reply: Any) -> list[list[float]]:
    """The vectors of a reply in the order of its inputs, whatever order it has them in."""
    place: Callable[[Any], int] = lambda entry: entry.index or 0  # noqa: E731
    return [list(entry.embedding) for entry in sorted(reply.data, key=place)]
