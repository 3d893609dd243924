"""`LLMClient`: what the environment says, checked before any network, and calls of the shape people wrote."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import fairlead
import pytest
from fairlead.compat import (
    NO_THINKING,
    LLMAssistantMessage,
    LLMClient,
    LLMSettings,
    LLMSystemMessage,
    LLMUserMessage,
)
from fairlead.testing import Upstream, fail, ok, stream

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
MESSAGES = [
    LLMSystemMessage("Be brief."),
    LLMUserMessage("Hello"),
    LLMAssistantMessage("Hi"),
    LLMUserMessage("?"),
]


@pytest.fixture(autouse=True)
def environment(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_MODEL")) or name in ("LLM", "TEMPERATURE", "MAX_TOKENS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LLM", "openrouter")
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-test")
    monkeypatch.setenv("OPENROUTER_BASE_URL", up.base_url)
    return monkeypatch


def done(call: Callable[[LLMClient], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with LLMClient.from_env() as client:
            return await call(client)

    return asyncio.run(main())


def test_text(up: Upstream, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OPENROUTER_MODEL", "anthropic/claude-3-haiku:beta")
    environment.setenv("TEMPERATURE", "0.7")
    environment.setenv("MAX_TOKENS", "2000")
    up.script = [ok("Hi."), ok("Ho.")]
    assert done(lambda client: client.generate(messages=MESSAGES)) == "Hi."
    assert up.requests[0].json() == {
        "model": "anthropic/claude-3-haiku:beta",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "?"},
        ],
        "temperature": 0.7,
        "max_tokens": 2000,
    }
    call = done(lambda client: client.generate("openai/gpt-4o-mini", "Hello", max_tokens=5, temperature=0))
    assert call == "Ho."
    body = up.requests[1].json()
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("openai/gpt-4o-mini", 5, 0)


def test_nothing_is_sent_that_nobody_said(up: Upstream) -> None:
    done(lambda client: client.generate(messages="Hello"))
    body = up.requests[0].json()
    assert body == {"model": "openrouter/auto", "messages": [{"role": "user", "content": "Hello"}]}
    assert up.requests[0].headers["authorization"] == "Bearer sk-or-v1-test"


def test_a_stream_of_text(up: Upstream) -> None:
    up.script = [stream("a b c")]

    async def pieces(client: LLMClient) -> list[str]:
        return [piece async for piece in client.stream("m", [LLMUserMessage("x")])]

    assert done(pieces) == ["a ", "b ", "c"]


def test_objects_whole_and_growing(up: Upstream) -> None:
    up.script = [ok('{"n": 7}'), ok('{"n": "x"}'), ok('{"n": 8}'), stream(['{"n": ', "9", "}"])]
    whole = {"type": "json_schema", "json_schema": {"name": "Answer", "schema": SCHEMA}}
    assert done(lambda client: client.generate_structured("m", MESSAGES, whole)) == {"n": 7}
    assert done(lambda client: client.generate_structured("m", MESSAGES, response_format=SCHEMA)) == {"n": 8}

    async def parts(client: LLMClient) -> list[Any]:
        return [part async for part in client.stream_structured("m", MESSAGES, SCHEMA)]

    assert done(parts)[-1] == {"n": 9}


def test_a_pydantic_class_gives_its_objects(up: Upstream) -> None:
    pydantic = pytest.importorskip("pydantic")
    answer = pydantic.create_model("Answer", n=(int, ...))
    up.script = [ok('{"n": 7}')]
    assert done(lambda client: client.generate_structured("m", MESSAGES, answer)) == answer(n=7)


@pytest.mark.parametrize(
    ("named", "provider"),
    [("openrouter", "openrouter"), ("DashScope", "dashscope"), ("claude", "anthropic"), ("google", "gemini")],
)
def test_thinking_is_switched_off_as_the_provider_wants_it(
    named: str, provider: str, up: Upstream, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LLM", named)
    environment.setenv(f"{provider.upper()}_API_KEY", "k")
    environment.setenv(f"{provider.upper()}_BASE_URL", up.base_url)
    environment.setenv(f"{provider.upper()}_MODEL", "house-model")
    environment.setenv("DISABLE_THINKING", "True")
    done(lambda client: client.generate("m", "x"))
    body = up.requests[0].json()
    assert {name: body.get(name) for name in NO_THINKING[provider]} == dict(NO_THINKING[provider])


@pytest.fixture
def openai(up: Upstream, environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of whoever calls OpenAI."""
    environment.setenv("LLM", "openai")
    environment.setenv("OPENAI_API_KEY", "k")
    environment.setenv("OPENAI_BASE_URL", up.base_url)
    environment.setenv("OPENAI_MODEL", "gpt-4o")
    return environment


def test_only_a_model_that_may_reason_is_told_not_to(up: Upstream, openai: pytest.MonkeyPatch) -> None:
    openai.setenv("DISABLE_THINKING", "true")
    for model in (None, "gpt-4o-mini", "openai/gpt-4o", "gpt-5.1", "house-model"):
        done(lambda client, model=model: client.generate(model, "x"))  # type: ignore[misc]
    told = [request.json().get("reasoning_effort") for request in up.requests]
    assert told == [None, None, None, "none", "none"]
    done(lambda client: client.generate("gpt-4o", "x", extra_body={"reasoning_effort": "low"}))
    assert up.requests[-1].json()["reasoning_effort"] == "low"


