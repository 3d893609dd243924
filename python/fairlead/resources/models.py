"""`client.models`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Unpack

from .._call import call
from .._core import Endpoint, Engine
from ..options import current_scope
from ..types.models import Model, ModelPage
from ..types.params import RequestOptions

_LIST = Endpoint("models", ModelPage)


class AsyncModelList:
    """A list that was asked for: await it for the page, or iterate over its models with `async for`."""

    def __init__(self, engine: Engine, params: dict[str, Any]) -> None:
        self._engine = engine
        self._params = params

    def __await__(self) -> Generator[Any, None, ModelPage]:
        return call(self._engine, _LIST, self._params).__await__()

    async def __aiter__(self) -> Any:
        for model in await self:
            yield model


class AsyncModels:
    """Models."""

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    def list(self, **params: Unpack[RequestOptions]) -> AsyncModelList:
        """The models that the provider offers.

        Raises:
            FairleadError: one of `fairlead.errors`, when awaited.
        """
        given: Any = params
        return AsyncModelList(self._engine, given)

    async def retrieve(self, model: str, **params: Unpack[RequestOptions]) -> Model:
        """One model.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        given: Any = params
        reply: Model = await call(self._engine, Endpoint("GET", Model, path=f"/models/{model}"), given)
        return reply


class Models:
    """Models."""

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    def list(self, **params: Unpack[RequestOptions]) -> ModelPage:
        """The models that the provider offers.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        given: Any = params
        reply: ModelPage = self._engine.block(_LIST, given, current_scope())
        return reply

    def retrieve(self, model: str, **params: Unpack[RequestOptions]) -> Model:
        """One model.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        given: Any = params
        endpoint = Endpoint("GET", Model, path=f"/models/{model}")
        reply: Model = self._engine.block(endpoint, given, current_scope())
        return reply
