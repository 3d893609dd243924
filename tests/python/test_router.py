"""`Router`: a LiteLLM Router's arguments unchanged, on the engine of the clients."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any

import fairlead
import pytest
from fairlead._litellm import Calls
from fairlead.testing import Reply, Upstream, fail, ok

MESSAGES: Any = [{"role": "user", "content": "hi"}]


class Policy:
    """What pydantic classes such as LiteLLM's RetryPolicy look like from outside."""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {"RateLimitErrorRetries": 1, "TimeoutErrorRetries": 4, "BadRequestErrorRetries": 9}


class Kind(Enum):
    LEAST = "least-busy"


class Seconds:
    """What an httpx.Timeout looks like."""

    connect = 1.0
    read = 12.0


def entry(name: str, up: Upstream, model: str = "openai/up", **params: Any) -> dict[str, Any]:
    given = {"model": model, "api_base": up.base_url, "api_key": "k", **params}
    return {"model_name": name, "litellm_params": given}


def test_what_asks_nothing_is_refused(up: Upstream) -> None:
    router = fairlead.Router(model_list=[entry("m", up)])
    with pytest.raises(TypeError, match="`messages` is missing"):
        router.completion("m")
    with pytest.raises(TypeError, match="`input` is missing"):
        router.embedding("m")
    assert up.requests == []


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bare name": {"model": "gpt-4o-mini"},
    "weight": {"weight": 3},
    "rpm and tpm": {"rpm": 100, "tpm": 10_000},
    "order": {"order": 2},
    "parallel": {"max_parallel_requests": 4},
    "timeouts": {"timeout": 20, "stream_timeout": 5},
    "timeout as text": {"timeout": "20"},
    "retries": {"max_retries": 1, "num_retries": 2},
    "organization": {"organization": "org-1"},
    "headers": {"extra_headers": {"x-a": "1"}, "headers": {"x-b": "2"}},
    "prices": {"input_cost_per_token": 1e-6, "output_cost_per_token": "2e-6"},
    "cache prices": {"cache_read_input_token_cost": 1e-7, "cache_creation_input_token_cost": 2e-7},
    "sampling": {"temperature": 0.1, "top_p": 0.9, "seed": 7, "max_tokens": 50},
    "stop": {"stop": ["\n"]},
    "extra body": {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}},
    "tags": {"tags": ["free", "eu"]},
    "drop": {"drop_params": True, "additional_drop_params": ["seed"]},
    "region": {"region_name": "eu-west-1"},
    "groq": {"model": "groq/llama-3.3-70b"},
    "azure": {"model": "azure/mine", "api_version": "2024-10-21"},
    "together": {"model": "together_ai/meta-llama/Llama-3-8b"},
    "fireworks": {"model": "fireworks_ai/accounts/fireworks/models/llama"},
    "openrouter": {"model": "openrouter/anthropic/claude-sonnet-4.5:nitro"},
    "vllm": {"model": "hosted_vllm/qwen"},
    "ollama chat": {"model": "ollama_chat/llama3:8b"},
    "lm studio": {"model": "lm_studio/m"},
    "unknown provider with a base": {"model": "somewhere/else"},
    "named provider": {"model": "m", "custom_llm_provider": "openai"},
    "deepseek": {"model": "deepseek/deepseek-chat"},
    "mistral": {"model": "mistral/mistral-large-latest"},
    "xai": {"model": "xai/grok-4"},
    "budget": {"max_budget": 10, "budget_duration": "1d"},
    "nothing said": {"rpm": None, "api_version": None, "tags": []},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_entry_of_a_model_list_serves(name: str, up: Upstream) -> None:
    router = fairlead.Router(model_list=[entry("m", up, **VARIANTS[name])])
    reply = router.completion(model="m", messages=MESSAGES)
    assert reply["choices"][0]["message"]["content"] == reply.choices[0].message.content
    assert reply.fairlead.model == "m"
    router.close()


