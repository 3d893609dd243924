"""`ChatFairlead` inside of LangChain: one run for all attempts, errors, cancelling, callers, agents."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import fairlead
import pytest

pytest.importorskip("langchain")

from fairlead.langchain import ChatFairlead, FairleadEmbeddings, FairleadRateLimiter, is_retryable
from fairlead.langchain._scopes import options_of
from fairlead.testing import Reply, Upstream, fail, faults, hang, ok, stream, tool_call
from fairlead.testing import replies as made
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core import exceptions as theirs
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, SecretStr

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")

QUICK = {"retry": {"base": 0.001, "throttled_base": 0.001}}


class Runs(BaseCallbackHandler):
    """The runs that callbacks see."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_chat_model_start(self, *args: Any, **told: Any) -> None:
        self.seen.append("start")

    def on_llm_end(self, *args: Any, **told: Any) -> None:
        self.seen.append("end")

    def on_llm_error(self, error: BaseException, **told: Any) -> None:
        self.seen.append("error")


def two_deployments(up: Upstream, **more: Any) -> dict[str, Any]:
    def one(name: str) -> dict[str, Any]:
        return {"provider": "openai", "model": name, "base_url": up.url(name), "api_key": "k"}

    return {"models": {"m": {"deployments": [one("a"), one("b")], **more}}}


def chat(up: Upstream, **arguments: Any) -> ChatFairlead:
    return ChatFairlead(**{"model": "m", "api_key": "test", "base_url": up.base_url, **arguments})


# ===== one run =====


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_fallback_is_seen_as_one_run(way: str, up: Upstream) -> None:
    up.at("a").reply = fail(503)
    up.at("b").reply = ok("from b")
    runs = Runs()
    model = ChatFairlead(model="m", config=two_deployments(up))

    async def pieces() -> Any:
        return [chunk async for chunk in model.astream("?", {"callbacks": [runs]})]

    answers: dict[str, Callable[[], Any]] = {
        "invoke": lambda: model.invoke("?", {"callbacks": [runs]}),
        "ainvoke": lambda: asyncio.run(model.ainvoke("?", {"callbacks": [runs]})),
        "stream": lambda: list(model.stream("?", {"callbacks": [runs]})),
        "astream": lambda: asyncio.run(pieces()),
    }
    answer = answers[way]()
    answer = answer if not isinstance(answer, list) else sum(answer[1:], answer[0])
    assert answer.text == "from b"
    assert runs.seen == ["start", "end"]
    assert answer.response_metadata["attempts"] == 2
    assert answer.response_metadata["deployment"] == "openai/b"


# ===== errors =====

CASES = {
    "400": (fail(400), fairlead.BadRequestError, theirs.ModelInvalidRequestError),
    "401": (fail(401), fairlead.AuthenticationError, theirs.ModelAuthenticationError),
    "403": (fail(403), fairlead.PermissionDeniedError, theirs.ModelPermissionDeniedError),
    "404": (fail(404), fairlead.NotFoundError, theirs.ModelNotFoundError),
    "429": (fail(429), fairlead.RateLimitError, theirs.ModelRateLimitError),
    "500": (fail(500), fairlead.InternalServerError, theirs.ModelAPIError),
    "context": (
        fail(400, "too long", code="context_length_exceeded"),
        fairlead.ContextLengthExceeded,
        theirs.ContextOverflowError,
    ),
    "reset": (faults.reset_in_body(), fairlead.APIConnectionError, theirs.ModelConnectionError),
    "malformed": (Reply(body="{"), fairlead.APIResponseValidationError, theirs.ModelAPIError),
    "timeout": (hang(), fairlead.APITimeoutError, theirs.ModelTimeoutError),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", CASES)
def test_an_error_is_of_both_classes_and_final(name: str, streamed: bool, up: Upstream) -> None:
    step, ours, meaning = CASES[name]
    up.reply = step
    model = chat(up, base_url=None, api_key=None, timeout=0.1, config=one_deployment(up))
    with pytest.raises(ours) as caught:
        list(model.stream("?")) if streamed else model.invoke("?")
    error = caught.value
    assert isinstance(error, meaning)
    assert isinstance(error, theirs.ModelError)
    assert error.attempts
    assert error.is_retryable is False
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ours)
    assert isinstance(again, meaning)
    assert (again.is_retryable, again.attempts) == (False, error.attempts)


