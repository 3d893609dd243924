"""The clients: arguments, options, resources; both twins."""

from __future__ import annotations

import asyncio
import json
import logging
import operator
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import fairlead
import pytest
from client_twin import Twin
from fairlead.testing import Upstream, fail, ok, stream
from fairlead.types import ChatCompletion, Receipt

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


def test_a_completion(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    reply = twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, temperature=0.2))
    assert isinstance(reply, ChatCompletion)
    assert reply.choices[0].message.content == "hi"
    assert isinstance(reply.fairlead, Receipt)
    assert reply.fairlead.deployment == "openai/m"
    assert up.requests[0].json() == {"model": "m", "messages": MESSAGES, "temperature": 0.2}


def test_a_stream(up: Upstream, twin: Twin) -> None:
    up.script = [stream("a b c", headers={"x-request-id": "r7"})]
    client = twin.client(up)
    chunks = twin.collect(lambda: client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "a b c"


def test_a_streams_head_and_receipt(up: Upstream) -> None:
    up.script = [stream("a b c", headers={"x-request-id": "r7"})]
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    with client.chat.completions.create(model="m", messages=MESSAGES, stream=True) as chunks:
        assert chunks.response.headers["X-Request-ID"] == "r7"
        assert chunks.request_id == "r7"
        list(chunks)
        assert chunks.fairlead.outcome == "ok"
        assert chunks.fairlead.usage is not None


def test_messages_may_be_reply_objects(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    reply = twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    history = [*MESSAGES, reply.choices[0].message, {"role": "user", "content": "and?"}]
    twin.do(lambda: client.chat.completions.create(model="m", messages=iter(history)))
    sent = up.requests[1].json()["messages"]
    assert sent[1] == reply.choices[0].message.model_dump()


def test_arguments_that_are_ours_are_not_sent(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    twin.do(
        lambda: client.chat.completions.create(
            model="m",
            messages=MESSAGES,
            top_k=5,
            seed=fairlead.NOT_GIVEN,
            user="u",
            extra_headers={"x-mine": "1"},
            extra_query={"q": "a b"},
            extra_body={"top_k": 7, "provider": {"order": ["x"]}, "fairlead": {"user": "u2"}},
            timeout=fairlead.Timeout(20, connect=5),
            fairlead={"tenant": "acme", "metadata": {"a": 1}, "deadline": 20, "priority": 3},
        )
    )
    request = up.requests[0]
    assert request.json() == {
        "model": "m",
        "messages": MESSAGES,
        "top_k": 7,
        "user": "u",
        "provider": {"order": ["x"]},
    }
    assert request.headers["x-mine"] == "1"
    assert "q=a" in request.target


def test_unknown_options_of_ours_are_named(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    with pytest.raises(fairlead.ConfigError, match="tennant"):
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, fairlead={"tennant": 1}))
    with pytest.raises(fairlead.ConfigError, match="timeout"):
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, timeout="soon"))
    with pytest.raises(TypeError, match=r"parse\(response_format=dict\)"):
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, response_format=dict))


def test_a_timeout_ends_the_attempt(up: Upstream, twin: Twin) -> None:
    up.reply = ok(delay=30)
    client = twin.client(up, max_retries=0)
    with pytest.raises(fairlead.APITimeoutError):
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, timeout=0.1))
    with pytest.raises(fairlead.APITimeoutError):
        twin.do(
            lambda: client.with_options(timeout=0.1).chat.completions.create(model="m", messages=MESSAGES)
        )
    with pytest.raises(fairlead.DeadlineExceeded):
        twin.do(
            lambda: client.chat.completions.create(model="m", messages=MESSAGES, fairlead={"deadline": 0.1})
        )


def test_max_retries_two_means_three_attempts(up: Upstream, twin: Twin) -> None:
    up.reply = fail(500)
    client = twin.client(up)
    with pytest.raises(fairlead.InternalServerError) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert len(caught.value.attempts) == 3
    up.requests.clear()
    with pytest.raises(fairlead.InternalServerError):
        twin.do(
            lambda: client.with_options(max_retries=0).chat.completions.create(model="m", messages=MESSAGES)
        )
    assert len(up.requests) == 1


