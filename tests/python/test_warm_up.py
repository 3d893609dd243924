"""Warming up: both twins, the router, and nothing that fails a start-up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fairlead
import pytest
import trustme
from fairlead.testing import Upstream, fail, ok
from fairlead.types import Warmed


def config(*places: str, **more: Any) -> dict[str, Any]:
    deployments = [
        {"id": f"d{number}", "provider": "openai", "model": "gpt-4o-mini", "base_url": place, "api_key": "k"}
        for number, place in enumerate(places, 1)
    ]
    return {"models": {"m": {"deployments": deployments}}, **more}


def blocking(client: fairlead.Client, **options: Any) -> list[Warmed]:
    return client.warm_up(**options)


def awaited(client: fairlead.Client, **options: Any) -> list[Warmed]:
    return asyncio.run(client._twin(fairlead.AsyncClient).warm_up(**options))


WAYS = pytest.mark.parametrize("warm_up", [blocking, awaited])
WarmUp = Callable[..., list[Warmed]]


@WAYS
def test_the_first_call_goes_over_the_connection_that_was_opened_ahead(up: Upstream, warm_up: WarmUp) -> None:
    with fairlead.Client(config(up.base_url)) as client:
        results = warm_up(client)
        assert [(one.deployment, one.ok, one.error) for one in results] == [("d1", True, None)]
        assert 0.0 < results[0].seconds < 10.0
        assert up.requests == []
        client.generate("m", "hi")
        assert up.connections_total == 1
        assert client.stats()["calls"] == 1


@WAYS
def test_tls_is_ready_too(warm_up: WarmUp, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with (
        Upstream(tls=context) as up,
        fairlead.Client(base_url=up.base_url, api_key="k", ca=tmp_path / "ca.pem") as client,
    ):
        assert [one.ok for one in warm_up(client)] == [True]
        client.generate("m", "hi")
        assert up.connections_total == 1


@WAYS
def test_a_failing_deployment_fails_nothing(up: Upstream, warm_up: WarmUp) -> None:
    up.at("bad").reply = fail(500)
    with fairlead.Client(config(up.base_url, up.url("bad"), "http://127.0.0.1:9/v1")) as client:
        connected = warm_up(client)
        assert [one.ok for one in connected] == [True, True, False]
        pinged = warm_up(client, ping=True, models=["m", "nobody"])
        assert [(one.deployment, one.ok) for one in pinged] == [
            ("d1", True),
            ("d2", False),
            ("d3", False),
            ("nobody", False),
        ]
        assert all(one.error for one in pinged if not one.ok)


@WAYS
def test_pings_count_for_nothing_but_money(up: Upstream, warm_up: WarmUp) -> None:
    up.reply = ok("p", usage={"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9})
    told: list[Any] = []
    with fairlead.Client(config(up.base_url), on_event=told.append) as client:
        assert [one.ok for one in warm_up(client, ping=True)] == [True]
        body = up.requests[0].json()
        assert body["max_tokens"] == 1
        stats = client.stats()
        assert (stats["total_requests"], stats["attempts"], stats["deployments"]["d1"]["requests"]) == (
            0,
            0,
            0,
        )
        assert stats["cost_nanos"] == 8 * 150 + 600
        client.generate("m", "hi")
        assert up.connections_total == 1
    assert len(told) <= 1


@WAYS
def test_it_is_bounded_in_time(warm_up: WarmUp) -> None:
    # A host that takes connections and never says anything.
    with Upstream() as up:
        up.reply = fairlead.testing.hang()
        with fairlead.Client(config(up.base_url, warm_up={"ping": True, "timeout": 0.3})) as client:
            result = warm_up(client)
            assert [(one.ok, one.seconds < 20.0) for one in result] == [(False, True)]
            assert "deadline" in (result[0].error or "")
        up.abandon()


def test_cancelling_ends_it() -> None:
    async def main() -> None:
        with Upstream() as up:
            up.reply = fairlead.testing.hang()
            async with fairlead.AsyncClient(config(up.base_url)) as client:
                task = asyncio.create_task(client.warm_up(ping=True, timeout=60))
                while not up.requests:
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            up.abandon()

    asyncio.run(main())


def test_arguments_that_are_none_raise(up: Upstream) -> None:
    client = fairlead.Client(config(up.base_url))
    for wrong in ({"timeout": 0}, {"timeout": float("nan")}, {"concurrency": 0}):
        with pytest.raises(ValueError, match="expected"):
            client.warm_up(**wrong)
    client.close()
    with pytest.raises(fairlead.ClientClosed):
        client.warm_up()


def test_the_router_has_both(up: Upstream) -> None:
    router = fairlead.Router(config(up.base_url))
    assert [one.ok for one in router.warm_up()] == [True]
    assert [one.ok for one in asyncio.run(router.awarm_up(models="m"))] == [True]
    assert router.stats()["now"]["connections_open"] == 1
    router.close()
