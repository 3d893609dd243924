"""Files of other routers, loaded as they are: where their calls go, and that they get there."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead.testing import Reply, Upstream, fail, ok

# ===== one endpoint and one key a model, rules with weights =====

SHARED = Path(os.environ.get("FAIRLEAD_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus").parent
ORIGINAL = SHARED / "ark-config.jsonc"
KEYS = ("VOLCANO_ARK_API_KEY_GENERAL", "VOLCANO_ARK_API_KEY_CODE", "VOLCANO_ARK_API_KEY_FAST")

LIKE_IT = """{
  "router_config": {"strategy": "rule_based", "default_model": "volcano-ark-general"},
  "models": [ // an endpoint, a key and a bound each
    {"model_id": "volcano-ark-general", "endpoint": "URL/chat/completions",
     "api_key_env_var": "VOLCANO_ARK_API_KEY_GENERAL", "max_tokens": 4096, "cost_per_token": 0.00002},
    {"model_id": "volcano-ark-code", "endpoint": "URL/chat/completions",
     "api_key_env_var": "VOLCANO_ARK_API_KEY_CODE", "max_tokens": 8192, "upstream_model": "ep-code"},
    {"model_id": "volcano-ark-fast", "endpoint": "URL/chat/completions",
     "api_key_env_var": "VOLCANO_ARK_API_KEY_FAST", "max_tokens": 2048, "priority": 1},
  ],
  "routing_rules": [
    {"name": "code", "condition": "contains(user_input, '代码') OR contains(user_input, 'def ')",
     "target_model": "volcano-ark-code", "weight": 0.9},
    {"name": "hurry", "condition": "user_metadata.get('require_fast_response') == 'true'",
     "target_model": "volcano-ark-fast", "weight": 1.0},
    {"name": "rest", "condition": "true", "target_model": "volcano-ark-general", "weight": 0.1},
  ],
}"""

SORT, WEATHER, HURRY = "帮我写一个Python快速排序函数", "今天的天气怎么样", "我需要快速回答"
FAST = {"require_fast_response": "true"}


@pytest.fixture(params=["like it", "the original"])
def rules(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of this kind; the original lies outside the project."""
    for name in KEYS:
        monkeypatch.setenv(name, name.lower())
    if request.param == "like it":
        return written(tmp_path, "http://127.0.0.1:9/api/v3")
    if not ORIGINAL.is_file():
        pytest.skip(f"no {ORIGINAL.name} in {SHARED}; FAIRLEAD_CORPUS says where its folder is")
    return ORIGINAL


def written(folder: Path, url: str) -> Path:
    file = folder / "rules.jsonc"
    file.write_text(LIKE_IT.replace("URL", url), encoding="utf-8")
    return file


def chosen(router: fairlead.Router, *queries: tuple[str, dict[str, str]]) -> list[str]:
    found = [router.route(text, metadata=metadata).model for text, metadata in queries]
    return [model.removeprefix("volcano-ark-") for model in found]


def test_calls_go_where_the_rules_say_and_not_where_their_words_look_like_it(rules: Path) -> None:
    router = fairlead.Router(rules)
    assert chosen(router, (SORT, FAST), (WEATHER, {}), (HURRY, FAST)) == ["fast", "general", "fast"]
    assert chosen(router, (SORT, {}), (WEATHER, {}), (HURRY, {})) == ["general"] * 3
    router.close()


def test_every_keyword_of_a_condition_counts_and_in_its_own_case(rules: Path) -> None:
    router = fairlead.Router(rules)
    assert chosen(router, ("写一段代码", {}), ("def f():", {}), ("DEF F():", {})) == [
        "code",
        "code",
        "general",
    ]
    router.close()


def test_where_two_rules_hold_the_heavier_decides(rules: Path) -> None:
    router = fairlead.Router(rules)
    assert chosen(router, ("写一段代码", FAST), ("def f():", FAST)) == ["fast", "fast"]
    router.close()


def test_metadata_of_another_kind_does_not_match_and_is_no_error(rules: Path) -> None:
    router = fairlead.Router(rules)
    others: list[dict[str, Any]] = [{"require_fast_response": "yes"}, {"other": "true"}, {}]
    assert chosen(router, *((WEATHER, one) for one in others)) == ["general"] * 3
    router.close()


