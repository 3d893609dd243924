"""Streams through an application: every byte, every end, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import fairlead
import httpx
import openai
import pytest
from fairlead.fastapi import LLM, add_exception_handlers, lifespan, sse
from fairlead.testing import Request, Step, Upstream, fail, hang, ok, stream
from fastapi import FastAPI
from patience import until
from pydantic import BaseModel, Field
from serving import Reading, browsing, events_in, served, stream_of, text_in

PIECES = ["One", " two", " \n\n three", " “four”", " \u2028five"]


class Question(BaseModel):
    text: str = "hi"
    model: str = "m"
    messages: list[dict[str, Any]] = []
    ping: float | None = 15.0


def application(up: Upstream, **options: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan(base_url=up.base_url, api_key="k", warm_up=False, **options))
    add_exception_handlers(app)

    @app.post("/stream")
    async def streamed(question: Question, llm: LLM) -> Any:
        messages: Any = [{"role": "user", "content": question.text}]
        return sse(
            llm.chat.completions.create(model=question.model, messages=messages, stream=True),
            ping=question.ping,
        )

    @app.post("/awaited")
    async def awaited(question: Question, llm: LLM) -> Any:
        messages: Any = [{"role": "user", "content": question.text}]
        return sse(await llm.chat.completions.create(model=question.model, messages=messages, stream=True))

    @app.post("/v1/chat/completions")
    async def completions(question: Question, llm: LLM) -> Any:
        messages: Any = question.messages
        return sse(llm.chat.completions.create(model=question.model, messages=messages, stream=True))

    return app


# ===== bytes =====


@pytest.mark.parametrize("path", ["/stream", "/awaited"])
@pytest.mark.parametrize("interval", [0.0, 0.01])
def test_every_event_is_passed_on_as_it_came(path: str, interval: float, up: Upstream) -> None:
    up.reply = stream(PIECES, interval=interval)
    with served(application(up)) as server, browsing(server) as http:
        answer = http.post(path, json={})
    events = events_in(answer.text)
    assert events[-1] == "[DONE]"
    assert text_in(events) == "".join(PIECES)
    assert [choice["finish_reason"] for event in events[:-1] for choice in event["choices"]][-1] == "stop"
    assert answer.content.startswith(b"data: {")
    assert answer.content.endswith(b"\n\ndata: [DONE]\n\n")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers


def test_a_stream_that_breaks_ends_with_an_error_and_without_done(up: Upstream) -> None:
    up.reply = stream(PIECES, end="cut", finish=None, done=False)
    with served(application(up)) as server, browsing(server) as http:
        answer = http.post("/stream", json={})
    *events, last = events_in(answer.text)
    assert answer.status_code == 200
    assert text_in(events) == "".join(PIECES)
    assert last == {
        "error": {
            "message": "The answer broke off before its end.",
            "type": "server_error",
            "param": None,
            "code": "stream_broken",
        }
    }
    assert "[DONE]" not in answer.text


def test_what_fails_before_the_first_event_has_its_own_status(up: Upstream) -> None:
    up.reply = fail(429, retry_after=100)
    with served(application(up)) as server, browsing(server) as http:
        answer = http.post("/stream", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "100")
    assert answer.headers["content-type"] == "application/json"


def test_silence_is_filled_with_comments(up: Upstream) -> None:
    up.reply = stream(["a", 0.5, "b"])
    with served(application(up)) as server, browsing(server) as http:
        answer = http.post("/stream", json={"ping": 0.1})
        quiet = http.post("/stream", json={"ping": None})
    assert 2 <= answer.text.count(": ping\n\n") <= 5
    assert text_in(events_in(answer.text)) == "ab"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert ": ping" not in quiet.text


def test_the_openai_sdk_reads_it(up: Upstream) -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    with (
        served(application(up, max_retries=0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as sdk,
    ):
        up.reply = stream(PIECES)
        with sdk.chat.completions.create(model="m", messages=messages, stream=True) as chunks:
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        up.reply = stream(PIECES, end="cut", finish=None, done=False)
        with (
            pytest.raises(openai.APIError, match="broke off"),
            sdk.chat.completions.create(model="m", messages=messages, stream=True) as chunks,
        ):
            for _ in chunks:
                pass
        up.reply = fail(429, retry_after=100)
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.chat.completions.create(model="m", messages=messages, stream=True)
    assert text == "".join(PIECES)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "100"


def test_any_other_iterable_is_framed(up: Upstream) -> None:
    app = application(up)

    async def items(fails: bool) -> AsyncIterator[Any]:
        yield {"step": 1, "text": "é"}
        yield b'data: "framed"\n\n'
        yield Question(text="of pydantic", ping=None)
        if fails:
            raise LookupError("a secret")
        yield "text"

    @app.get("/items")
    async def some(fails: bool = False) -> Any:
        return sse(items(fails), headers={"x-mine": "yes"})

    @app.get("/text")
    async def text(llm: LLM) -> Any:
        return sse(llm.stream("m", "hi"))

    up.reply = stream(["a", "b"])
    with served(app) as server, browsing(server) as http:
        # The broken one last: its server closes the connection then.
        whole, pieces, broken = http.get("/items"), http.get("/text"), http.get("/items?fails=1")
    assert whole.headers["x-mine"] == "yes"
    question = {"text": "of pydantic", "model": "m", "messages": [], "ping": None}
    assert events_in(whole.text) == [{"step": 1, "text": "é"}, "framed", question, "text", "[DONE]"]
    assert events_in(broken.text)[-1]["error"]["code"] == "internal_error"
    assert "secret" not in broken.text
    assert events_in(pieces.text) == ["a", "b", "[DONE]"]
    with pytest.raises(TypeError, match="expected a stream"):
        sse("text")  # type: ignore[arg-type]


@dataclass
class Move:
    number: int
    on: date


class Diary(BaseModel):
    on: date | None = None
    mood: Literal["good", "bad"] | None = Field(default=None, alias="howItWas")


def answer_of(source: Any, up: Upstream) -> httpx.Response:
    """What a route answers that passes on what `source` makes of a client."""
    app = application(up)

    @app.get("/")
    async def whole(llm: LLM) -> Any:
        return sse(source(llm))

    with served(app) as server, browsing(server) as http:
        return http.get("/")


async def each(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


def test_items_are_written_as_a_handler_that_returns_them_would_answer(up: Upstream) -> None:
    day = date(2024, 1, 31)
    items = [Move(1, day), [Move(2, day)], {"at": datetime(2024, 1, 31, 12), "id": UUID(int=1)}, [Diary()]]
    assert events_in(answer_of(lambda llm: each(*items), up).text) == [
        {"number": 1, "on": "2024-01-31"},
        [{"number": 2, "on": "2024-01-31"}],
        {"at": "2024-01-31T12:00:00", "id": "00000000-0000-0000-0000-000000000001"},
        [{"on": None, "howItWas": None}],
        "[DONE]",
    ]


def test_plain_items_are_not_walked_through(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.fastapi.events.jsonable_encoder", None)
    items = [{"a": [1, 2.5, None, True], "_sa": "é\u2028"}, ("b", {1: "c"}), "d", 7]
    events = events_in(answer_of(lambda llm: each(*items), up).text)
    assert events == [items[0], ["b", {"1": "c"}], "d", 7, "[DONE]"]


@pytest.mark.parametrize("absent", [fairlead.NOT_GIVEN, openai.NOT_GIVEN, openai.omit])
def test_members_that_are_not_given_are_left_out_of_items(absent: Any, up: Upstream) -> None:
    item = {"a": absent, "_sa": 1, "at": date(2024, 1, 31), "in": {"b": absent}}
    events = events_in(answer_of(lambda llm: each(item), up).text)
    assert events == [{"_sa": 1, "at": "2024-01-31", "in": {}}, "[DONE]"]


def test_an_object_grows_in_events_without_warnings_of_pydantic(up: Upstream) -> None:
    # Warnings are errors here.
    up.reply = stream(['{"on": "2024', '-01-31", ', '"howItWas": "good"}'])
    events = events_in(answer_of(lambda llm: llm.stream_structured("m", "hi", Diary), up).text)
    assert {"on": "2024", "howItWas": None} in events
    assert events[-2:] == [{"on": "2024-01-31", "howItWas": "good"}, "[DONE]"]


def test_events_and_results_of_ours_are_items_without_what_is_nobodys_business(up: Upstream) -> None:
    async def watched(llm: Any) -> AsyncIterator[Any]:
        async with llm.chat.completions.stream(model="m", messages=[]) as events:
            async for event in events:
                yield event

    up.reply = stream(["a"])
    events = events_in(answer_of(watched, up).text)
    assert {"type", "chunk"} in [set(event) for event in events[:-1]]
    assert text_in([event["chunk"] for event in events[:-1] if "chunk" in event]) == "a"
    up.script, up.reply = [ok("fine")], fail(400, "bad", code="odd")
    events = events_in(answer_of(lambda llm: llm.batch_iter(["a", "b"], model="m", concurrency=1), up).text)
    assert events[0]["value"]["choices"][0]["message"]["content"] == "fine"
    assert (events[1]["value"], events[1]["error"]["code"]) == (None, "odd")


def test_an_item_without_a_json_form_is_the_services_fault(up: Upstream) -> None:
    assert answer_of(lambda llm: each(object()), up).status_code == 500
    response = answer_of(lambda llm: each(1, object()), up)
    assert events_in(response.text)[-1]["error"]["code"] == "internal_error"


def test_a_call_that_is_not_awaited_keeps_the_handlers_scope(up: Upstream) -> None:
    config = {
        "models": {
            "m": {
                "deployments": [{"provider": "openai", "base_url": up.base_url, "model": "x", "api_key": "k"}]
            }
        },
        "limits": {"users": {"ann": {"requests_per_minute": 1}}},
        "queue": {"wait": 0},
    }
    app = FastAPI(lifespan=lifespan(config))
    add_exception_handlers(app)

    @app.post("/{user}")
    async def streamed(user: str, llm: LLM) -> Any:
        messages: Any = []
        with fairlead.scope(user=user):
            return sse(llm.chat.completions.create(model="m", messages=messages, stream=True))

    with served(app) as server, browsing(server) as http:
        statuses = [http.post(f"/{user}").status_code for user in ("ann", "ann", "bob", "bob")]
    assert statuses == [200, 429, 200, 200]


# ===== clients that leave =====

SLACK = 2.0
"""Seconds within which the upstream sees that the client has left; in truth it is a few milliseconds."""


def test_a_client_that_leaves_in_mid_stream_closes_the_upstream(up: Upstream, record_property: Any) -> None:
    up.reply = stream(["first", 30.0, "never"])
    took = []
    with served(application(up)) as server:
        for number in range(10):
            reading = Reading(server.port, "/stream", {})
            reading.until(b"first")
            left = reading.leave()
            request = up.requests[number]
            assert request.wait_closed(SLACK)
            assert request.aborted_at is not None
            took.append(request.aborted_at - left)
        assert up.wait_idle()
    record_property("milliseconds", [round(seconds * 1e3, 1) for seconds in took])
    assert max(took) < SLACK


@pytest.mark.parametrize("path", ["/stream"])
def test_a_client_that_leaves_before_the_first_token_closes_the_upstream(path: str, up: Upstream) -> None:
    up.reply = hang()
    with served(application(up)) as server:
        reading = Reading(server.port, path, {})
        assert up.wait_requests(1)
        assert reading.silent(0.1), "the head came before the first event"
        left = reading.leave()
        assert up.requests[0].wait_closed(SLACK)
        assert up.requests[0].aborted_at is not None
        assert up.requests[0].aborted_at - left < SLACK


def test_a_client_that_leaves_while_it_reads_nothing_closes_the_upstream(up: Upstream) -> None:
    up.reply = stream(["x" * 50_000] * 2000)
    with served(application(up)) as server:
        reading = Reading(server.port, "/stream", {})
        reading.until(b"xxx")
        until(lambda: up.requests[0].bytes_sent > 1_000_000)
        left = reading.leave()
        assert up.requests[0].wait_closed(SLACK)
        assert up.requests[0].aborted_at is not None
        assert up.requests[0].aborted_at - left < SLACK


# ===== many at once =====


def loads(count: int) -> Any:
    """What an upstream under load answers: long streams, short ones, broken ones."""
    chance = random.Random(11)

    def reply(request: Request) -> Step:
        words = [f"{number} " for number in range(chance.randrange(10, 60))]
        return stream([request.fields["messages"][0]["content"], "|", *words, "end"], interval=0.005)

    return reply


async def crowd(port: int, connections: int, rounds: int) -> tuple[int, int, list[str]]:
    """So many connections that ask and read, again and again; every third answer is left in the middle."""
    whole = left = 0
    wrong: list[str] = []

    async def one(number: int) -> None:
        nonlocal whole, left
        for turn in range(rounds):
            name = f"q{number}-{turn}"
            leaves = (number + turn) % 3 == 0
            body = await stream_of(port, "/stream", {"text": name}, leave_after=4 if leaves else None)
            if leaves:
                left += 1
                continue
            events = events_in(body)
            text = text_in(events)
            if events[-1:] == ["[DONE]"] and text.startswith(f"{name}|0 1 2 ") and text.endswith(" end"):
                whole += 1
            else:
                wrong.append(f"{name}: {body[-200:]!r}")

    await asyncio.gather(*(one(number) for number in range(connections)))
    return whole, left, wrong


def under_load(up: Upstream, connections: int, rounds: int, record_property: Any) -> None:
    up.reply = loads(connections)
    app = application(up)

    @app.get("/look")
    async def look(llm: LLM) -> Any:
        return llm.stats()["now"]

    with served(app, backlog=4096) as server, browsing(server) as http:
        began = time.monotonic()
        whole, left, wrong = asyncio.run(crowd(server.port, connections, rounds))
        took = time.monotonic() - began
        assert wrong == []
        assert whole + left == connections * rounds
        assert left >= connections * rounds // 4
        until(lambda: http.get("/look").json()["streams"] == 0)
        now = http.get("/look").json()
        assert (now["calls"], now["attempts"], now["streams"]) == (0, 0, 0)
        assert now["connections_open"] == now["connections_idle"]
        assert up.wait_idle()
    record_property("streams", {"whole": whole, "left": left, "seconds": round(took, 1)})


def test_many_streams_at_once_lose_nothing_and_free_everything(up: Upstream, record_property: Any) -> None:
    under_load(up, 40, 3, record_property)


@pytest.mark.soak
def test_two_hundred_connections_lose_nothing_and_free_everything(up: Upstream, record_property: Any) -> None:
    under_load(up, 200, 25, record_property)


def test_a_chunk_of_the_client_is_the_chunk_of_the_provider(up: Upstream) -> None:
    """Nothing is added, reordered or reformatted on the way."""
    odd = '{"id":"1","object":"chat.completion.chunk", "created":1 ,"model":"m","odd":1e2,"choices":'
    events = [
        odd + '[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}',
        odd + '[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    ]
    up.reply = fairlead.testing.sse([*events, "[DONE]"])
    with served(application(up)) as server, browsing(server) as http:
        answer = http.post("/stream", json={})
    assert answer.text == "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    assert json.loads(events[0])["odd"] == 100


def test_an_answer_without_content_is_a_whole_stream(up: Upstream) -> None:
    up.reply = ok("")
    with served(application(up)) as server, browsing(server) as http:
        events = events_in(http.post("/stream", json={}).text)
    assert events[-1] == "[DONE]"
    assert text_in(events) == ""
