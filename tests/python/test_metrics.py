"""What operators read: Prometheus' own parser takes the text, and the numbers are those of the calls."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from pathlib import Path
from typing import Any, get_type_hints

import fairlead
import pytest
from fairlead.testing import Upstream, fail, ok, stream
from fairlead.types import DeploymentStats, Stats
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
SHIPPED = Path(__file__).parents[2] / "examples" / "observability"
MESSAGES = [{"role": "user", "content": "hi"}]


def config(*places: str, **more: Any) -> dict[str, Any]:
    deployments = [
        {"id": f"d{number}", "provider": "openai", "model": "gpt-4o-mini", "base_url": place, "api_key": "k"}
        for number, place in enumerate(places, 1)
    ]
    return {"models": {"m": {"deployments": deployments}}, **more}


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(text: str, name: str, **labels: str) -> float:
    """The one sample with these labels; 0 where there is none."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
    assert len(found) <= 1, found
    return found[0] if found else 0.0


def test_prometheus_parser_takes_the_text(up: Upstream) -> None:
    up.script = [fail(503), ok("hi"), stream("ab"), fail(400)]
    with fairlead.Client(
        config(up.base_url, up.base_url, metrics={"tenant_label": True}), on_event=lambda receipt: None
    ) as client:
        client.chat.completions.create(model="m", messages=MESSAGES, fairlead={"tenant": 'a\\b"c}'})
        list(client.stream("m", "hi"))
        with pytest.raises(fairlead.BadRequestError):
            client.generate("m", "hi")
        text = client.metrics_text()
    found = families(text)
    for name, family in found.items():
        assert name.startswith("fairlead_"), name
        assert family.type in ("counter", "gauge", "histogram"), name
        assert family.documentation, name
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    counters = [line.split()[2] for line in text.splitlines() if line.endswith(" counter")]
    assert len(names) == len(set(names)) == len(found)
    assert all(name.endswith("_total") for name in counters)
    assert text.endswith("\n")
    for family in found.values():
        if family.type == "histogram":
            buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
            assert {sample.labels["le"] for sample in buckets} >= ({"+Inf"} if buckets else set())
    assert value(text, "fairlead_calls_total", model="m", outcome="ok") == 2
    assert value(text, "fairlead_calls_total", model="m", outcome="bad_request") == 1
    assert value(text, "fairlead_attempts_total", deployment="d1", **{"class": "transient"}, code="503") == 1
    assert value(text, "fairlead_retries_total", reason="transient", outcome="ok") == 1
    assert value(text, "fairlead_tenant_calls_total", tenant='a\\b"c}', outcome="ok") == 1


def test_both_clients_and_the_router_show_the_same(up: Upstream) -> None:
    router = fairlead.Router(config(up.base_url))
    router.complete("hi", model="m")
    router.client.generate("m", "hi")
    asyncio.run(router.async_client.generate("m", "hi"))
    texts = [face.metrics_text() for face in (router, router.client, router.async_client)]
    assert [value(text, "fairlead_calls_total", model="m", outcome="ok") for text in texts] == [3, 3, 3]
    assert router.stats()["total_requests"] == 3
    router.close()
    assert value(router.metrics_text(), "fairlead_calls_total", model="m", outcome="ok") == 3


def test_counts_go_on_over_a_reload(up: Upstream) -> None:
    with fairlead.Client(config(up.base_url)) as client:
        client.generate("m", "hi")
        assert client.reload(config(up.base_url, up.base_url))
        client.generate("m", "hi")
        assert value(client.metrics_text(), "fairlead_calls_total", model="m", outcome="ok") == 2
        assert client.stats()["deployments"]["d1"]["requests"] == 2
        assert client.stats()["deployments"]["d2"]["requests"] == 0


def test_statistics_have_the_shape_they_are_typed_with(up: Upstream) -> None:
    up.script = [ok("hi"), stream("ab"), fail(429), ok("hi")]
    with fairlead.Client(config(up.base_url, up.base_url)) as client:
        fresh = client.stats()
        assert (fresh["success_rate"], fresh["average_latency"]) == (None, None)
        assert fresh["percentiles"] == {"latency": None, "time_to_first_token": None}
        client.generate("m", "hi")
        list(client.stream("m", "hi"))
        client.generate("m", "hi")
        stats = client.stats()
    assert set(stats) == set(get_type_hints(Stats))
    assert (stats["total_requests"], stats["success_rate"]) == (3, 1.0)
    assert stats["model_distribution"] == {"m": 3}
    assert stats["average_latency"] is not None
    assert 0.0 < stats["average_latency"] < 60.0
    for percentiles in (stats["percentiles"]["latency"], stats["percentiles"]["time_to_first_token"]):
        assert percentiles is not None
        assert 0.0 < percentiles["p50"] <= percentiles["p90"] <= percentiles["p95"] <= percentiles["p99"]
    one, two = stats["deployments"]["d1"], stats["deployments"]["d2"]
    assert set(one) == set(get_type_hints(DeploymentStats))
    assert one["requests"] + two["requests"] == 4
    assert (one["failures"], one["throttles"], one["in_flight"], one["breaker"]) == (1, 1, 0, "closed")
    assert one["latency"] is not None


def test_f126_a_hook_that_raises_or_blocks_leaves_calls_unaffected(up: Upstream) -> None:
    entered, release = threading.Event(), threading.Event()

    def blocking(receipt: fairlead.types.Receipt) -> None:
        entered.set()
        release.wait(30)

    def broken(receipt: fairlead.types.Receipt) -> None:
        raise RuntimeError("a hook that fails harms nobody")

    with fairlead.Client(config(up.base_url), on_event=[broken, blocking]) as client:
        client.generate("m", "hi")
        assert entered.wait(10)
        # The hook's thread hangs from here on; calls do not notice, and none waits for it.
        began = time.monotonic()
        for _ in range(20):
            client.generate("m", "hi")
        took = time.monotonic() - began
        assert client.stats()["hook_errors"] == 1
        assert took < 20.0, "a hook that blocks for 30 s held up calls"
        assert not release.is_set()
        release.set()
        deadline = time.monotonic() + 20
        while client.stats()["hook_errors"] < 21 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.stats()["hook_errors"] == 21
        assert value(client.metrics_text(), "fairlead_hook_errors_total") == 21
        assert value(client.metrics_text(), "fairlead_hook_dropped_total") == 0
        assert client.stats()["succeeded"] == 21


def test_dashboard_and_alerts_ask_for_what_there_is(up: Upstream) -> None:
    with fairlead.Client(config(up.base_url)) as client:
        client.generate("m", "hi")
        known = {line.split()[2] for line in client.metrics_text().splitlines() if line.startswith("# TYPE")}
    json.loads((SHIPPED / "dashboard.json").read_text(encoding="utf-8"))
    for name in ("dashboard.json", "alerts.yml"):
        text = (SHIPPED / name).read_text(encoding="utf-8")
        asked = {found.removesuffix("_bucket") for found in re.findall(r"\bfairlead_\w+", text)}
        assert len(asked) > 5
        assert asked - known == set(), name


def test_the_page_names_every_family_and_no_other(up: Upstream) -> None:
    tenants = {"tenant_label": True}
    with fairlead.Client(config(up.base_url, metrics=tenants), on_event=lambda receipt: None) as client:
        client.chat.completions.create(model="m", messages=MESSAGES, fairlead={"tenant": "acme"})
        text = client.metrics_text()
    written = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `fairlead_")]
    named = {row.split("`")[1] for row in rows}
    assert named == written
