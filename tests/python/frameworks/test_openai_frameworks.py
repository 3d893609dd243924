"""Real flows of the frameworks above the SDK, each with a deployment that fails first."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import httpx
import httpx2
import instructor
import pytest
from fairlead.openai import AsyncOpenAI, OpenAI, receipts
from fairlead.openai.httpx2 import AsyncTransport, Transport
from fairlead.testing import Upstream, fail, ok, stream, tool_call
from fault_table import config
from langchain.agents import create_agent
from langchain_core.exceptions import ContextOverflowError
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai_twin import MESSAGES
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langgraph.prebuilt import create_react_agent

BERN = {"name": "Bern", "people": 134_000}


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
def pair(up: Upstream) -> dict[str, Any]:
    """Two deployments: the first fails always, the second does what `well` says."""
    up.at("sick").reply = fail(500)
    return config(up.url("sick"), up.url("well"))


@pytest.fixture
def well(up: Upstream) -> Any:
    return up.at("well")


def calls_of(name: str, arguments: Any = BERN, id: str = "call_1") -> list[Any]:
    return [tool_call(name, arguments, id)]


# ===== instructor =====


def test_instructor_fills_a_class_over_a_failing_deployment(pair: Any, well: Any) -> None:
    well.script = [ok(tool_calls=calls_of("City"))]
    client = instructor.from_openai(OpenAI(pair))
    city, reply = client.chat.completions.create_with_completion(
        model="m", messages=MESSAGES, response_model=City
    )
    assert city.model_dump() == BERN
    assert reply.choices[0].finish_reason == "tool_calls"


def test_instructor_asks_again_when_the_answer_does_not_fit(pair: Any, well: Any) -> None:
    well.script = [ok(tool_calls=calls_of("City", {"name": "Bern"})), ok(tool_calls=calls_of("City"))]

    async def main() -> Any:
        client = instructor.from_openai(AsyncOpenAI(pair))
        return await client.chat.completions.create(
            model="m", messages=MESSAGES, response_model=City, max_retries=1
        )

    assert asyncio.run(main()).model_dump() == BERN
    assert len(well.requests) == 2
    assert "people" in str(well.requests[1].json()["messages"])


def test_instructor_streams_partial_objects(pair: Any, well: Any) -> None:
    step = stream((), tool_calls=calls_of("PartialCity"), finish="tool_calls")
    well.script = [step, step]
    client = instructor.from_openai(OpenAI(pair))
    partial = list(client.chat.completions.create_partial(model="m", messages=MESSAGES, response_model=City))
    assert partial[-1].model_dump() == BERN

    async def main() -> list[Any]:
        made = instructor.from_openai(AsyncOpenAI(pair))
        pieces = made.chat.completions.create_partial(model="m", messages=MESSAGES, response_model=City)
        return [piece async for piece in pieces]

    assert asyncio.run(main())[-1].model_dump() == BERN


# ===== pydantic-ai =====


def agent_of(client: AsyncOpenAI, **options: Any) -> Agent[None, Any]:
    model = OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))
    agent: Agent[None, Any] = Agent(model, **options)

    @agent.tool_plain
    def look(place: str) -> str:
        """Look a place up."""
        return f"{place}: 134000"

    return agent


def test_pydantic_ai_uses_a_tool_and_answers_with_a_class(pair: Any, well: Any) -> None:
    well.script = [
        ok(tool_calls=calls_of("look", {"place": "Bern"})),
        ok(tool_calls=calls_of("final_result", BERN, "call_2")),
    ]
    with receipts() as told:
        result = asyncio.run(agent_of(AsyncOpenAI(pair), output_type=City).run("where?"))
    assert result.output == City(**BERN)
    assert well.requests[1].json()["messages"][-1]["content"] == "Bern: 134000"
    assert [len(one.attempts) for one in told] == [2, 2]


def test_pydantic_ai_streams_text_and_objects(pair: Any, well: Any) -> None:
    well.script = [
        stream((), tool_calls=calls_of("look", {"place": "Bern"}), finish="tool_calls"),
        stream("It is Bern"),
        stream((), tool_calls=calls_of("final_result", BERN), finish="tool_calls"),
    ]

    async def main() -> None:
        client = AsyncOpenAI(pair)
        async with agent_of(client).run_stream("where?") as run:
            pieces = [piece async for piece in run.stream_text(delta=True, debounce_by=None)]
        assert "".join(pieces) == "It is Bern"
        async with agent_of(client, output_type=City).run_stream("where?") as run:
            assert await run.get_output() == City(**BERN)

    asyncio.run(main())


# ===== langchain-openai =====


def chat_of(pair: Any, **options: Any) -> ChatOpenAI:
    client = OpenAI(pair)
    aclient = AsyncOpenAI(client=client.fairlead)
    return ChatOpenAI(
        model="m",
        api_key="unused",
        client=client.chat.completions,
        root_client=client,
        async_client=aclient.chat.completions,
        root_async_client=aclient,
        **options,
    )


def through_transports(pair: Any, **options: Any) -> ChatOpenAI:
    below = OpenAI(pair).fairlead
    return ChatOpenAI(
        model="m",
        api_key="unused",
        http_client=httpx2.Client(transport=Transport(below)),
        http_async_client=httpx2.AsyncClient(transport=AsyncTransport(below)),
        max_retries=0,
        **options,
    )


@pytest.fixture(params=[chat_of, through_transports])
def chat(request: pytest.FixtureRequest, pair: Any) -> ChatOpenAI:
    return request.param(pair)


def test_langchain_openai_invokes_and_streams(chat: ChatOpenAI, well: Any) -> None:
    well.script = [ok("Hello"), stream("a b c")]
    with receipts() as told:
        message = chat.invoke("hi")
        pieces = [chunk.content for chunk in chat.stream("hi")]
    assert message.content == "Hello"
    assert message.usage_metadata["total_tokens"] == 2
    assert "".join(pieces) == "a b c"
    assert [one.deployment for one in told] == ["openai/up-1"] * 2


def test_langchain_openai_on_two_loops_one_after_the_other(chat: ChatOpenAI, well: Any) -> None:
    well.script = [ok("Hello"), stream("a b c")] * 2

    async def main() -> None:
        assert (await chat.ainvoke("hi")).content == "Hello"
        assert "".join([chunk.content async for chunk in chat.astream("hi")]) == "a b c"

    asyncio.run(main())
    asyncio.run(main())


def test_langchain_openai_structured_output(chat: ChatOpenAI, well: Any) -> None:
    well.script = [ok('{"name": "Bern", "people": 134000}'), ok(tool_calls=calls_of("City"))]
    assert chat.with_structured_output(City).invoke("hi") == City(**BERN)
    assert chat.with_structured_output(City, method="function_calling").invoke("hi") == City(**BERN)


def test_langchain_openai_knows_a_prompt_that_is_too_long(up: Upstream) -> None:
    up.reply = fail(400, "This model's maximum context length is 8192 tokens")
    with pytest.raises(ContextOverflowError):
        chat_of(config(up.base_url)).invoke("hi")


def test_langchain_openai_embeddings(pair: Any) -> None:
    client = OpenAI(pair)
    embeddings = OpenAIEmbeddings(
        model="m", api_key="unused", client=client.embeddings, check_embedding_ctx_length=False
    )
    assert [len(vector) for vector in embeddings.embed_documents(["a", "b"])] == [8, 8]


# ===== langgraph =====


def look(place: str) -> str:
    """Look a place up."""
    return f"{place}: 134000"


def react(chat: ChatOpenAI) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return create_react_agent(chat, [look])


@pytest.mark.parametrize("make", [lambda chat: create_agent(chat, [look]), react])
def test_a_prebuilt_agent_of_langgraph(chat: ChatOpenAI, well: Any, make: Any) -> None:
    well.script = [ok(tool_calls=calls_of("look", {"place": "Bern"})), ok("It is Bern")] * 2
    agent = make(chat)
    question = {"messages": [("user", "where?")]}
    assert agent.invoke(question)["messages"][-1].content == "It is Bern"
    answer = asyncio.run(agent.ainvoke(question))
    assert answer["messages"][-1].content == "It is Bern"
    assert well.requests[1].json()["messages"][-1]["content"] == "Bern: 134000"


def test_an_agents_tokens_are_streamed(chat: ChatOpenAI, well: Any) -> None:
    well.script = [
        stream((), tool_calls=calls_of("look", {"place": "Bern"}), finish="tool_calls"),
        stream("It is Bern"),
    ]

    async def main() -> list[str]:
        agent: Any = create_agent(chat, [look])
        events = agent.astream({"messages": [("user", "where?")]}, stream_mode="messages")
        return [message.content async for message, _ in events if message.type == "AIMessageChunk"]

    assert "".join(asyncio.run(main())) == "It is Bern"


def test_a_legacy_httpx_client_serves_langchain_openai(pair: Any, well: Any) -> None:
    from fairlead.openai.httpx import Transport as Legacy

    well.script = [ok("Hello")]
    transport = Legacy(OpenAI(pair).fairlead)
    chat = ChatOpenAI(
        model="m", api_key="unused", http_client=httpx.Client(transport=transport), max_retries=0
    )
    assert chat.invoke("hi").content == "Hello"