def test_parameters_of_an_entry_reach_the_upstream_and_its_settings_do_not(up: Upstream) -> None:
    params = {
        "temperature": 0.1,
        "rpm": 9,
        "tags": ["a"],
        "organization": "org-1",
        "extra_headers": {"x-a": "1"},
    }
    router = fairlead.Router([entry("m", up, **params)])
    router.completion("m", MESSAGES, temperature=0.5)
    router.completion("m", MESSAGES)
    first, second = up.requests
    assert (first.json()["temperature"], second.json()["temperature"]) == (0.5, 0.1)
    assert set(second.json()) == {"model", "messages", "temperature"}
    assert second.json()["model"] == "up"
    assert (second.headers["openai-organization"], second.headers["x-a"]) == ("org-1", "1")
    assert second.headers["authorization"] == "Bearer k"
    router.close()


def test_deployments_are_drawn_by_their_weights(up: Upstream) -> None:
    models = [entry("a", up, "openai/often", rpm=900), entry("a", up, "openai/seldom", rpm=100)]
    router = fairlead.Router(models)
    draws = [router.route("hi", model="a").candidates[0].deployment for _ in range(2000)]
    share = sum(name.endswith("often") for name in draws) / len(draws)
    assert 0.86 < share < 0.94  # six standard deviations
    router.close()


def test_a_key_may_be_one_that_hides_itself(up: Upstream) -> None:
    router = fairlead.Router([entry("a", up, api_key=fairlead.Secret("$hush-hush"))])
    router.completion("a", MESSAGES)
    assert up.requests[0].headers["authorization"] == "Bearer $hush-hush"
    assert "hush" not in repr(vars(router))
    router.close()


async def everywhere(router: fairlead.Router, **params: Any) -> list[Any]:
    blocking = await asyncio.to_thread(router.completion, "a", MESSAGES, **params)
    return [await router.acompletion("a", MESSAGES, **params), blocking]


def test_a_router_made_outside_a_loop_serves_in_several_and_in_threads(up: Upstream) -> None:
    router = fairlead.Router(model_list=[entry("a", up)])
    for _ in range(2):
        assert len(asyncio.run(everywhere(router))) == 2
    assert router.stats()["calls"] == 4
    asyncio.run(router.aclose())
    with pytest.raises(fairlead.ClientClosed):
        router.completion("a", MESSAGES)


def test_a_router_made_inside_a_loop_serves_outside_it(up: Upstream) -> None:
    async def make() -> fairlead.Router:
        router = fairlead.Router(model_list=[entry("a", up)])
        await router.acompletion(model="a", messages=MESSAGES)
        return router

    router = asyncio.run(make())
    assert router.completion(model="a", messages=MESSAGES).id
    router.close()


def test_fallbacks_take_over_and_a_call_may_bring_its_own(up: Upstream) -> None:
    up.reply = lambda request: fail(500) if request.model == "one" else ok("fine")
    models = [entry("a", up, "openai/one"), entry("b", up, "openai/two"), entry("c", up, "openai/three")]
    router = fairlead.Router(model_list=models, fallbacks=[{"a": ["b"]}], num_retries=0)

    def served(**params: Any) -> str:
        return str(router.completion("a", MESSAGES, **params).fairlead.upstream_model)

    assert router.route(model="a").candidates[1].model == "b"
    assert served() == served(num_retries=0) == "two"
    for own in (["c"], [{"model": "c"}], [{"a": ["c"]}, {"b": ["a"]}]):
        assert served(fallbacks=own) == served(fallbacks=own, num_retries=0) == "three", own
    router.close()


