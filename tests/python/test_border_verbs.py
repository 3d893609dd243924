"""Requests by method and path: what is sent, and what becomes of the answer."""

from __future__ import annotations

import json
from typing import Any

import fairlead
import pytest
from client_twin import Twin
from fairlead.testing import Reply, Upstream
from fairlead.types import Anything, ChatCompletion

MESSAGES = [{"role": "user", "content": "hi"}]
ROME = {"name": "Rome", "hills": [7]}


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


def says(value: Any) -> Reply:
    return Reply(body=json.dumps(value).encode(), headers={"content-type": "application/json"})


def test_raw_verbs(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    assert twin.do(lambda: client.get("/models")).data[0]["object"] == "model"
    body = {"model": "m", "messages": MESSAGES}
    reply = twin.do(lambda: client.post("/chat/completions", body=body, cast_to=ChatCompletion))
    assert reply.choices[0].message.content == "hi"
    assert up.requests[1].json() == body


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_every_verb_sends_its_body(verb: str, up: Upstream, twin: Twin) -> None:
    up.script = [says(ROME)]
    client = twin.client(up)
    reply = twin.do(lambda: getattr(client, verb)("/cities/1", body={"a": 1}))
    assert reply == Anything(**ROME)
    sent = up.requests[0]
    assert (sent.method, sent.path, sent.json()) == (verb.upper(), "/v1/cities/1", {"a": 1})


def test_a_body_takes_extra_members(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    extra = {"b": 2, "a": 3, "fairlead": {"tenant": "acme"}}
    twin.do(lambda: client.post("/x", body={"a": 1}, extra_body=extra))
    assert up.requests[0].json() == {"a": 3, "b": 2}
    twin.do(lambda: client.post("/x", extra_body=extra))
    assert up.requests[1].json() == {"b": 2, "a": 3}
    twin.do(lambda: client.get("/models", extra_body={"fairlead": {"tenant": "acme"}}))
    with pytest.raises(TypeError, match="a mapping, not list"):
        twin.do(lambda: client.post("/x", body=[1], extra_body={"b": 2}))
    with pytest.raises(TypeError, match="a GET request has no body"):
        twin.do(lambda: client.get("/models", extra_body={"b": 2}))
    assert len(up.requests) == 3


def test_options_of_the_sdk_are_heard(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    options = {"headers": {"x-q": "7"}, "params": {"z": "1"}, "extra_json": {"b": 2}, "timeout": 9}
    twin.do(lambda: client.post("/x", body={"a": 1}, options=options))
    sent = up.requests[0]
    assert (sent.headers["x-q"], sent.query, sent.json()) == ("7", {"z": "1"}, {"a": 1, "b": 2})
    twin.do(lambda: client.post("/x", options=options, extra_query={"z": "2"}))
    assert up.requests[1].query == {"z": "2"}
    with pytest.raises(fairlead.ConfigError, match="timeout"):
        twin.do(lambda: client.post("/x", options={"timeout": "soon"}))


def test_options_of_the_sdk_are_joined_with_ours_by_name(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    options = {
        "headers": {"x-q": "7", "x-r": "8"},
        "params": {"y": "1", "z": "1"},
        "extra_json": {"b": 2, "c": 3},
    }
    ours: Any = {"extra_headers": {"X-R": "9"}, "extra_query": {"z": "2"}, "extra_body": {"c": 4}}
    twin.do(lambda: client.post("/x", body={"a": 1}, options=options, **ours))
    sent = up.requests[0]
    assert (sent.headers["x-q"], sent.headers["x-r"]) == ("7", "9")
    assert (sent.query, sent.json()) == ({"y": "1", "z": "2"}, {"a": 1, "b": 2, "c": 4})


@pytest.mark.parametrize("absent", [None, fairlead.NOT_GIVEN])
def test_an_option_that_is_absent_takes_nothing_away(absent: Any, up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    options = {"headers": {"x-q": "7"}, "params": {"z": "1"}, "extra_json": {"b": 2}}
    names = ("extra_headers", "extra_query", "extra_body", "fairlead", "cast_to")
    ours: Any = {**dict.fromkeys(names, absent), "timeout": fairlead.NOT_GIVEN}
    assert twin.do(lambda: client.post("/x", options={**options, "timeout": absent}, **ours)) is not None
    sent = up.requests[0]
    assert (sent.headers["x-q"], sent.query, sent.json()) == ("7", {"z": "1"}, {"b": 2})
    twin.do(lambda: client.get("/models", options=absent, **ours))


def test_an_option_that_is_not_known_is_named(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    with pytest.raises(TypeError, match="`extra_header`: unknown"):
        twin.do(lambda: client.post("/x", body={}, extra_header={"x-q": "7"}))
    with pytest.raises(TypeError, match=r"`options\.stream`: unknown"):
        twin.do(lambda: client.get("/models", options={"stream": True}))
    assert up.requests == []


@pytest.mark.parametrize(
    ("cast_to", "answer", "expected"),
    [
        (object, ROME, ROME),
        (dict, ROME, ROME),
        (list, [1, 2], [1, 2]),
        (str, [1, 2], "[1, 2]"),
        (object, None, None),
    ],
)
def test_an_answer_is_the_decoded_json(
    cast_to: Any, answer: Any, expected: Any, up: Upstream, twin: Twin
) -> None:
    up.script = [says(answer)]
    client = twin.client(up)
    assert twin.do(lambda: client.post("/x", cast_to=cast_to)) == expected


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_answer_may_be_empty_and_is_not_asked_for_again(status: int, up: Upstream, twin: Twin) -> None:
    up.reply = Reply(status=status, body=b"")
    client = twin.client(up)
    assert twin.do(lambda: client.delete("/files/1", cast_to=object)) is None
    reply = twin.do(lambda: client.delete("/files/1"))
    assert (reply.model_dump(), reply.fairlead.outcome, len(up.requests)) == ({}, "ok", 2)


def test_an_answer_is_validated_by_pydantic(up: Upstream, twin: Twin) -> None:
    pydantic = pytest.importorskip("pydantic")
    city = pydantic.create_model("City", name=(str, ...))
    up.script = [says(ROME), says([ROME]), says({})]
    client = twin.client(up)
    assert twin.do(lambda: client.post("/x", cast_to=city)) == city(name="Rome")
    assert twin.do(lambda: client.post("/x", cast_to=list[city])) == [city(name="Rome")]
    with pytest.raises(pydantic.ValidationError, match="name"):
        twin.do(lambda: client.post("/x", cast_to=city))


def test_a_class_that_no_answer_becomes_is_refused_before_anything_is_sent(up: Upstream, twin: Twin) -> None:
    pytest.importorskip("pydantic")
    client = twin.client(up)
    for cast_to in (Upstream, "city", 7):
        with pytest.raises(TypeError, match="`cast_to`"):
            twin.do(lambda cast_to=cast_to: client.get("/models", cast_to=cast_to))
    assert up.requests == []