def test_embeddings_travel_as_base64_and_read_as_floats(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    reply = twin.do(lambda: client.embeddings.create(model="e", input=["a", "b"]))
    assert up.requests[0].json()["encoding_format"] == "base64"
    plain = twin.do(lambda: client.embeddings.create(model="e", input=["a", "b"], encoding_format="float"))
    assert [e.embedding for e in reply.data] == [pytest.approx(e.embedding) for e in plain.data]
    assert reply.model_dump()["data"][0]["embedding"] == reply.data[0].embedding
    coded = twin.do(lambda: client.embeddings.create(model="e", input="a", encoding_format="base64"))
    assert isinstance(coded.data[0].embedding, str | list)


def test_models_list(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)

    async def listed() -> Any:
        return await client.models.list()

    page = twin.do(client.models.list if twin.kind == "sync" else listed)
    assert [model.id for model in page] == [model.id for model in page.data]
    assert twin.collect(client.models.list)[0].id == page.data[0].id


def test_raw_responses(up: Upstream, twin: Twin) -> None:
    up.script = [fail(500), ok("hi", headers={"x-request-id": "r1"})]
    client = twin.client(up)
    response = twin.do(lambda: client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES))
    assert response.status_code == 200
    assert response.request_id == response.headers["x-request-id"] == "r1"
    assert response.retries_taken == 1
    assert response.json() == json.loads(response.text) == response.parse().model_dump()
    assert isinstance(response.parse(), ChatCompletion)
    assert response.parse()._request_id == "r1"
    assert response.elapsed > timedelta(0)


def test_raw_responses_are_reached_from_every_level(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    ask = {"model": "m", "messages": MESSAGES}
    calls: list[Callable[[], Any]] = [
        lambda: client.with_raw_response.chat.completions.create(**ask),
        lambda: client.chat.with_raw_response.completions.create(**ask),
        lambda: client.with_raw_response.embeddings.create(model="m", input="x"),
        lambda: client.with_raw_response.models.list(),
        lambda: client.models.with_raw_response.retrieve("m"),
    ]
    for call in calls:
        response = twin.do(call)
        assert response.status_code == 200
        assert response.parse().model_dump()
    assert client.with_raw_response is client.with_raw_response
    page = twin.do(lambda: client.models.with_raw_response.list()).parse()
    assert [model.id for model in page] == [model.id for model in page.data]


def test_a_raw_response_parses_as_parse_does(up: Upstream, twin: Twin) -> None:
    pydantic = pytest.importorskip("pydantic")
    city = pydantic.create_model("City", name=(str, ...))
    up.script = [ok('{"name": "Rome"}'), ok('{"name": "Ro', finish_reason="length")]
    raw = twin.client(up).chat.completions.with_raw_response
    ask = {"model": "m", "messages": MESSAGES, "response_format": city}
    response = twin.do(lambda: raw.parse(**ask))
    assert response.status_code == 200
    assert response.parse().choices[0].message.parsed == city(name="Rome")
    assert up.requests[0].json()["response_format"]["json_schema"]["name"] == "City"
    cut = twin.do(lambda: raw.parse(**ask))
    with pytest.raises(fairlead.LengthFinishReasonError):
        cut.parse()


def test_a_page_of_models_is_iterated_in_both_ways(up: Upstream) -> None:
    async def main() -> None:
        client = fairlead.AsyncClient(api_key="k", base_url=up.base_url)
        page = await client.models.list()
        assert [model.id async for model in page] == [model.id for model in page]
        assert [model.id async for model in client.models.list()] == [model.id for model in page]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("responses", "this client has no `responses`"),
        ("chat.complete", "`client.chat` has no `complete`"),
        ("chat.completions.list", "`client.chat.completions` has no `list`"),
        ("chat.completions.with_streaming_response", "has no `with_streaming_response`"),
        ("chat.completions.with_raw_response.list", "`client.chat.completions.with_raw_response` has no"),
        ("embeddings.list", "`client.embeddings` has no `list`"),
        ("models.delete", "`client.models` has no `delete`"),
        ("with_raw_response.files", "`client.with_raw_response` has no `files`"),
    ],
)
def test_what_is_not_there_is_said_with_a_way_out(path: str, words: str, up: Upstream, twin: Twin) -> None:
    with pytest.raises(AttributeError, match=rf"{words}.* post\(path, body=") as caught:
        operator.attrgetter(path)(twin.client(up))
    assert "get(path)" in str(caught.value)
    with pytest.raises(AttributeError, match="has no attribute '_gone'"):
        _ = twin.client(up).chat._gone