def test_a_fallback_has_its_turn_after_every_deployment_of_the_model(up: Upstream) -> None:
    models = [entry("a", up, f"openai/a{number}") for number in range(5)]
    models += [entry("b", up, "openai/b0"), entry("b", up, "openai/b1"), entry("c", up, "openai/c")]
    aliases = {"alias": "a"}
    router = fairlead.Router(models, fallbacks=[{"a": ["b", "c"]}], model_group_alias=aliases)
    up.reply = lambda request: ok("fine") if request.model == "c" else fail(500)
    for model in ("a", "alias"):
        for params in ({}, {"num_retries": 0}, {"fallbacks": ["b", "c"]}):
            served = router.completion(model, MESSAGES, **params).fairlead.upstream_model
            assert served == "c", (model, params)
    router.set_model_list([entry("a", up, "openai/a9"), entry("b", up), entry("c", up, "openai/c")])
    before = len(up.requests)
    router.completion("a", MESSAGES, num_retries=0)
    assert [one.model for one in up.requests[before:]] == ["a9", "up", "c"]
    router.close()


def test_an_alias_has_its_own_fallbacks_or_those_of_its_model(up: Upstream) -> None:
    models = [entry("a", up, "openai/a0"), entry("a", up, "openai/a1"), entry("b", up, "openai/b")]
    up.reply = lambda request: ok("fine") if request.model == "b" else fail(500)
    aliases = {"own": "a", "plain": "a"}
    router = fairlead.Router(models, fallbacks=[{"own": ["b"]}], model_group_alias=aliases)
    for params in ({}, {"num_retries": 0}):
        assert router.completion("own", MESSAGES, **params).fairlead.upstream_model == "b"
        with pytest.raises(fairlead.InternalServerError):
            router.completion("plain", MESSAGES, **params)
    router.close()


def test_a_fallback_that_says_more_than_a_model_is_refused_wherever_it_stands(up: Upstream) -> None:
    elsewhere = {"model": "b", "api_base": "http://127.0.0.1:9/v1", "api_key": "hush-hush-hush"}
    router = fairlead.Router([entry("a", up), entry("b", up)], num_retries=0)
    up.reply = fail(500)
    refused: list[Any] = [
        lambda: router.completion("a", MESSAGES, fallbacks=[elsewhere]),
        lambda: router.completion("a", MESSAGES, fallbacks=[{"a": [elsewhere]}]),
        lambda: fairlead.Router([entry("a", up), entry("b", up)], fallbacks=[{"a": [elsewhere]}]),
        lambda: fairlead.Router([entry("a", up), entry("b", up)], fallbacks=[{"*": [elsewhere]}]),
        lambda: fairlead.Router([entry("a", up), entry("b", up)], default_fallbacks=[elsewhere]),
    ]
    for call in refused:
        with pytest.raises(fairlead.ConfigError, match="`api_base`, `api_key` cannot be carried") as caught:
            call()
        assert "hush" not in str(caught.value)
    assert not up.requests
    router.close()


@pytest.mark.parametrize(
    "given",
    [
        {"fallbacks": {"a": ["b"]}},
        {"fallbacks": "b"},
        {"fallbacks": ["b"]},
        {"fallbacks": [["b"]]},
        {"fallbacks": [{"a": "b"}]},
        {"context_window_fallbacks": {"a": ["b"]}},
        {"content_policy_fallbacks": "b"},
        {"default_fallbacks": "b"},
        {"model_group_alias": ["x"]},
    ],
)
def test_fallbacks_of_another_form_are_refused(given: dict[str, Any], up: Upstream) -> None:
    with pytest.raises(fairlead.ConfigError, match=rf"`{next(iter(given))}.*`: expected a (list|table)"):
        fairlead.Router([entry("a", up), entry("b", up)], **given)


