"""`client.models`: those of the configuration, or else what the provider offers."""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from typing import Any, Unpack

from .._call import call
from .._core import Endpoint, Engine
from ..options import current_scope
from ..response import APIResponse
from ..types.models import Model, ModelPage
from ..types.params import RequestOptions
from .resource import Resource

_LIST = Endpoint("models", ModelPage)
_LIST_RAW = Endpoint("models", ModelPage, raw=APIResponse)


def _one(model: str, **kind: Any) -> Endpoint:
    return Endpoint("GET", Model, path=f"/models/{model}", **kind)


def configured(engine: Engine) -> ModelPage | None:
    """The models of the configuration, if it has any."""
    page = engine.models()
    return None if page is None else ModelPage.model_validate_json(page)


def _named(engine: Engine, name: str) -> Model | None:
    return next((model for model in configured(engine) or () if model.id == name), None)


class AsyncModelList:
    """A list that was asked for: await it for the page, or iterate over its models with `async for`."""

    def __init__(self, engine: Engine, params: dict[str, Any]) -> None:
        self._engine = engine
        self._params = params

    def __await__(self) -> Generator[Any, None, ModelPage]:
        return self._page().__await__()

    async def _page(self) -> ModelPage:
        own = configured(self._engine)
        if own is not None:
            return own
        page: ModelPage = await call(self._engine, _LIST, self._params)
        return page

    async def __aiter__(self) -> Any:
        for model in await self:
            yield model


class AsyncModels(Resource):
    """Models."""

    _name = "`client.models`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    def configured(self) -> ModelPage:
        """The models of the configuration alone; nothing is ever sent."""
        return configured(self._engine) or ModelPage.model_validate({"object": "list", "data": []})

    def list(self, **params: Unpack[RequestOptions]) -> AsyncModelList:
        """The models of the configuration; where it has none, those that the provider offers.

        Raises:
            FairleadError: one of `fairlead.errors`, when awaited.
        """
        given: Any = params
        return AsyncModelList(self._engine, given)

    async def retrieve(self, model: str, **params: Unpack[RequestOptions]) -> Model:
        """One model of the configuration, else of the provider.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        own = _named(self._engine, model)
        if own is not None:
            return own
        given: Any = params
        reply: Model = await call(self._engine, _one(model), given)
        return reply

    @cached_property
    def with_raw_response(self) -> AsyncModelsWithRawResponse:
        """The same methods, returning replies with their HTTP side: the provider is always asked."""
        return AsyncModelsWithRawResponse(self._engine)


class AsyncModelsWithRawResponse(Resource):
    """The provider's models with the HTTP side of the replies; the configuration's have none."""

    _name = "`client.models.with_raw_response`"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list(self, **params: Unpack[RequestOptions]) -> APIResponse[ModelPage]:
        """The models that the provider offers.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        given: Any = params
        reply: APIResponse[ModelPage] = await call(self._engine, _LIST_RAW, given)
        return reply

    async def retrieve(self, model: str, **params: Unpack[RequestOptions]) -> APIResponse[Model]:
        """One model of the provider.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        given: Any = params
        reply: APIResponse[Model] = await call(self._engine, _one(model, raw=APIResponse), given)
        return reply


class Models(Resource):
    """Models."""

    _name = "`client.models`"

    def __init__(self, client: Any, engine: Engine) -> None:
        self._client = client
        self._engine = engine

    def configured(self) -> ModelPage:
        """The models of the configuration alone; nothing is ever sent."""
        return configured(self._engine) or ModelPage.model_validate({"object": "list", "data": []})

    def list(self, **params: Unpack[RequestOptions]) -> ModelPage:
        """As `AsyncModels.list`.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        own = configured(self._engine)
        if own is not None:
            return own
        given: Any = params
        reply: ModelPage = self._engine.block(_LIST, given, current_scope())
        return reply

    def retrieve(self, model: str, **params: Unpack[RequestOptions]) -> Model:
        """One model of the configuration, else of the provider.

        Raises:
            FairleadError: one of `fairlead.errors`.
        """
        own = _named(self._engine, model)
        if own is not None:
            return own
        given: Any = params
        reply: Model = self._engine.block(_one(model), given, current_scope())
        return reply

    @cached_property
    def with_raw_response(self) -> ModelsWithRawResponse:
        """The same methods, returning replies with their HTTP side: the provider is always asked."""
        return ModelsWithRawResponse(self._engine)


class ModelsWithRawResponse(Resource):
    """As `AsyncModelsWithRawResponse`, for threads that block."""

    _name = "`client.models.with_raw_response`"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, **params: Unpack[RequestOptions]) -> APIResponse[ModelPage]:
        """As `AsyncModelsWithRawResponse.list`."""
        given: Any = params
        reply: APIResponse[ModelPage] = self._engine.block(_LIST_RAW, given, current_scope())
        return reply

    def retrieve(self, model: str, **params: Unpack[RequestOptions]) -> APIResponse[Model]:
        """As `AsyncModelsWithRawResponse.retrieve`."""
        given: Any = params
        endpoint = _one(model, raw=APIResponse)
        reply: APIResponse[Model] = self._engine.block(endpoint, given, current_scope())
        return reply