def test_variables_that_a_model_refuses_are_not_sent_to_it(
    up: Upstream, openai: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    openai.setenv("TEMPERATURE", "0.7")
    openai.setenv("OPENAI_MODEL", "gpt-5")
    with caplog.at_level("INFO", "fairlead"):
        done(lambda client: client.generate(messages="x"))
    assert "temperature" not in up.requests[0].json()
    assert "`TEMPERATURE` was not sent: openai/gpt-5 refuses it" in caplog.messages
    for model in ("gpt-4o", "house-model"):
        done(lambda client, model=model: client.generate(model, "x"))  # type: ignore[misc]
    done(lambda client: client.generate("gpt-5", "x", temperature=0.2))
    assert [request.json()["temperature"] for request in up.requests[1:]] == [0.7, 0.7, 0.2]


# ===== what is wrong is said before any network =====


def test_what_asks_nothing_is_refused(up: Upstream) -> None:
    for call in (
        lambda client: client.generate("m"),
        lambda client: client.generate_structured("m", response_format=SCHEMA),
    ):
        with pytest.raises(TypeError, match="`messages` is missing"):
            done(call)
    with pytest.raises(TypeError, match="`response_format` is missing"):
        done(lambda client: client.generate_structured("m", MESSAGES))
    assert up.requests == []


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai", "OPENAI_MODEL"),
        ("claude", "ANTHROPIC_MODEL"),
        ("ollama", "OLLAMA_MODEL"),
        ("openai-compatible", "OPENAI_COMPATIBLE_MODEL"),
        ("azure", "AZURE_OPENAI_DEPLOYMENT"),
        ("ollama-cloud", "OLLAMA_MODEL"),
    ],
)
def test_a_provider_without_a_default_model_wants_its_variable(
    provider: str, variable: str, up: Upstream, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LLM", provider)
    for prefix in ("OPENAI", "ANTHROPIC", "OLLAMA", "OPENAI_COMPATIBLE", "AZURE_OPENAI"):
        environment.setenv(f"{prefix}_API_KEY", "k")
        environment.setenv(f"{prefix}_BASE_URL", up.base_url)
    with pytest.raises(fairlead.ConfigError, match=f"`{variable}`: it must name the model") as caught:
        LLMClient()
    assert caught.value.problems[0].path == variable
    environment.setenv(variable, "house-model")
    LLMClient()
    assert up.requests == []


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OPENROUTER_API_KEY": ""}, ["OPENROUTER_API_KEY"]),
        ({"LLM": "presenton"}, ["LLM", "presenton"]),
        ({"TEMPERATURE": "2.1"}, ["TEMPERATURE", "0 to 2"]),
        ({"TEMPERATURE": "nan"}, ["TEMPERATURE"]),
        ({"TEMPERATURE": "warm"}, ["TEMPERATURE", "warm"]),
        ({"MAX_TOKENS": "0"}, ["MAX_TOKENS"]),
        ({"MAX_TOKENS": "12.5"}, ["MAX_TOKENS"]),
        ({"MAX_TOKENS": "inf"}, ["MAX_TOKENS"]),
        ({"DISABLE_THINKING": "maybe"}, ["DISABLE_THINKING"]),
        ({"LLM": "groq", "DISABLE_THINKING": "1"}, ["DISABLE_THINKING", "groq"]),
        ({"TEMPERATURE": "-1", "MAX_TOKENS": "many"}, ["TEMPERATURE", "MAX_TOKENS"]),
    ],
)
def test_variables_that_are_wrong_are_named_before_any_network(
    variables: dict[str, str], named: list[str], up: Upstream, environment: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    with pytest.raises(fairlead.ConfigError) as caught:
        LLMClient()
    assert all(word in str(caught.value) for word in named)
    assert up.requests == []


@pytest.mark.parametrize("named", ["openrouter", ""])
def test_a_blank_key_is_told_by_its_variable(
    named: str, up: Upstream, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LLM", named)
    environment.setenv("OPENROUTER_API_KEY", " ")
    with pytest.raises(fairlead.ConfigError, match="`OPENROUTER_API_KEY`"):
        LLMClient()


def test_anthropics_models_take_a_temperature_up_to_1(up: Upstream, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEMPERATURE", "1.5")
    assert LLMSettings.from_env().temperature == 1.5
    with pytest.raises(fairlead.ConfigError, match=r"`TEMPERATURE`: Anthropic's models take .* 0 to 1"):
        done(lambda client: client.generate("anthropic/claude-3-haiku", "x"))
    with pytest.raises(fairlead.ConfigError, match="`temperature`"):
        done(lambda client: client.generate("anthropic/claude-3-haiku", "x", temperature=1.2))
    assert up.requests == []
    done(lambda client: client.generate("openai/gpt-4o", "x"))
    assert up.requests[0].json()["temperature"] == 1.5


def test_without_LLM_the_provider_is_the_one_with_a_key(environment: pytest.MonkeyPatch) -> None:  # noqa: N802
    environment.delenv("LLM")
    assert LLMSettings.from_env().provider == "openrouter"
    environment.delenv("OPENROUTER_API_KEY")
    assert LLMSettings.from_env().provider == "openai"


def test_errors_are_classes_and_not_words(up: Upstream) -> None:
    up.script = [fail(429, retry_after=100), fail(402, "Insufficient credits")]
    with pytest.raises(fairlead.RateLimitError) as caught:
        done(lambda client: client.generate("m", "x"))
    assert caught.value.retry_after == 100
    with pytest.raises(fairlead.QuotaExceeded):
        done(lambda client: client.generate("m", "x"))


def test_a_client_and_settings_can_be_given(up: Upstream) -> None:
    async def main() -> str:
        given = fairlead.AsyncClient(api_key="k", base_url=up.base_url)
        async with LLMClient(given, settings=LLMSettings("openai", max_tokens=3)) as client:
            return await client.generate("m", "x y")

    assert asyncio.run(main()) == "x y"
    assert up.requests[0].json()["max_tokens"] == 3
