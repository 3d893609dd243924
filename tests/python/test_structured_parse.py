"""`chat.completions.parse` and the stream helper: objects of answers and of tools' arguments."""

from __future__ import annotations

import json
from typing import Any

import fairlead
import pytest
from fairlead.accumulate import ChatCompletionStreamState
from fairlead.testing import Upstream, ok, stream, tool_call

pydantic = pytest.importorskip("pydantic")
MESSAGES = [{"role": "user", "content": "hi"}]


class City(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str
    people: int = 0


class Weather(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    """What the weather is like."""

    city: str
    days: list[int]


@fairlead.tool
def add(first: int, second: int = 1) -> int:
    """Add two numbers."""
    return first + second


ARGUMENTS = '{"city": "Rome", "days": [1, 2]}'


@pytest.fixture
def client(up: Upstream) -> Any:
    return fairlead.Client(api_key="test", base_url=up.base_url)


def test_arguments_of_pydantic_classes_become_objects(up: Upstream, client: Any) -> None:
    up.script = [ok(tool_calls=[tool_call("Weather", ARGUMENTS)])]
    reply = client.chat.completions.parse(model="m", messages=MESSAGES, tools=[Weather])
    call = reply.choices[0].message.tool_calls[0]
    assert call.function.parsed_arguments == Weather(city="Rome", days=[1, 2])
    assert call.function.arguments == ARGUMENTS
    assert reply.choices[0].message.parsed is None
    sent = up.requests[0].json()
    assert "response_format" not in sent
    function = sent["tools"][0]["function"]
    assert (function["name"], function["strict"]) == ("Weather", True)
    assert function["description"] == "What the weather is like."
    assert function["parameters"]["additionalProperties"] is False


def test_tools_of_the_openai_sdk_and_of_ours_and_strict_ones_become_objects(
    up: Upstream, client: Any
) -> None:
    openai = pytest.importorskip("openai")
    strict = {"type": "function", "function": {"name": "s", "strict": True, "parameters": {"type": "object"}}}
    loose = {"type": "function", "function": {"name": "l", "parameters": {"type": "object"}}}
    names = ("Weather", "add", "s", "l", "unknown")
    texts = (ARGUMENTS, '{"first": 2}', "{}", "{}", "{}")
    up.script = [ok(tool_calls=[tool_call(*pair) for pair in zip(names, texts, strict=True)])]
    reply = client.chat.completions.parse(
        model="m", messages=MESSAGES, tools=[openai.pydantic_function_tool(Weather), add, strict, loose]
    )
    parsed = [call.function.parsed_arguments for call in reply.choices[0].message.tool_calls]
    assert parsed == [Weather(city="Rome", days=[1, 2]), {"first": 2, "second": 1}, {}, None, None]
    ours = [tool for tool in up.requests[0].json()["tools"] if tool["function"]["name"] == "Weather"]
    assert ours == [json.loads(json.dumps(openai.pydantic_function_tool(Weather)))]


def test_a_class_is_sent_as_the_openai_sdk_sends_it(up: Upstream, client: Any) -> None:
    theirs = pytest.importorskip("openai.lib._parsing._completions")
    up.script = [ok('{"name": "Rome"}')]
    reply = client.chat.completions.parse(model="m", messages=MESSAGES, response_format=City)
    assert reply.choices[0].message.parsed == City(name="Rome")
    assert up.requests[0].json()["response_format"] == theirs.type_to_response_format_param(City)


def test_a_dict_is_sent_as_it_is_and_not_read(up: Upstream, client: Any) -> None:
    up.script = [ok("{}")]
    reply = client.chat.completions.parse(
        model="m", messages=MESSAGES, response_format={"type": "json_object"}
    )
    assert reply.choices[0].message.parsed is None
    assert up.requests[0].json()["response_format"] == {"type": "json_object"}


def test_arguments_that_do_not_fit_are_raised(up: Upstream, client: Any) -> None:
    up.script = [ok(tool_calls=[tool_call("Weather", "{}")])]
    with pytest.raises(pydantic.ValidationError):
        client.chat.completions.parse(model="m", messages=MESSAGES, tools=[Weather])


def events_of(client: Any, **params: Any) -> tuple[list[Any], Any]:
    with client.chat.completions.stream(model="m", messages=MESSAGES, **params) as events:
        return list(events), events.get_final_completion()


def test_the_stream_helper_parses_answers(up: Upstream, client: Any) -> None:
    up.script = [stream(['{"name": "R', 'ome", "peo', 'ple": 3}'])]
    events, completion = events_of(client, response_format=City)
    deltas = [event.parsed for event in events if event.type == "content.delta"]
    assert deltas == [{"name": "R"}, {"name": "Rome"}, {"name": "Rome", "people": 3}]
    done = [event.parsed for event in events if event.type == "content.done"]
    assert done == [completion.choices[0].message.parsed] == [City(name="Rome", people=3)]
    assert up.requests[0].json()["response_format"]["json_schema"]["name"] == "City"


def test_the_stream_helper_parses_arguments(up: Upstream, client: Any) -> None:
    calls = [tool_call("Weather", ARGUMENTS), tool_call("add", '{"first": 2}', "call_2")]
    up.script = [stream([], tool_calls=calls, finish="tool_calls")]
    events, completion = events_of(client, tools=[Weather, add])
    done = [e.parsed_arguments for e in events if e.type == "tool_calls.function.arguments.done"]
    assert done == [Weather(city="Rome", days=[1, 2]), {"first": 2, "second": 1}]
    deltas = [e.parsed_arguments for e in events if e.type == "tool_calls.function.arguments.delta"]
    assert deltas == [{"city": "Rome", "days": [1, 2]}, {"first": 2}]
    final = [call.function.parsed_arguments for call in completion.choices[0].message.tool_calls]
    assert final == done


@pytest.mark.parametrize(
    ("finish", "error"),
    [
        ("length", fairlead.LengthFinishReasonError),
        ("content_filter", fairlead.ContentFilterFinishReasonError),
    ],
)
def test_the_stream_helper_raises_where_an_answer_was_cut_off(
    finish: str, error: Any, up: Upstream, client: Any
) -> None:
    up.script = [stream(['{"name"'], finish=finish), stream(["text"], finish=finish)]
    with pytest.raises(error) as caught:
        events_of(client, response_format=City)
    assert caught.value.completion.choices[0].message.content == '{"name"'
    assert events_of(client)[1].choices[0].message.content == "text"


def test_chunks_put_together_by_hand_are_parsed_too(up: Upstream, client: Any) -> None:
    up.script = [stream(['{"name": "Rome"}'])]
    state = ChatCompletionStreamState(response_format=City, input_tools=[Weather])
    for chunk in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
        state.handle_chunk(chunk)
    assert state.get_final_completion().choices[0].message.parsed == City(name="Rome")
