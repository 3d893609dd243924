"""Lists of models."""

from collections.abc import AsyncIterator, Iterator
from typing import Literal

from ._base import BaseModel


class Model(BaseModel):
    """A model that a provider offers, or one of the configuration.

    Only the latter have an `alias` (what the name stands for), a `description` and `capabilities`.
    """

    id: str
    created: int
    object: Literal["model"]
    owned_by: str
    alias: str | None
    description: str | None
    capabilities: list[str] | None


class ModelPage(BaseModel):
    """The models of a provider or of a configuration; iterate over it, or read `data`."""

    data: list[Model]
    object: Literal["list"]

    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data or ())

    async def __aiter__(self) -> AsyncIterator[Model]:
        for model in self:
            yield model

    def __len__(self) -> int:
        return len(self.data or ())

    def has_next_page(self) -> bool:
        """Providers send one page."""
        return False


class Anything(BaseModel):
    """The reply of a raw request. Its members are attributes and items."""