def test_generate_and_stream_take_plain_text(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    assert twin.do(lambda: client.generate("m", "one two", max_tokens=5)) == "one two"
    assert twin.do(lambda: client.generate("m", MESSAGES)) == "hi"
    assert "".join(twin.collect(lambda: client.stream("m", "one two three"))) == "one two three"


def test_what_asks_nothing_is_refused_before_anything_is_sent(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    chat, vectors = client.chat.completions, client.embeddings
    absent = fairlead.NOT_GIVEN
    for call in (chat.create, chat.with_raw_response.create, chat.parse, chat.stream):
        for given in ({}, {"messages": absent}):
            with pytest.raises(TypeError, match="`messages` is missing"):
                twin.do(lambda call=call, given=given: call(model="m", **given))
    for call in (vectors.create, vectors.with_raw_response.create):
        with pytest.raises(TypeError, match="`input` is missing"):
            twin.do(lambda call=call: call(model="m"))
    for call in (client.generate, client.stream):
        with pytest.raises(TypeError, match="`messages` is missing: pass the model and then the prompt"):
            twin.do(lambda call=call: call("Hello!"))
    assert up.requests == []


def test_what_asks_nothing_on_purpose_is_sent(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    twin.do(lambda: client.chat.completions.create(model="m", messages=[]))
    twin.do(lambda: client.chat.completions.create(model="m", extra_body={"messages": MESSAGES}))
    twin.do(lambda: client.generate("m", []))
    assert [request.json()["messages"] for request in up.requests] == [[], MESSAGES, []]


def test_resources_are_stable_and_settable(up: Upstream) -> None:
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    assert client.chat is client.chat
    assert client.chat.completions is client.chat.completions
    client.chat.completions.create = lambda **params: "wrapped"  # type: ignore[method-assign, assignment]
    assert client.chat.completions.create(model="m", messages=[]) == "wrapped"  # type: ignore[comparison-overlap]
    with pytest.raises(AttributeError, match="post"):
        _ = client.images


def test_scope_reaches_calls_and_their_tasks(up: Upstream) -> None:
    up.reply = ok(delay=30)
    client = fairlead.AsyncClient(api_key="test", base_url=up.base_url)

    async def main() -> None:
        with fairlead.scope(user="u", deadline=0.1), pytest.raises(fairlead.DeadlineExceeded):
            await asyncio.create_task(client.generate("m", "hi"))

    asyncio.run(main())


def test_b9_a_deployment_is_isolated_and_reset_by_its_name(up: Upstream) -> None:
    up.reply = ok("hi")
    deployment = {"id": "one", "provider": "openai", "model": "up", "base_url": up.base_url, "api_key": "k"}
    with fairlead.Client({"models": {"m": {"deployments": [deployment]}}}) as client:
        client.isolate("one")
        with pytest.raises(fairlead.NoHealthyDeployment, match="one was isolated by hand"):
            client.generate("m", "hi")
        client.reset("one")
        assert client.generate("m", "hi") == "hi"
        with pytest.raises(fairlead.ConfigError, match="no deployment is called `two`"):
            client.isolate("two")


def test_b9_without_a_configuration_it_is_called_as_receipts_call_it(up: Upstream, twin: Twin) -> None:
    up.reply = ok("hi")
    client = twin.client(up)
    reply = twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    client.isolate(reply.fairlead.deployment)
    with pytest.raises(fairlead.NoHealthyDeployment, match="isolated by hand"):
        twin.do(lambda: client.generate("m", "hi"))
    client.reset(reply.fairlead.deployment)
    assert twin.do(lambda: client.generate("m", "hi")) == "hi"


def test_hooks_get_every_receipt_on_their_own_thread(up: Upstream, twin: Twin) -> None:
    seen: list[tuple[str, str]] = []
    told = threading.Event()

    def broken(receipt: Receipt) -> None:
        raise RuntimeError("a hook that fails harms nobody")

    def hook(receipt: Receipt) -> None:
        seen.append((receipt.outcome, threading.current_thread().name))
        if len(seen) == 2:
            told.set()

    up.script = [ok("hi"), fail(400)]
    client = twin.client(up, on_event=[broken, hook])
    twin.do(lambda: client.generate("m", "hi"))
    with pytest.raises(fairlead.BadRequestError):
        twin.do(lambda: client.generate("m", "hi"))
    assert told.wait(10)
    assert seen == [("ok", "fairlead-hooks"), ("BadRequestError", "fairlead-hooks")]


def test_logging_is_off_until_asked_for_and_never_holds_content(
    up: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    fairlead.Client(api_key="test", base_url=up.base_url).generate("m", "a prompt")
    logger = logging.getLogger("fairlead")
    logger.setLevel(logging.INFO)
    logged = threading.Event()
    logger.addFilter(watch := lambda record: bool(logged.set() or True))
    try:
        fairlead.Client(api_key="sk-key-1234567890", base_url=up.base_url).generate("m", "a prompt")
        assert logged.wait(10)
    finally:
        logger.removeFilter(watch)
        logger.setLevel(logging.NOTSET)
    lines = [record.getMessage() for record in caplog.records if record.name == "fairlead"]
    assert len(lines) <= 1
    assert all("a prompt" not in line and "sk-key" not in line for line in lines)


def test_what_was_done_otherwise_than_asked_is_logged_once(
    up: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = {"provider": "openai", "model": "m", "base_url": up.base_url, "api_key": "k"}
    model = {"params": {"temperature": 1}, "deployments": [{**deployment, "drop_params": ["temperature"]}]}
    told = threading.Event()
    with caplog.at_level(logging.INFO, "fairlead"):
        calls: list[Receipt] = []

        def hook(receipt: Receipt) -> None:
            calls.append(receipt)
            if len(calls) == 3:
                told.set()

        with fairlead.Client({"models": {"m": model}}, on_event=hook) as client:
            notes = [
                client.chat.completions.create(model="m", messages=MESSAGES).fairlead.notes for _ in "123"
            ]
            assert told.wait(10)
    expected = "the default `temperature` was not sent: openai/m refuses it"
    assert notes == [[expected]] * 3
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warned if "temperature" in record.getMessage()] == [expected]


def test_a_config_dict_fails_over(up: Upstream, twin: Twin) -> None:
    up.at("a").reply = fail(503)
    deployments = [
        {"provider": "openai", "model": "m1", "base_url": up.url("a"), "api_key": "k1"},
        {"provider": "openai", "model": "m2", "base_url": up.url("b"), "api_key": fairlead.Secret("k2")},
    ]
    config = {"default_model": "smart", "models": {"smart": {"deployments": deployments}}}
    made = fairlead.Client if twin.kind == "sync" else fairlead.AsyncClient
    client = made(config)
    reply = twin.do(lambda: client.chat.completions.create(messages=MESSAGES))
    assert reply.fairlead.upstream_model == "m2"
    assert [attempt.status for attempt in reply.fairlead.attempts] == [503, 200]
    assert up.at("b").requests[0].headers["authorization"] == "Bearer k2"


def test_a_config_file_is_read(up: Upstream, tmp_path: Any) -> None:
    path = tmp_path / "fairlead.toml"
    path.write_text(f'[client]\nbase_url = "{up.base_url}"\napi_key = "k"\n')
    assert fairlead.Client(path).generate("m", "hi") == "hi"
    assert fairlead.Client(str(path)).generate("m", "hi") == "hi"
    with pytest.raises(fairlead.ConfigError, match=r"nothing\.toml"):
        fairlead.Client(tmp_path / "nothing.toml")
    with pytest.raises(fairlead.ConfigError, match="retires"):
        fairlead.Client({"retires": {}})


def test_module_functions_use_a_default_client(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairlead import defaults

    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("OPENAI_BASE_URL", up.base_url)
    monkeypatch.setattr(defaults, "_clients", {})
    assert fairlead.completion(model="openai/m", messages=MESSAGES).choices[0].message.content == "hi"
    assert len(fairlead.embedding(model="openai/e", input="a").data) == 1

    async def main() -> None:
        reply = await fairlead.acompletion(model="openai/m", messages=MESSAGES)
        assert reply.choices[0].message.content == "hi"
        assert len((await fairlead.aembedding(model="openai/e", input="a")).data) == 1

    asyncio.run(main())


def test_parse_validates_the_answer(up: Upstream, twin: Twin) -> None:
    pydantic = pytest.importorskip("pydantic")

    class Step(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        text: str

    class Answer(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        value: int
        steps: tuple[Step, ...] = ()
        note: str | None = None

    up.script = [ok('{"value": 7, "steps": [{"text": "a"}]}'), ok("{", finish_reason="length"), ok("no json")]
    client = twin.client(up)

    def parse() -> Any:
        return client.chat.completions.parse(model="m", messages=MESSAGES, response_format=Answer)

    reply = twin.do(parse)
    assert reply.choices[0].message.parsed == Answer(value=7, steps=(Step(text="a"),))
    assert isinstance(reply, ChatCompletion)
    schema = up.requests[0].json()["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["value", "steps", "note"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Step"]["additionalProperties"] is False
    with pytest.raises(fairlead.LengthFinishReasonError) as caught:
        twin.do(parse)
    assert caught.value.completion.choices[0].message.content == "{"
    with pytest.raises(pydantic.ValidationError):
        twin.do(parse)


def test_one_region_is_a_name_and_not_its_letters(up: Upstream) -> None:
    up.reply = ok("hi")
    places = [
        {"provider": "openai", "model": region, "region": region, "api_key": "k", "base_url": up.base_url}
        for region in ("us", "eu")
    ]
    with fairlead.Client({"models": {"m": {"deployments": places}}}) as client:
        client.generate("m", "x", fairlead={"regions": "eu"})
        with fairlead.scope(regions="eu"):
            client.generate("m", "x")
    assert [request.json()["model"] for request in up.requests] == ["eu", "eu"]
    with pytest.raises(fairlead.ConfigError, match=r"`models\.m\.regions`: expected a list, not a string"):
        fairlead.Client({"models": {"m": {"deployments": places, "regions": "eu"}}})
