"""Objects from models: ways, repairs, streams, both clients."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import fairlead
import pytest
from fairlead.testing import Request, Upstream, fail, ok, stream, tool_call
from typing_extensions import TypedDict

pydantic = pytest.importorskip("pydantic")


class City(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str
    people: int


PLAIN = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name", "people"],
    "additionalProperties": False,
}
ROME = '{"name": "Rome", "people": 3}'
UNSUPPORTED = fail(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported here")


class Twin:
    """One of the two clients behind one face that blocks."""

    def __init__(self, kind: str, up: Upstream) -> None:
        made = fairlead.Client if kind == "sync" else fairlead.AsyncClient
        self.kind = kind
        self.client: Any = made(api_key="test", base_url=up.base_url)

    def do(self, call: Callable[[], Any]) -> Any:
        async def main() -> Any:
            return await call()

        return call() if self.kind == "sync" else asyncio.run(main())

    def generate(self, schema: Any, *, model: str = "m", **params: Any) -> Any:
        return self.do(lambda: self.client.generate_structured(model, "Where?", schema, **params))

    def structured(self, schema: Any, **params: Any) -> Any:
        return self.do(lambda: self.client.structured("m", "Where?", schema, **params))

    def stream(self, schema: Any, **params: Any) -> list[Any]:
        async def main() -> list[Any]:
            return [part async for part in self.client.stream_structured("m", "Where?", schema, **params)]

        if self.kind == "sync":
            return list(self.client.stream_structured("m", "Where?", schema, **params))
        return asyncio.run(main())


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest, up: Upstream) -> Twin:
    return Twin(request.param, up)


def call(text: str, name: str = "City") -> Any:
    return ok(tool_calls=[tool_call(name, text)])


def ways(up: Upstream) -> list[str]:
    """How each request asked."""
    return [
        "json_schema" if "response_format" in body else "tool" if "tools" in body else "prompt"
        for body in (request.json() for request in up.requests)
    ]


# ===== what is asked and what comes back =====


def test_an_object_of_a_class(up: Upstream, twin: Twin) -> None:
    up.script = [ok(ROME)]
    assert twin.generate(City, temperature=0) == City(name="Rome", people=3)
    body = up.requests[0].json()
    assert body["temperature"] == 0
    asked = body["response_format"]["json_schema"]
    assert (asked["name"], asked["strict"]) == ("City", True)
    assert asked["schema"]["required"] == ["name", "people"]
    assert asked["schema"]["additionalProperties"] is False


def test_a_json_schema_needs_no_pydantic(up: Upstream, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    up.script = [ok(ROME), ok('{"name": 1}'), ok('{"name": "Rome", "people": 3, "more": 1}')]
    assert twin.generate(PLAIN) == {"name": "Rome", "people": 3}
    with pytest.raises(fairlead.StructuredOutputError) as caught:
        twin.generate(PLAIN)
    assert caught.value.errors == ["$.more: is none of its members"]
    with pytest.raises(TypeError, match="needs pydantic"):
        twin.generate(City)


def test_a_whole_response_format_is_a_schema_too(up: Upstream, twin: Twin) -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLAIN, "strict": False}}
    up.script = [ok(ROME)]
    assert twin.generate(asked) == {"name": "Rome", "people": 3}
    assert up.requests[0].json()["response_format"] == asked


class Place(TypedDict):
    name: str


@dataclass
class Spot:
    name: str
    near: list[str]


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        (Place, '{"name": "x"}', {"name": "x"}),
        (Spot, '{"name": "x", "near": ["y"]}', Spot("x", ["y"])),
        (list[Spot], '{"value": [{"name": "x", "near": []}]}', [Spot("x", [])]),
        (list[int], "[1, 2]", [1, 2]),
        (int, '{"value": 7}', 7),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (City | Spot, '{"value": {"name": "x", "near": []}}', Spot("x", [])),
    ],
)
def test_any_annotation_pydantic_knows(
    schema: Any, text: str, expected: Any, up: Upstream, twin: Twin
) -> None:
    up.script = [ok(text)]
    assert twin.generate(schema) == expected
    sent = up.requests[0].json()["response_format"]["json_schema"]["schema"]
    assert sent.get("type") == "object" or "properties" in sent


def test_what_strict_mode_cannot_say_is_not_asked_strictly(up: Upstream, twin: Twin) -> None:
    loose = {"type": "object", "properties": {"a": {"type": "integer"}}}
    up.script = [ok('{"a": 1}'), ok("{}"), ok('{"a": 1}')]
    twin.generate(dict[str, int])
    twin.generate(loose)
    twin.generate(loose, strict=True)
    asked = [request.json()["response_format"]["json_schema"] for request in up.requests]
    assert [one["strict"] for one in asked] == [False, False, True]
    assert asked[1]["schema"] == loose
    assert asked[2]["schema"]["required"] == ["a"]


@pytest.mark.parametrize(
    "text",
    [ROME, f"```json\n{ROME}\n```", f"Here it is:\n{ROME}\nAnything else?", f"  {ROME}\n", f"```\n{ROME}```"],
)
def test_fences_and_words_around_the_object_are_passed_over(text: str, up: Upstream, twin: Twin) -> None:
    up.script = [ok(text)]
    assert twin.generate(City, repairs=0) == City(name="Rome", people=3)


# ===== ways =====


def test_a_forced_tool(up: Upstream, twin: Twin) -> None:
    up.script = [call(ROME)]
    assert twin.generate(City, mode="tool") == City(name="Rome", people=3)
    body = up.requests[0].json()
    assert body["tool_choice"] == {"type": "function", "function": {"name": "City"}}
    assert body["tools"][0]["function"]["parameters"]["required"] == ["name", "people"]
    assert "response_format" not in body


def test_a_prompt_keeps_the_system_message(up: Upstream, twin: Twin) -> None:
    up.script = [ok(ROME), ok(ROME)]
    twin.generate(City, mode="prompt")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]
    twin.do(lambda: twin.client.generate_structured("m", messages, City, mode="prompt"))
    first, second = (request.json()["messages"] for request in up.requests)
    assert [message["role"] for message in first] == ["system", "user"]
    assert '"people"' in first[0]["content"]
    assert [message["role"] for message in second] == ["system", "user"]
    assert second[0]["content"].startswith("Be brief.\n\n")
    assert messages[0]["content"] == "Be brief."


def test_what_a_model_refuses_is_asked_in_the_next_way_and_remembered(up: Upstream, twin: Twin) -> None:
    up.script = [UNSUPPORTED, call(ROME), call(ROME)]
    assert twin.structured(City).way == "tool"
    assert twin.structured(City).way == "tool"
    assert ways(up) == ["json_schema", "tool", "tool"]
    up.script = [ok(ROME)]
    twin.generate(City, model="other")
    assert ways(up)[-1] == "json_schema"


def test_all_ways_are_tried_once(up: Upstream, twin: Twin) -> None:
    up.script = [UNSUPPORTED, fail(404, "No endpoints found that support tool use"), ok(ROME), ok(ROME)]
    found = twin.structured(City)
    assert (found.way, found.repairs) == ("prompt", 0)
    twin.generate(City)
    assert ways(up) == ["json_schema", "tool", "prompt", "prompt"]


def test_a_way_that_was_named_is_kept(up: Upstream, twin: Twin) -> None:
    up.script = [UNSUPPORTED]
    with pytest.raises(fairlead.BadRequestError):
        twin.generate(City, mode="json_schema")
    assert len(up.requests) == 1


def test_other_refusals_are_raised(up: Upstream, twin: Twin) -> None:
    up.script = [fail(400, "temperature must be below 2")]
    with pytest.raises(fairlead.BadRequestError, match="temperature"):
        twin.generate(City)
    assert len(up.requests) == 1


def test_a_schema_that_is_refused_says_nothing_about_the_model(up: Upstream, twin: Twin) -> None:
    up.script = [fail(400, "Invalid schema for response_format 'City': too deep"), call(ROME), ok(ROME)]
    assert twin.generate(City) == twin.generate(City)
    assert ways(up) == ["json_schema", "tool", "json_schema"]


def test_a_configuration_that_rules_schemas_out_costs_no_request(up: Upstream) -> None:
    post = {"provider": "openai", "model": "m", "api_key": "k", "base_url": up.base_url}
    up.script = [call(ROME)]
    config = {"models": {"m": {"deployments": [{**post, "supports": {"json_schema": False}}]}}}
    with fairlead.Client(config) as client:
        assert client.generate_structured("m", "Where?", City) == City(name="Rome", people=3)
    assert ways(up) == ["tool"]


def test_a_host_that_passes_over_the_schema_is_asked_in_another_way(up: Upstream, twin: Twin) -> None:
    up.script = [ok("Rome, of course."), call(ROME), call(ROME)]
    found = twin.structured(City)
    assert (found.way, found.repairs) == ("tool", 1)
    twin.generate(City)
    assert ways(up) == ["json_schema", "tool", "tool"]


# ===== repairs =====


def test_the_model_is_shown_its_answer_and_what_is_wrong(up: Upstream, twin: Twin) -> None:
    up.script = [ok('{"name": "Rome", "people": "many"}'), ok(ROME)]
    found = twin.structured(City)
    assert (found.value, found.repairs) == (City(name="Rome", people=3), 1)
    assert len(found.receipts) == found.spending.calls == 2
    _, answer, words = up.requests[1].json()["messages"]
    assert answer == {"role": "assistant", "content": '{"name": "Rome", "people": "many"}'}
    assert "$.people: Input should be a valid integer" in words["content"]


def test_a_tools_arguments_are_mended_by_a_tool_message(up: Upstream, twin: Twin) -> None:
    up.script = [call("{}"), call(ROME)]
    assert twin.generate(City, mode="tool") == City(name="Rome", people=3)
    _, answer, told = up.requests[1].json()["messages"]
    assert answer["tool_calls"][0]["function"]["arguments"] == "{}"
    assert (told["role"], told["tool_call_id"]) == ("tool", "call_1")
    assert "$.name: Field required" in told["content"]


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_repairs_are_bounded_and_counted(repairs: int, up: Upstream, twin: Twin) -> None:
    up.reply = ok('{"name": "Rome"}')
    with pytest.raises(fairlead.StructuredOutputError) as caught:
        twin.generate(City, repairs=repairs)
    assert len(up.requests) == repairs + 1
    error = caught.value
    assert (error.raw, error.repairs, error.errors) == (
        '{"name": "Rome"}',
        repairs,
        ["$.people: Field required"],
    )
    assert len(error.attempts) == repairs + 1
    assert error.deployment == "openai/m"


def test_repairs_share_the_calls_deadline(up: Upstream, twin: Twin) -> None:
    up.reply = ok("{}", delay=0.6)
    with pytest.raises(fairlead.DeadlineExceeded):
        twin.generate(City, repairs=10, fairlead={"deadline": 1.5})
    assert len(up.requests) <= 3


def test_repairs_share_the_calls_budget(up: Upstream) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    up.reply = ok("{}", usage=usage)
    price = {"input": 1000.0, "output": 1000.0}
    post = {"provider": "openai", "model": "m", "api_key": "k", "base_url": up.base_url, "price": price}
    with fairlead.Client({"models": {"m": {"deployments": [post]}}}) as client:
        with pytest.raises(fairlead.BudgetExceeded):
            client.generate_structured("m", "Where?", City, repairs=10, fairlead={"budget": 3.0})
        assert len(up.requests) <= 2


# ===== endings =====


def test_an_answer_that_was_cut_off_is_not_mended(up: Upstream, twin: Twin) -> None:
    up.script = [ok('{"name": "Ro', finish_reason="length"), ok("", finish_reason="content_filter")]
    with pytest.raises(fairlead.LengthFinishReasonError) as caught:
        twin.generate(City)
    assert caught.value.completion.choices[0].message.content == '{"name": "Ro'
    with pytest.raises(fairlead.ContentFilterFinishReasonError):
        twin.generate(City)
    assert len(up.requests) == 2


def refusing(request: Request) -> Any:
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return fail(200, body=body)


def test_a_refusal_is_told_and_not_mended(up: Upstream, twin: Twin) -> None:
    up.script = [refusing]
    with pytest.raises(fairlead.StructuredOutputError, match="refused: I will not") as caught:
        twin.generate(City, repairs=3)
    assert caught.value.refusal == "I will not."
    assert len(up.requests) == 1


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"mode": "magic"}, ValueError),
        ({"repairs": 11}, ValueError),
        ({"repairs": -1}, ValueError),
        ({"repairs": None}, ValueError),
        ({"repairs": 1.5}, ValueError),
        ({"response_format": PLAIN}, TypeError),
        ({"tools": []}, TypeError),
        ({"stream": True}, TypeError),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    params: dict[str, Any], error: Any, up: Upstream, twin: Twin
) -> None:
    with pytest.raises(error):
        twin.generate(City, **params)
    assert up.requests == []


@pytest.mark.parametrize(
    ("part", "error"),
    [({"$ref": "#/$defs/gone"}, ValueError), ({"$ref": "#a"}, ValueError), ({"type": "str"}, TypeError)],
)
def test_a_schema_that_is_none_is_refused_before_anything_is_sent(
    part: Any, error: Any, up: Upstream, twin: Twin
) -> None:
    for call in (twin.generate, twin.structured, twin.stream):
        with pytest.raises(error, match=r"\$\.properties\.a\."):
            call({"type": "object", "properties": {"a": part}})
    assert up.requests == []


@pytest.mark.parametrize(
    ("part", "text"), [({"multipleOf": 0.5}, "1e999"), ({"pattern": r"^\p{L}+$"}, '"x"')]
)
def test_no_answer_breaks_the_check(part: Any, text: str, up: Upstream, twin: Twin) -> None:
    up.script = [ok(f'{{"a": {text}}}'), ok('{"a": 1}')]
    assert "a" in twin.generate({"type": "object", "properties": {"a": part}})


def test_any_json_object(up: Upstream, twin: Twin) -> None:
    up.script = [ok('{"a": [1]}'), ok("[1]"), ok('{"b": 1}')]
    assert twin.generate({"type": "json_object"}) == {"a": [1]}
    assert up.requests[0].json()["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert twin.generate({"type": "json_object"}) == {"b": 1}


def test_response_format_is_another_name_of_schema(up: Upstream, twin: Twin) -> None:
    up.reply = ok(ROME)
    rome, client = City(name="Rome", people=3), twin.client
    assert twin.do(lambda: client.generate_structured("m", "Where?", response_format=City)) == rome
    assert twin.do(lambda: client.structured("m", "Where?", response_format=City)).value == rome
    assert twin.generate(None, response_format=PLAIN) == {"name": "Rome", "people": 3}
    up.reply = stream([ROME])
    assert twin.stream(None, response_format=City)[-1] == rome
    assert {len(request.json()["messages"]) for request in up.requests} == {1}


def test_one_schema_is_given_and_not_none_or_two(up: Upstream, twin: Twin) -> None:
    for call in (twin.generate, twin.structured, twin.stream):
        with pytest.raises(TypeError, match="`schema` and `response_format` are the same"):
            call(City, response_format=City)
        with pytest.raises(TypeError, match="`response_format` is missing"):
            call(None)
    with pytest.raises(TypeError, match="`response_format` is missing"):
        twin.do(lambda: twin.client.generate_structured("m", "Where?"))
    assert up.requests == []


def test_classes_of_pydantic_1_are_refused_clearly(up: Upstream, twin: Twin) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydantic import v1

        old = type("Old", (v1.BaseModel,), {"__annotations__": {"a": int}})
    with pytest.raises(TypeError, match="Old is a class of pydantic 1; pydantic 2 is needed"):
        twin.generate(old)
    with pytest.raises(TypeError, match="expected a class or a JSON schema"):
        twin.generate("City")


def test_a_function_is_no_class_and_is_not_called(up: Upstream, twin: Twin) -> None:
    def city(name: str) -> None:
        raise AssertionError("a function was called with what a model said")

    for kind in (city, partial(city), up.reset, len):
        for call in (twin.generate, twin.stream):
            with pytest.raises(TypeError, match="expected a class or a JSON schema, not a function"):
                call(kind)
    assert up.requests == []


def test_an_answer_that_nests_without_end_is_an_error_and_no_crash(up: Upstream, twin: Twin) -> None:
    up.reply = ok('{"a": ' + "[" * 100_000)
    with pytest.raises(fairlead.StructuredOutputError):
        twin.generate({"type": "object"})
    with pytest.raises(fairlead.StructuredOutputError):
        twin.stream({"type": "object"})


# ===== streams =====


def test_an_object_grows_and_the_last_one_is_validated(up: Upstream, twin: Twin) -> None:
    up.script = [stream(['{"name": "R', 'ome", "peo', 'ple": 3', "}"])]
    parts = twin.stream(City)
    assert [(part.name, part.people) for part in parts] == [
        ("R", None),
        ("Rome", None),
        ("Rome", None),
        ("Rome", 3),
        ("Rome", 3),
    ]
    assert all(isinstance(part, City) for part in parts)
    assert parts[-1] == City(name="Rome", people=3)


def test_a_tools_arguments_grow_too(up: Upstream, twin: Twin) -> None:
    up.script = [UNSUPPORTED, stream([], tool_calls=[tool_call("City", ROME)], finish="tool_calls")]
    assert twin.stream(City)[-1] == City(name="Rome", people=3)
    assert ways(up) == ["json_schema", "tool"]


def test_a_streamed_answer_is_mended_by_a_second_stream(up: Upstream, twin: Twin) -> None:
    up.script = [stream(['{"name": "Rome"}']), stream([ROME])]
    parts = twin.stream(City)
    assert [part.people for part in parts] == [None, 3, 3]
    assert ways(up) == ["json_schema", "json_schema"]


def test_a_stream_of_plain_json(up: Upstream, twin: Twin) -> None:
    up.script = [stream(['{"name": "R', 'ome", "people": 3}'])]
    assert twin.stream(PLAIN) == [{"name": "R"}, *[{"name": "Rome", "people": 3}] * 2]


def test_a_stream_raises_at_its_end_what_does_not_fit(up: Upstream, twin: Twin) -> None:
    up.script = [stream(["no object"]), stream(["{"], finish="length")]
    with pytest.raises(fairlead.StructuredOutputError):
        twin.stream(City, repairs=0, mode="json_schema")
    with pytest.raises(fairlead.LengthFinishReasonError):
        twin.stream(City)


def test_a_stream_that_breaks_raises_what_broke_it(up: Upstream, twin: Twin) -> None:
    up.script = [stream(['{"name": "R'], finish=None, done=False, end="cut")]
    with pytest.raises(fairlead.APIConnectionError):
        twin.stream(City)


def test_the_result_tells_how_the_stream_went(up: Upstream) -> None:
    up.script = [stream([ROME])]
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        parts = client.stream_structured("m", "Where?", City)
        with pytest.raises(RuntimeError, match="not ended"):
            _ = parts.result
        assert parts.final() == City(name="Rome", people=3)
        assert parts.result.way == "json_schema"
        assert parts.result.spending.output_tokens > 0
        assert parts.result.reply.choices[0].message.content == ROME


def test_leaving_a_stream_closes_it_upstream(up: Upstream) -> None:
    up.script = [stream(['{"name": "R', 5.0, "ome"])]
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        with client.stream_structured("m", "Where?", City) as parts:
            assert next(parts).name == "R"
        assert up.requests[0].wait_closed()
        assert list(parts) == []


def test_schemas_are_sent_as_they_are_told(up: Upstream, twin: Twin) -> None:
    up.script = [ok(ROME)]
    twin.generate(PLAIN, name="where is it?")
    asked = up.requests[0].json()["response_format"]["json_schema"]
    assert asked == {"name": "where_is_it", "schema": PLAIN, "strict": True}
    assert json.loads(up.requests[0].body)["messages"] == [{"role": "user", "content": "Where?"}]
