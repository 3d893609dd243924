"""`client.models`: what a configuration holds is listed without asking anybody."""

from __future__ import annotations

import asyncio
from typing import Any

import fairlead
from fairlead.testing import Upstream

CONFIG: dict[str, Any] = {
    "models": {
        "smart": {
            "description": "for long thoughts",
            "capabilities": ["chat", "code"],
            "deployments": [{"provider": "ollama", "model": "up", "base_url": "http://127.0.0.1:9"}],
        },
        "best": "smart",
    },
}


def test_a_configuration_lists_its_models_and_sends_nothing() -> None:
    with fairlead.Client(CONFIG) as client:
        page = client.models.list()
        assert [model.id for model in page] == ["best", "smart"]
        best, smart = page.data
        assert (smart.description, smart.capabilities) == ("for long thoughts", ["chat", "code"])
        assert (best.alias, best.description, best.capabilities) == ("smart", None, None)
        assert {model.owned_by for model in page} == {"fairlead"}
        assert client.models.retrieve("smart") == smart
        assert client.stats()["calls"] == 0


def test_both_clients_list_the_same() -> None:
    async def listed() -> Any:
        async with fairlead.AsyncClient(CONFIG) as client:
            page = await client.models.list()
            assert [model async for model in client.models.list()] == list(page)
            assert await client.models.retrieve("best") == page.data[0]
            return page

    with fairlead.Client(CONFIG) as client:
        assert asyncio.run(listed()) == client.models.list() == client.models.configured()


def test_without_configured_models_the_provider_is_asked(up: Upstream) -> None:
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        assert list(client.models.list())
        assert len(up.requests) == 1
        assert list(client.models.configured()) == []


def test_the_provider_can_be_asked_all_the_same(up: Upstream) -> None:
    with fairlead.Client(CONFIG, api_key="k", base_url=up.base_url) as client:
        assert client.get("/models").data
        assert [request.path for request in up.requests] == ["/v1/models"]


def test_a_model_that_is_not_configured_is_asked_for(up: Upstream) -> None:
    with fairlead.Client(CONFIG, api_key="k", base_url=up.base_url) as client:
        client.models.retrieve("nobody")
        assert [request.path for request in up.requests] == ["/v1/models/nobody"]