def test_what_a_call_brings_is_ours_under_our_names() -> None:
    given = {
        "api_base": "http://127.0.0.1:9",
        "api_key": "mine",
        "num_retries": 0,
        "fallbacks": ["b"],
        "metadata": {"team": "x"},
        "tags": ["free", "eu"],
        "organization": "o",
        "headers": {"x-a": "1"},
        "timeout": 3,
        "temperature": 0.5,
        "stream": None,
        "fairlead": {"user": "u", "metadata": {"kept": "1"}},
    }
    assert Calls().options("a", given) == {
        "model": "a",
        "extra_headers": {"OpenAI-Organization": "o", "x-a": "1"},
        "timeout": 3,
        "temperature": 0.5,
        "fairlead": {
            "user": "u",
            "base_url": "http://127.0.0.1:9",
            "api_key": "mine",
            "max_retries": 1,
            "fallbacks": ["b"],
            "metadata": {"kept": "1", "team": "x", "tags": "free,eu"},
        },
    }


def test_a_call_may_go_elsewhere_with_a_key_of_its_own(up: Upstream) -> None:
    with Upstream() as other:
        router = fairlead.Router(model_list=[entry("a", up)], num_retries=0)
        router.completion("a", MESSAGES, api_base=other.base_url, api_key="mine", organization="o")
        router.completion("a", MESSAGES)
        assert [len(up.requests), len(other.requests)] == [1, 1]
        assert other.requests[0].headers["authorization"] == "Bearer mine"
        assert other.requests[0].headers["openai-organization"] == "o"
        assert set(other.requests[0].json()) == {"model", "messages"}
        assert up.requests[0].headers["authorization"] == "Bearer k"
        router.close()


def test_retries_of_a_call_are_its_own(up: Upstream) -> None:
    up.reply = fail(500)
    router = fairlead.Router(model_list=[entry("a", up)], num_retries=1)
    with pytest.raises(fairlead.InternalServerError):
        router.completion("a", MESSAGES, num_retries=0)
    assert len(up.requests) == 1
    with pytest.raises(fairlead.InternalServerError):
        router.completion("a", MESSAGES)
    assert len(up.requests) == 3
    router.close()


def test_metadata_and_tags_are_for_rules_and_not_for_the_upstream(up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)])
    router.completion("a", MESSAGES, metadata={"team": "x"}, tags=["free", "eu"])
    assert set(up.requests[0].json()) == {"model", "messages"}
    router.close()


def test_streams_embeddings_and_plain_texts(up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)])
    assert "".join(
        chunk.choices[0].delta.content or "" for chunk in router.completion("a", "hi", stream=True)
    )
    assert router.complete("hi", model="a")

    async def pieces() -> list[Any]:
        stream = await router.acompletion("a", MESSAGES, stream=True)
        return [chunk async for chunk in stream] + [await router.acomplete("hi", model="a")]

    assert len(asyncio.run(pieces())) > 1
    assert router.embedding(model="a", input="hi").data
    assert asyncio.run(router.aembedding(model="a", input=["hi"])).data
    assert router.chat.completions.create(model="a", messages=MESSAGES).id
    router.close()


