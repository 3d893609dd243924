"""Lists of models."""

from collections.abc import Iterator
from typing import Literal

from ._base import BaseModel


class Model(BaseModel):
    """A model that a provider offers."""

    id: str
    created: int
    object: Literal["model"]
    owned_by: str


class ModelPage(BaseModel):
    """The models that a provider offers; iterate over it, or read `data`."""

    data: list[Model]
    object: Literal["list"]

    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.data or ())

    def __len__(self) -> int:
        return len(self.data or ())

    def has_next_page(self) -> bool:
        """Providers send one page."""
        return False


class Anything(BaseModel):
    """The reply of a raw request. Its members are attributes and items."""