def one_deployment(up: Upstream) -> dict[str, Any]:
    deployment = {"provider": "openai", "model": "m", "base_url": up.base_url, "api_key": "k"}
    return {"models": {"m": {"deployments": [deployment]}}, **QUICK}


def test_an_error_is_retryable_where_fairlead_was_not_allowed_to_retry(up: Upstream) -> None:
    up.reply = fail(503)
    with pytest.raises(fairlead.InternalServerError) as caught:
        chat(up, max_retries=0).invoke("?")
    assert caught.value.is_retryable
    assert is_retryable(caught.value)


def test_a_refusal_of_our_own_limits_is_retryable(up: Upstream) -> None:
    model = ChatFairlead(model="m", config={**one_deployment(up), **LIMITED})
    model.invoke("?", fairlead={"user": "ann"})
    with pytest.raises(theirs.ModelRateLimitError) as caught:
        model.invoke("?", fairlead={"user": "ann"})
    assert caught.value.is_retryable
    assert len(up.requests) == 1


@pytest.mark.parametrize("bound", [False, True], ids=["model", "bound"])
def test_retries_are_not_multiplied_under_with_retry(bound: bool, up: Upstream) -> None:
    up.reply = fail(503)
    model: Any = ChatFairlead(model="m", config=one_deployment(up), max_retries=2)
    retrying = (model.bind(seed=1) if bound else model).with_retry(stop_after_attempt=3)
    with pytest.raises(fairlead.InternalServerError):
        retrying.invoke("?")
    assert len(up.requests) == 3


def test_retries_are_not_multiplied_around_a_chain(up: Upstream) -> None:
    up.reply = fail(503)
    model = ChatFairlead(model="m", config=one_deployment(up), max_retries=1)
    chain = ChatPromptTemplate.from_template("{it}") | model
    with pytest.raises(theirs.ModelAPIError):
        chain.with_retry(retry_if_exception_type=is_retryable).invoke({"it": "?"})
    assert len(up.requests) == 2


def test_max_retries_of_the_model_are_the_engines(up: Upstream) -> None:
    up.script = [fail(503), fail(503), ok("well")]
    model = ChatFairlead(model="m", config=one_deployment(up), max_retries=2)
    assert model.invoke("?").response_metadata["attempts"] == 3


# ===== cancelling =====