def test_every_documented_argument_is_taken_and_what_is_lost_is_told_once(
    up: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fairlead"):
        router = fairlead.Router(
            model_list=[entry("a", up), entry("a", up, "openai/two"), entry("b", up)],
            routing_strategy=Kind.LEAST,
            routing_strategy_args={"ttl": 10},
            fallbacks=[{"a": ["b"]}],
            context_window_fallbacks=[{"a": ["b"]}],
            content_policy_fallbacks=[{"a": ["b"]}],
            default_fallbacks=["b"],
            model_group_alias={"old": "a"},
            retry_policy=Policy(),
            model_group_retry_policy={"a": Policy()},
            allowed_fails=3,
            allowed_fails_policy=Policy(),
            cooldown_time=30,
            timeout=Seconds(),
            stream_timeout=5,
            max_fallbacks=5,
            set_verbose=True,
            debug_level="DEBUG",
            redis_host="localhost",
            redis_port=6379,
            redis_password="hush-hush-hush",
            cache_responses=True,
            default_litellm_params={"temperature": 0.3},
            default_max_parallel_requests=8,
            retry_after=1,
            enable_pre_call_checks=True,
            optional_pre_call_checks=["prompt_caching"],
            plugins=[object()],
            provider_budget_config={"openai": {"budget_limit": 1, "time_period": "1d"}},
        )
    assert len(caplog.records) == 1, caplog.text
    told = caplog.text
    lost = "routing_strategy_args redis_host redis_port redis_password cache_responses plugins max_fallbacks"
    noted = (
        "retry_policy model_group_retry_policy allowed_fails cooldown_time retry_after provider_budget_config"
    )
    for name in f"{lost} {noted}".split():
        assert f"`{name}`" in told, told
    for name in (
        "fallbacks",
        "model_group_alias",
        "timeout",
        "enable_pre_call_checks",
        "optional_pre_call_checks",
    ):
        assert f"`{name}`" not in told, told
    assert "hush" not in told + repr(vars(router)) + repr(router)
    assert router.get_model_names() == ["a", "b", "old"]
    router.completion("old", MESSAGES)
    assert up.requests[0].json()["temperature"] == 0.3
    router.close()


def test_an_argument_of_nobody_is_refused_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="'num_retrys'; did you mean 'num_retries'"):
        fairlead.Router(model_list=[], num_retrys=1)
    with pytest.raises(TypeError, match="'fallbacks' beside a configuration"):
        fairlead.Router({"retry": {"cap": 1}}, fallbacks=[])
    with pytest.raises(TypeError, match="not both"):
        fairlead.Router({"retry": {"cap": 1}}, model_list=[])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("fallback", "fallbacks"),
        ("num_retry", "num_retries"),
        ("api_bas", "api_base"),
        ("apikey", "api_key"),
        ("timeouts", "timeout"),
        ("mock_respons", "mock_response"),
    ],
)
def test_an_argument_of_a_call_that_is_nearly_one_is_refused(given: str, meant: str, up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)])
    with pytest.raises(TypeError, match=f"{given!r}; did you mean {meant!r}"):
        router.completion("a", MESSAGES, **{given: "b"})
    assert not up.requests
    router.completion("a", MESSAGES, min_p=0.1, repetition_penalty=1.1, models=["m"], user="u")
    assert up.requests[0].json()["min_p"] == 0.1
    router.close()


@pytest.mark.parametrize(
    "given", [{"fallbacks": 7}, {"fallbacks": [7]}, {"num_retries": "x"}, {"metadata": 7}, {"headers": 7}]
)
def test_a_value_of_the_wrong_kind_names_its_argument(given: dict[str, Any], up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)])
    with pytest.raises(fairlead.ConfigError, match=f"`{next(iter(given))}`: expected"):
        router.completion("a", MESSAGES, **given)
    router.close()


@pytest.mark.parametrize(
    "given",
    [
        {"guardrails": ["g"]},
        {"api_version": "2024-10-21"},
        {"cache_key": "x"},
        {"deployment_id": "x"},
        {"base_model": "gpt-4o"},
        {"rpm": 3},
        {"region_name": "eu"},
        {"prompt_id": "p"},
        {"user_continue_message": {"role": "user", "content": "x"}},
        {"max_fallbacks": 2},
        {"langfuse_secret_key": "s"},
        {"input_cost_per_token_batches": 1e-6},
        {"litellm_system_prompt": "x"},
        {"_litellm_strip_stream_usage": True},
    ],
    ids=lambda given: next(iter(given)),
)
def test_no_argument_of_litellms_own_is_sent(given: dict[str, Any], up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)])
    router.completion("a", MESSAGES, **given)
    assert set(up.requests[0].json()) == {"model", "messages"}
    router.close()


@pytest.mark.parametrize(
    "name",
    [
        "azure_ad_token",
        "aws_secret_access_key",
        "vertex_credentials",
        "client_secret",
        "litellm_credential_name",
        "allowed_model_region",
        "mock_testing_anything",
    ],
)
def test_what_would_change_who_answers_is_refused_and_not_shown(name: str, up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)])
    with pytest.raises(fairlead.ConfigError, match=f"`{name}`") as raised:
        router.completion("a", MESSAGES, **{name: "hush-1234"})
    assert "hush" not in str(raised.value)
    assert not up.requests
    router.close()


