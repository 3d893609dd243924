"""The SDK's surface through the engine: its own objects, from its own bytes, by its own methods."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import fairlead
import openai
import pytest
from fairlead.openai import AsyncOpenAI, OpenAI, receipt, receipts
from fairlead.testing import Upstream, fail, ok, stream, tool_call
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai_twin import MESSAGES, Twin, text_of
from pydantic import BaseModel


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


class City(BaseModel):
    name: str
    people: int


def test_the_clients_are_the_sdks_own(up: Upstream) -> None:
    assert isinstance(OpenAI(api_key="test", base_url=up.base_url), openai.OpenAI)
    assert isinstance(AsyncOpenAI(api_key="test", base_url=up.base_url), openai.AsyncOpenAI)


def test_a_completion_is_the_sdks_object_of_the_real_bytes(up: Upstream, twin: Twin) -> None:
    up.script = [ok("Hello", headers={"x-request-id": "r1"})]
    client = twin.client(up)
    reply = twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, temperature=0.5))
    assert type(reply) is ChatCompletion
    assert reply.choices[0].message.content == "Hello"
    assert reply._request_id == "r1"
    assert up.requests[0].json() == {"model": "m", "messages": MESSAGES, "temperature": 0.5}
    assert up.requests[0].headers["authorization"] == "Bearer test"


def test_a_body_goes_out_byte_by_byte_as_the_sdk_wrote_it(up: Upstream, twin: Twin) -> None:
    arguments: Any = {"model": "m", "messages": MESSAGES, "seed": 1, "top_p": 1.0, "user": "\u00fc \u4f60"}
    client = twin.client(up)
    twin.do(lambda: client.chat.completions.create(**arguments))
    with openai.OpenAI(api_key="test", base_url=up.base_url) as alone:
        alone.chat.completions.create(**arguments)
    assert up.requests[0].body == up.requests[1].body


def test_a_stream_is_the_sdks_with_its_head(up: Upstream, twin: Twin) -> None:
    up.script = [stream("a b c", headers={"x-request-id": "r7"})]
    client = twin.client(up)
    chunks = twin.collect(lambda: client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert {type(chunk) for chunk in chunks} == {ChatCompletionChunk}
    assert text_of(chunks) == "a b c"
    assert "stream" in up.requests[0].json()


def test_usage_of_a_stream_comes_only_when_asked_for(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)

    def ask(**more: Any) -> Any:
        return client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **more)

    assert not any(chunk.usage for chunk in twin.collect(ask))
    asked = twin.collect(lambda: ask(stream_options={"include_usage": True}))
    assert asked[-1].usage.total_tokens == 2


def test_raw_responses_and_their_receipts(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    up.script = [fail(500), ok("Hello", headers={"x-request-id": "r1", "x-own": "1"})]
    raw = twin.do(lambda: client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES))
    assert raw.status_code == 200
    assert raw.request_id == "r1"
    assert raw.headers["x-own"] == "1"
    assert raw.headers["x-fairlead-deployment"] == "openai/m"
    assert raw.headers["x-fairlead-attempts"] == "2"
    assert raw.retries_taken == 0
    assert raw.elapsed.total_seconds() > 0
    assert raw.parse().choices[0].message.content == "Hello"
    assert b"Hello" in raw.content
    assert [line.status for line in receipt(raw).attempts] == [500, 200]


def test_the_cost_is_among_the_headers_where_it_is_known(up: Upstream) -> None:
    priced = {"provider": "openai", "model": "x", "base_url": up.base_url, "api_key": "k"}
    priced["price"] = {"input": 1.0, "output": 3.0}
    client = OpenAI({"models": {"m": {"deployments": [priced]}}})
    raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.headers["x-fairlead-cost"] == "0.000004"
    assert receipt(raw).cost_usd == pytest.approx(4e-6)


def test_streaming_responses_of_both_kinds(up: Upstream) -> None:
    up.script = [ok("Hello"), stream("a b")]
    client = OpenAI(api_key="test", base_url=up.base_url)
    create = client.chat.completions.with_streaming_response.create
    with create(model="m", messages=MESSAGES) as whole:
        assert b"Hello" in whole.read()
        assert receipt(whole).deployment == "openai/m"
    with create(model="m", messages=MESSAGES, stream=True) as events:
        lines = [line for line in events.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_streaming_responses_on_a_loop(up: Upstream) -> None:
    up.script = [ok("Hello"), stream("a b")]

    async def main() -> None:
        client = AsyncOpenAI(api_key="test", base_url=up.base_url)
        create = client.chat.completions.with_streaming_response.create
        async with create(model="m", messages=MESSAGES) as whole:
            assert b"Hello" in await whole.read()
        async with create(model="m", messages=MESSAGES, stream=True) as events:
            lines = [line async for line in events.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"

    asyncio.run(main())


def test_parse_into_a_class(up: Upstream, twin: Twin) -> None:
    up.script = [ok('{"name": "Bern", "people": 134000}')]
    client = twin.client(up)
    reply = twin.do(lambda: client.chat.completions.parse(model="m", messages=MESSAGES, response_format=City))
    assert reply.choices[0].message.parsed == City(name="Bern", people=134_000)
    assert up.requests[0].json()["response_format"]["json_schema"]["name"] == "City"


def test_the_stream_helper_puts_it_together(up: Upstream) -> None:
    up.script = [stream("a b c")]
    client = OpenAI(api_key="test", base_url=up.base_url)
    with client.chat.completions.stream(model="m", messages=MESSAGES) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
        final = events.get_final_completion()
    assert "".join(deltas) == "a b c" == final.choices[0].message.content


def test_the_stream_helper_on_a_loop_with_a_tool_call(up: Upstream) -> None:
    up.script = [stream(tool_calls=[tool_call("look", {"at": "it"})], finish="tool_calls")]
    tool: Any = {
        "type": "function",
        "function": {"name": "look", "strict": True, "parameters": {"type": "object", "properties": {}}},
    }

    async def main() -> None:
        client = AsyncOpenAI(api_key="test", base_url=up.base_url)
        async with client.chat.completions.stream(model="m", messages=MESSAGES, tools=[tool]) as events:
            kinds = {event.type async for event in events}
            final = await events.get_final_completion()
        assert "tool_calls.function.arguments.done" in kinds
        assert final.choices[0].message.tool_calls[0].function.name == "look"

    asyncio.run(main())


def test_embeddings(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    reply = twin.do(lambda: client.embeddings.create(model="e", input=["a", "b"]))
    assert type(reply) is CreateEmbeddingResponse
    assert [len(one.embedding) for one in reply.data] == [8, 8]
    assert isinstance(reply.data[0].embedding[0], float)


def test_models_are_the_providers_or_the_configurations(up: Upstream, twin: Twin) -> None:
    up.script = [ok(models=["a", "b"])]
    client = twin.client(up)
    assert [model.id for model in twin.collect(lambda: client.models.list())] == ["a", "b"]
    deployment = {"provider": "openai", "model": "x", "base_url": up.base_url, "api_key": "k"}
    configured = twin.make({"models": {"smart": {"deployments": [deployment]}}})
    assert [model.id for model in twin.collect(lambda: configured.models.list())] == ["smart"]
    assert twin.do(lambda: configured.models.retrieve("smart")).id == "smart"
    assert len(up.requests) == 1


@pytest.mark.parametrize("base", ["v1", "v1/acc/gw/openai", "v1/acc/v1/gw/", "v1beta/openai/", "api/v1"])
def test_every_path_is_the_one_that_the_sdk_would_ask_for(base: str, up: Upstream, twin: Twin) -> None:
    url = up.base_url.removesuffix("v1") + base
    ours = twin.make(api_key="test", base_url=url)
    with openai.OpenAI(api_key="test", base_url=url, max_retries=0) as alone:
        for client, do in ((ours, twin.do), (alone, lambda call: call())):
            do(lambda client=client: client.chat.completions.create(model="m", messages=MESSAGES))
            do(lambda client=client: client.embeddings.create(model="m", input="x"))
            do(lambda client=client: client.models.retrieve("a/b"))
            do(lambda client=client: client.moderations.create(input="x"))
            do(lambda client=client: client.get("/more/v1/still", cast_to=object))
    paths = [request.target for request in up.requests]
    assert paths[:5] == paths[5:]


def test_receipts_of_all_calls_inside_are_collected(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    up.script = [ok("one"), stream("two three"), fail(400)]

    def ask(**more: Any) -> Any:
        return client.chat.completions.create(model="m", messages=MESSAGES, **more)

    with receipts() as outer, receipts() as told:
        twin.do(ask)
        twin.collect(lambda: ask(stream=True))
        with pytest.raises(openai.BadRequestError):
            twin.do(ask)
    twin.do(ask)
    assert [(one.stream, one.outcome, one.usage.output) for one in told] == [
        (False, "ok", 1),
        (True, "ok", 2),
    ]
    assert len(outer) == 2


def test_a_parsed_reply_says_how_to_get_its_receipt(up: Upstream) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    with pytest.raises(TypeError, match="receipts"):
        receipt(client.chat.completions.create(model="m", messages=MESSAGES))


def test_one_client_serves_many_loops_and_threads(up: Upstream) -> None:
    client = AsyncOpenAI(api_key="test", base_url=up.base_url)
    blocking = OpenAI(client=client.fairlead)
    said: list[str | None] = []

    async def main() -> None:
        replies = (client.chat.completions.create(model="m", messages=MESSAGES) for _ in range(5))
        said.extend(reply.choices[0].message.content for reply in await asyncio.gather(*replies))

    def work() -> None:
        asyncio.run(main())
        asyncio.run(main())
        said.append(blocking.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["hi"] * 44


def test_a_client_refuses_to_be_pickled_and_replies_do_not(up: Upstream) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    for attempt in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            attempt(client)
    reply = client.chat.completions.create(model="m", messages=MESSAGES)
    assert pickle.loads(pickle.dumps(reply)) == reply


def test_closing_closes_what_is_its_own(up: Upstream) -> None:
    shared = fairlead.Client(api_key="test", base_url=up.base_url)
    with OpenAI(client=shared) as passing, OpenAI(api_key="test", base_url=up.base_url) as own:
        passing.chat.completions.create(model="m", messages=MESSAGES)
    assert passing.is_closed()
    assert not shared.is_closed()
    assert own.fairlead.is_closed()
    with pytest.raises((RuntimeError, openai.APIConnectionError)):
        own.chat.completions.create(model="m", messages=MESSAGES)


def test_a_transport_tells_that_the_client_below_was_closed(up: Upstream) -> None:
    shared = fairlead.Client(api_key="test", base_url=up.base_url)
    client = OpenAI(client=shared)
    shared.close()
    with pytest.raises(openai.APIConnectionError) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert isinstance(caught.value.__cause__.__cause__, fairlead.errors.ClientClosed)
