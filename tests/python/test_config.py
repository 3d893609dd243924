"""What is wrong with a configuration shows when a client is made; the environment fills what is left out."""

from __future__ import annotations

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