async def test_cancelling_a_call_frees_the_upstreams_socket(up: Upstream) -> None:
    up.reply = hang()
    call = asyncio.ensure_future(chat(up).ainvoke("?"))
    await asyncio.to_thread(up.wait_requests, 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(up.requests[0].wait_closed)


async def test_cancelling_a_stream_frees_the_upstreams_socket(up: Upstream) -> None:
    up.reply = stream(["a"] * 1000, interval=0.05)
    started = asyncio.Event()

    async def listen() -> None:
        async for _ in chat(up).astream("?"):
            started.set()

    task = asyncio.ensure_future(listen())
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(up.requests[0].wait_closed)


async def test_leaving_a_stream_frees_the_upstreams_socket(up: Upstream) -> None:
    up.reply = stream(["a"] * 1000, interval=0.05)
    chunks = chat(up).astream("?")
    async for _ in chunks:
        break
    await chunks.aclose()  # type: ignore[attr-defined]
    assert await asyncio.to_thread(up.requests[0].wait_closed)


async def test_leaving_a_stream_of_events_frees_the_upstreams_socket(up: Upstream) -> None:
    up.reply = stream(["a"] * 1000, interval=0.05)
    run = await chat(up).astream_events("?", version="v3")
    async for _ in run.text:
        break
    await run.aclose()
    assert await asyncio.to_thread(up.requests[0].wait_closed)


def test_leaving_a_blocking_stream_frees_the_upstreams_socket(up: Upstream) -> None:
    up.reply = stream(["a"] * 1000, interval=0.05)
    for _ in chat(up).stream("?"):
        break
    assert up.requests[0].wait_closed()


# ===== who calls =====

LIMITED = {"limits": {"user": {"requests_per_minute": 1}}, "queue": {"wait": 0}}


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "events"])
def test_the_user_of_the_config_is_the_user_of_the_limits(way: str, up: Upstream) -> None:
    model = ChatFairlead(model="m", config={**one_deployment(up), **LIMITED})

    def ask(user: str) -> None:
        config: Any = {"configurable": {"user_id": user}}
        if way == "invoke":
            model.invoke("?", config)
        elif way == "ainvoke":
            asyncio.run(model.ainvoke("?", config))
        elif way == "stream":
            list(model.stream("?", config))
        elif way == "events":
            assert model.stream_events("?", config, version="v3").output.text
        else:
            asyncio.run(drain(model, config))

    ask("ann")
    ask("bob")
    with pytest.raises(fairlead.LimitExceeded):
        ask("ann")
    assert len(up.requests) == 2


async def drain(model: ChatFairlead, config: Any) -> None:
    async for _ in model.astream("?", config):
        pass


def test_tags_metadata_and_thread_reach_the_rules(up: Upstream) -> None:
    config = two_deployments(up)
    deployments = config["models"].pop("m")["deployments"]
    config["models"] = {name: {"deployments": [one]} for name, one in zip("ab", deployments, strict=True)}
    config["default_model"] = "a"
    config["rules"] = [
        {"name": "tag", "when": "contains(metadata.tags, 'hard')", "model": "b"},
        {"name": "metadata", "when": "metadata.tier == 'gold'", "model": "b"},
        {"name": "thread", "when": "session == 'long'", "model": "b"},
        {"name": "own", "when": "metadata.kind == 'x'", "model": "b"},
    ]
    model = ChatFairlead(config=config)
    chosen = {
        "tag": model.invoke("?", {"tags": ["hard"]}),
        "metadata": model.invoke("?", {"metadata": {"tier": "gold"}}),
        "thread": model.invoke("?", {"configurable": {"thread_id": "long"}}),
        "own": ChatFairlead(config=config, metadata={"kind": "x"}).invoke("?"),
        "inside": RunnableLambda(lambda it: model.invoke(it)).invoke("?", {"tags": ["hard"]}),
        "none": model.invoke("?"),
    }
    rules = {name: reply.response_metadata.get("rule") for name, reply in chosen.items()}
    assert rules == {
        "tag": "tag",
        "metadata": "metadata",
        "thread": "thread",
        "own": "own",
        "inside": "tag",
        "none": None,
    }
    assert all("fairlead" not in request.json() for request in up.requests)


@pytest.mark.parametrize("name", ["thread_id", "session_id", "user_id", "tenant_id"])
@pytest.mark.parametrize("value", ["x" * 257, "\u00e9" * 200, "a\nb", "\ud83d" * 200, 7, ["a"]])
def test_no_name_of_an_application_makes_a_call_fail(name: str, value: Any, up: Upstream) -> None:
    assert chat(up).invoke("?", {"configurable": {name: value}}).text == "?"


def test_a_name_that_is_too_long_is_the_same_in_every_process() -> None:
    long, other = "thread-" * 60, "thread-" * 61
    found = options_of({"thread_id": long, "user_id": "ann"}, None)
    assert found == {
        "session": "sha256:" + hashlib.sha256(long.encode()).hexdigest(),
        "user": "ann",
        "metadata": {"thread_id": long, "user_id": "ann"},
    }
    assert options_of({"thread_id": other}, None)["session"] != found["session"]