def test_what_means_something_to_litellm_alone_is_told_once_and_not_sent(
    up: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    router = fairlead.Router([entry("a", up)])
    for _ in range(2):
        router.completion("a", MESSAGES, caching=True, litellm_trace_id="t")
    assert set(up.requests[1].json()) == {"model", "messages"}
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "`caching`",
        "`litellm_trace_id`",
    ]
    with pytest.raises(fairlead.ConfigError, match=r"fairlead\.testing"):
        router.completion("a", MESSAGES, mock_response="made up")
    router.close()


def test_faults_of_a_model_list_are_told_together_and_without_keys() -> None:
    models = [
        {"model_name": "a", "litellm_params": {"model": "nowhere/x", "api_key": "hush-hush-hush"}},
        {
            "model_name": "b",
            "litellm_params": {"model": "groq/x", "api_key": "os.environ/FAIRLEAD_TEST_NONE"},
        },
    ]
    with pytest.raises(fairlead.ConfigError) as caught:
        fairlead.Router(model_list=models)
    told = str(caught.value)
    assert "nowhere" in told
    assert "FAIRLEAD_TEST_NONE" in told
    assert "hush" not in told
    with pytest.raises(fairlead.ConfigError, match="litellm_params"):
        fairlead.Router(model_list=[{"model_name": "a"}])


def test_invalid_deployments_are_left_out_where_that_is_asked_for(up: Upstream) -> None:
    models = [entry("a", up), {"model_name": "a", "litellm_params": {"model": "nowhere/x"}}]
    router = fairlead.Router(model_list=models, ignore_invalid_deployments=True)
    assert len(router.route(model="a").candidates) == 1
    router.close()


def test_other_deployments_can_be_set_and_a_faulty_list_changes_nothing(up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)], num_retries=0)
    router.set_model_list([entry("b", up), entry("c", up)])
    assert router.get_model_names() == ["b", "c"]
    assert [one["model_name"] for one in router.get_model_list("b") or ()] == ["b"]
    with pytest.raises(fairlead.ConfigError):
        router.set_model_list([{"model_name": "d"}])
    assert router.completion("c", MESSAGES).fairlead.model == "c"
    with pytest.raises(fairlead.NotFoundError):
        router.completion("a", MESSAGES)
    router.close()


def test_no_call_fails_while_other_deployments_are_set(up: Upstream) -> None:
    router = fairlead.Router([entry("a", up)], num_retries=0)
    before, done = router.client, threading.Event()

    def work() -> int:
        count = 0
        while not done.is_set():
            router.completion("a", MESSAGES)
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(work) for _ in range(4)]
        for weight in range(1, 50):
            router.set_model_list([entry("a", up, weight=weight), entry("b", up)])
        done.set()
        assert all(call.result() > 0 for call in calls)
    assert router.client is before
    router.close()
    with pytest.raises(fairlead.ClientClosed):
        router.set_model_list([entry("c", up)])


def test_a_malformed_reply_is_an_error_and_never_an_answer(up: Upstream) -> None:
    up.reply = Reply(body=b'{"choices": "none"}', headers={"content-type": "application/json"})
    router = fairlead.Router([entry("a", up)], num_retries=0)
    with pytest.raises(fairlead.MalformedResponse):
        router.complete("hi", model="a")
    router.close()


def test_a_client_shows_the_models_it_is_configured_with(up: Upstream) -> None:
    place = {"provider": "ollama", "model": "m"}
    with fairlead.Client({"models": {"a": {"deployments": [place]}, "b": "a"}}) as client:
        assert repr(client) == "<fairlead.Client a, b>"
    with fairlead.Client({}) as client:
        assert repr(client) == "<fairlead.Client (providers by name)>"