def test_all_missing_keys_are_told_at_once(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    with pytest.raises(fairlead.ConfigError) as caught:
        fairlead.Router.from_file(rules)
    assert [name for name in KEYS if name in str(caught.value)] == list(KEYS)
    assert len(caught.value.problems) == 3


def test_a_model_of_another_name_is_not_found_and_the_nearest_is_told(rules: Path) -> None:
    router = fairlead.Router(rules)
    with pytest.raises(fairlead.ModelNotFound, match="volcano-ark-code"):
        router.route("hi", model="volcano-ark-cod")
    router.close()


@pytest.fixture
def router(up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fairlead.Router:
    for name in KEYS:
        monkeypatch.setenv(name, name.lower())
    return fairlead.Router(written(tmp_path, up.base_url), num_retries=0)


def test_a_query_is_routed_asked_and_answered_with_text(router: fairlead.Router, up: Upstream) -> None:
    assert router.complete("def f():", temperature=0.3) == "def f():"
    assert asyncio.run(router.acomplete(WEATHER, metadata=FAST)) == WEATHER
    code, fast = up.requests
    assert code.json() == {
        "model": "ep-code",
        "messages": [{"role": "user", "content": "def f():"}],
        "temperature": 0.3,
    }, "nothing that nobody set"
    assert (code.path, code.headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEYS[1].lower()}")
    assert fast.model == "volcano-ark-fast"
    assert "max_tokens" not in fast.json()
    router.close()


def test_models_at_one_address_share_its_connections(router: fairlead.Router, up: Upstream) -> None:
    for text, metadata in (("def f():", {}), (WEATHER, FAST), (WEATHER, {})):
        router.complete(text, metadata=metadata)
    assert len({request.headers["authorization"] for request in up.requests}) == 3
    assert {request.connection for request in up.requests} == {up.requests[0].connection}
    router.close()


def test_a_routed_stream_is_one(router: fairlead.Router, up: Upstream) -> None:
    chunks = list(router.completion(messages="def f():", stream=True))
    assert len(chunks) > 1
    assert up.requests[0].json()["stream"] is True
    router.close()


@pytest.mark.parametrize("reply", [Reply(body=b"<html>"), Reply(body=b"{}"), Reply(body=b'{"choices": []}')])
def test_a_reply_of_another_form_is_an_error_and_never_text(
    reply: Reply, router: fairlead.Router, up: Upstream
) -> None:
    up.reply = reply
    with pytest.raises(fairlead.FairleadError):
        router.complete(WEATHER)
    router.close()


def test_what_a_reply_says_of_its_route(router: fairlead.Router) -> None:
    reply = router.completion(messages="def f():")
    assert (reply.fairlead.rule, reply.fairlead.model) == ("code", "volcano-ark-code")
    assert reply.fairlead.route.candidates[0].model == "volcano-ark-code"
    router.close()


# ===== LiteLLM, claude-code-router =====


def test_a_litellm_file_serves_with_its_fallbacks(up: Upstream, tmp_path: Path) -> None:
    up.reply = lambda request: fail(500) if request.model == "bad" else ok("fine")
    file = tmp_path / "config.yaml"
    file.write_text(
        "model_list:\n"
        "- {model_name: a, litellm_params: {model: openai/bad, api_base: 'URL', api_key: k}}\n"
        "- {model_name: b, litellm_params: {model: openai/fine, api_base: 'URL', api_key: k}}\n".replace(
            "URL", up.base_url
        )
        + "router_settings:\n  num_retries: 0\n  fallbacks: [{a: [b]}]\n",
        encoding="utf-8",
    )
    with fairlead.Client(file) as client:
        reply = client.chat.completions.create(model="a", messages=[{"role": "user", "content": "hi"}])
    assert reply.fairlead.upstream_model == "fine"
    assert reply.fairlead.degraded


def test_a_claude_code_router_file_leads_each_purpose_to_its_model(tmp_path: Path) -> None:
    models = ["plain", "deep", "small", "long", "eyes"]
    config = {
        "LOG": True,
        "Providers": [
            {
                "name": "local",
                "api_base_url": "http://127.0.0.1:9/v1/chat/completions",
                "api_key": "k",
                "models": models,
            }
        ],
        "Router": {
            "default": "local,plain",
            "background": "local,small",
            "think": "local,deep",
            "longContext": "local,long",
            "longContextThreshold": 1000,
            "image": "local,eyes",
        },
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    long = "many words " * 1000
    with fairlead.Client(file) as client:

        def found(messages: Any = "hi", **params: Any) -> str:
            return client.route(messages, **params).model.removeprefix("local,")

        assert found() == found(model="claude-sonnet-4-5") == "plain"
        assert found(model="claude-haiku-4-5") == "small"
        assert found(model="claude-sonnet-4-5", reasoning_effort="high") == "deep"
        assert found(long, model="claude-haiku-4-5") == "long"
        assert found([{"role": "user", "content": picture}], model="claude-opus-4-5") == "eyes"
        assert found(long, model="local,deep") == "deep", "a name of the file is what it says"
        assert found(model="local/other") == "local/other"