def test_metadata_and_tags_that_no_rule_can_ask_for_are_left_out(up: Upstream) -> None:
    config: Any = {"metadata": {1: "a", "team": "b"}, "configurable": {("c",): "d"}, "tags": [3, "t"]}
    assert chat(up).invoke("?", config).text == "?"
    assert options_of({1: "a", "team": "b"}, [3, "t"]) == {"metadata": {"team": "b", "tags": ["t"]}}


def test_what_a_call_says_itself_wins_over_its_config(up: Upstream) -> None:
    model = ChatFairlead(model="m", config={**one_deployment(up), **LIMITED})
    config: Any = {"configurable": {"user_id": "ann"}}
    model.invoke("?", config)
    model.bind(fairlead={"user": "bob"}).invoke("?", config)
    assert len(up.requests) == 2


# ===== agents =====


def weather(place: str) -> str:
    """The weather at a place."""
    return f"Sun at {place}."


def agents_answers(up: Upstream) -> None:
    up.script = [ok(tool_calls=[tool_call("weather", {"place": "Oslo"})]), ok("Sunny.")]


async def test_an_agent_calls_a_tool_and_answers(up: Upstream) -> None:
    agents_answers(up)
    agent = create_agent(chat(up), [weather], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t1"}}
    state = await agent.ainvoke({"messages": [HumanMessage("Oslo?")]}, config)
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert state["messages"][-1].text == "Sunny."
    kept = await agent.aget_state(config)
    assert kept.values["messages"][-1].response_metadata["deployment"] == "openai/m"


def measure(place: str, unit: str = "celsius") -> str:
    """How warm it is.

    Args:
        place: its name in English.
    """
    return f"21 {unit} at {place}."


async def measure_async(place: str) -> str:
    """How warm it is."""
    return f"21 celsius at {place}."


@pytest.mark.parametrize("function", [measure, measure_async, partial(measure, unit="celsius")])
async def test_a_tool_of_ours_is_a_tool_of_an_agent(function: Any, up: Upstream) -> None:
    ours = fairlead.tool(name="measure")(function)
    up.script = [ok(tool_calls=[tool_call("measure", {"place": "Oslo"})]), ok("Warm.")]
    state = await create_agent(chat(up), [ours]).ainvoke({"messages": [HumanMessage("Oslo?")]})
    assert [message.text for message in state["messages"][2:]] == ["21 celsius at Oslo.", "Warm."]


def test_a_tool_of_ours_is_bound_with_its_own_schema(up: Upstream) -> None:
    ours = fairlead.tool(measure)
    chat(up).bind_tools([ours]).invoke("?")
    assert up.requests[0].json()["tools"] == [ours.model_dump()]
    chat(up).bind_tools([ours], strict=True).invoke("?")
    assert up.requests[1].json()["tools"][0]["function"]["strict"] is True


async def test_an_agents_tokens_are_streamed(up: Upstream) -> None:
    agents_answers(up)
    agent = create_agent(chat(up), [weather])
    said = [
        chunk.text
        async for chunk, _ in agent.astream({"messages": [HumanMessage("Oslo?")]}, stream_mode="messages")
        if isinstance(chunk, AIMessageChunk)
    ]
    assert "".join(said) == "Sunny."
    assert all(request.json()["stream"] is True for request in up.requests)


class Report(BaseModel):
    """What the weather is like."""

    sky: str


def test_an_agent_answers_in_the_providers_structured_output(up: Upstream) -> None:
    up.script = [ok(tool_calls=[tool_call("weather", {"place": "Oslo"})]), ok('{"sky": "blue"}')]
    agent = create_agent(chat(up), [weather], response_format=ProviderStrategy(Report))
    state = agent.invoke({"messages": [HumanMessage("Oslo?")]})
    assert state["structured_response"] == Report(sky="blue")
    assert up.requests[1].json()["response_format"]["type"] == "json_schema"


def test_a_user_of_an_agent_is_the_user_of_its_calls(up: Upstream) -> None:
    agents_answers(up)
    model = ChatFairlead(model="m", config={**one_deployment(up), **LIMITED})
    agent = create_agent(model, [weather])
    with pytest.raises(fairlead.LimitExceeded):
        agent.invoke({"messages": [HumanMessage("Oslo?")]}, {"configurable": {"user_id": "ann"}})
    assert len(up.requests) == 1


# ===== limits and embeddings =====


async def test_a_rate_limiter_counts_every_request(up: Upstream) -> None:
    limit = fairlead.RateLimit(2, per=60)
    model = chat(up, rate_limiter=FairleadRateLimiter(limit, timeout=0))
    await model.ainvoke("?")
    list(model.stream("?"))
    with pytest.raises(fairlead.QueueTimeout):
        await model.ainvoke("?")
    assert limit.snapshot().used == 2
    assert len(up.requests) == 2


@pytest.mark.parametrize(
    "limit",
    [fairlead.RateLimit(1), fairlead.RateLimit(1).of("k"), fairlead.TokenBucket(1, 0.001)],
    ids=["rate", "key", "bucket"],
)
async def test_a_rate_limiter_answers_at_once_where_it_may_not_block(limit: Any) -> None:
    limiter = FairleadRateLimiter(limit)
    assert limiter.acquire(blocking=False)
    assert not limiter.acquire(blocking=False)
    assert not await limiter.aacquire(blocking=False)


async def test_embeddings_come_in_batches_and_in_order(up: Upstream) -> None:
    def backwards(request: Any) -> Reply:
        body = made.embeddings(request.fields)
        return Reply(body={**body, "data": body["data"][::-1]})

    up.reply = backwards
    embeddings = FairleadEmbeddings(
        model="e",
        api_key="test",
        base_url=up.base_url,
        chunk_size=2,
        dimensions=4,
        default_headers={"x-team": "a"},
        model_kwargs={"user": "ann"},
    )
    texts = ["a", "b", "c", "d", "e"]
    expected = [made.embedding_of(text, 4) for text in texts]
    assert embeddings.embed_documents(texts) == expected
    assert await embeddings.aembed_documents(texts) == expected
    assert embeddings.embed_query("c") == await embeddings.aembed_query("c") == expected[2]
    assert embeddings.embed_documents([]) == await embeddings.aembed_documents([]) == []
    sizes = [len(request.json()["input"]) for request in up.requests]
    assert sorted(sizes) == [1, 1, 1, 1, 2, 2, 2, 2]
    first = up.requests[0]
    assert (first.json()["dimensions"], first.json()["user"], first.headers["x-team"]) == (4, "ann", "a")


def test_used_embeddings_whose_arguments_change_call_what_they_say_now(up: Upstream) -> None:
    embeddings = FairleadEmbeddings(model="e", api_key="first", base_url=up.base_url)
    embeddings.embed_query("a")
    with Upstream() as other:
        embeddings.base_url = other.base_url
        embeddings.embed_query("a")
        embeddings.model_copy(update={"api_key": SecretStr("second")}).embed_query("a")
        sent = [request.headers["authorization"] for request in other.requests]
    assert (len(up.requests), sent) == (1, ["Bearer first", "Bearer second"])


async def test_when_one_batch_fails_the_others_end(up: Upstream) -> None:
    up.script = [fail(400), hang()]
    embeddings = FairleadEmbeddings(model="e", api_key="test", base_url=up.base_url, chunk_size=1)
    with pytest.raises(theirs.ModelInvalidRequestError):
        await embeddings.aembed_documents(["a", "b"])
    assert await asyncio.to_thread(up.wait_idle)
