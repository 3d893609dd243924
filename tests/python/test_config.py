"""What is wrong with a configuration shows when a client is made; the environment fills what is left out."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import fairlead
import pytest
from fairlead.testing import Upstream


@pytest.mark.parametrize(
    "config",
    [
        {"client": {"provider": "bedrock", "api_key": "k"}},
        {"providers": {"mine": {"preset": "bedrock", "base_url": "http://127.0.0.1:1"}}},
        {"models": {"m": {"deployments": [{"provider": "bedrock", "model": "m", "api_key": "k"}]}}},
    ],
)
def test_a_provider_whose_dialect_is_missing_fails_at_construction(config: dict[str, Any]) -> None:
    with pytest.raises(fairlead.ConfigError, match=r"bedrock\.converse"):
        fairlead.Client(config)


def test_a_datetime_is_a_moment_if_it_has_a_time_zone() -> None:
    def config(start: datetime, until: datetime) -> dict[str, Any]:
        deployments = [{"provider": "openai", "model": "m", "api_key": [{"key": "k", "not_after": until}]}]
        canary = {"model": "b", "start": start, "steps": [{"percent": 100}]}
        models = {"a": {"deployments": deployments, "canary": canary}, "b": {"deployments": deployments}}
        return {"models": models}

    ahead = datetime.now(UTC) + timedelta(days=1)
    east = timezone(timedelta(hours=8))
    with fairlead.Client(config(datetime(2020, 1, 1, tzinfo=east), ahead)) as client:
        assert client.route("hi", model="a").model == "b"
    with fairlead.Client(config(ahead.astimezone(east), ahead)) as client:
        assert client.route("hi", model="a").model == "a"
    with pytest.raises(fairlead.ConfigError, match=r"`models\.a\.canary\.start`: .*without a time zone.*UTC"):
        fairlead.Client(config(datetime(2026, 1, 1), ahead))


def test_a_missing_key_fails_at_construction_where_the_provider_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(fairlead.ConfigError, match="GROQ_API_KEY"):
        fairlead.Client(provider="groq")


def test_a_model_left_out_is_the_one_that_a_providers_variable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream() as upstream:
        monkeypatch.setenv("OPENROUTER_API_KEY", "k")
        monkeypatch.setenv("OPENROUTER_BASE_URL", upstream.base_url)
        monkeypatch.setenv("OPENROUTER_MODEL", "anthropic/claude-3-haiku:beta")
        for name in ("OPENAI_MODEL", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        with fairlead.Client({"providers": {"openrouter": {"base_url": upstream.base_url}}}) as client:
            reply = client.chat.completions.create(messages=[{"role": "user", "content": "x"}])
        assert reply.fairlead.deployment == "openrouter/anthropic/claude-3-haiku:beta"
        assert upstream.requests[-1].json()["model"] == "anthropic/claude-3-haiku:beta"


def test_all_faults_of_a_configuration_are_told_at_once() -> None:
    deployments = [{"provider": "opnai", "model": "m"}, {"provider": "openai", "api_key": "k"}]
    config = {"models": {"m": {"deployments": deployments, "fallbacks": ["gone"]}}}
    with pytest.raises(fairlead.ConfigError) as raised:
        fairlead.Client(config)
    sentence = str(raised.value)
    for fault in ("deployments[0].provider", "did you mean `openai`?", "deployments[1].model", "`gone`"):
        assert fault in sentence


@pytest.mark.parametrize("made", [fairlead.Client, fairlead.AsyncClient, fairlead.Router])
def test_a_key_that_is_passed_by_position_is_not_repeated(made: Any) -> None:
    key = "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
    with pytest.raises(fairlead.ConfigError, match=r"`config`: this looks like a key.*`api_key`") as caught:
        made(key)
    assert key not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)
