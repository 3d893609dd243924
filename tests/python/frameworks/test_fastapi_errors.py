"""What an application behind fairlead answers when something goes wrong."""

from __future__ import annotations

from typing import Any

import fairlead
import pytest
from fairlead import errors
from fairlead.fastapi import ERRORS, LLM, ErrorBody, add_exception_handlers, answer_for, lifespan, sse
from fairlead.fastapi.errors import exception_handler
from fairlead.testing import Reply, Step, Upstream, fail, faults, hang, ok, tool_call
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel
from serving import browsing, served
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

JSON = {"content-type": "application/json"}
TIMEOUT = {"timeout": 0.3}
HIDDEN = ("north", "secret-name", "127.0.0.1", "scripted failure")
"""What is nobody's business: names of providers and deployments, addresses, a provider's own words."""


class Question(BaseModel):
    text: str = "hi"
    model: str = "smart"
    user: str = "ann"
    options: dict[str, Any] = {}


def configuration(up: Upstream, **more: Any) -> dict[str, Any]:
    return {
        "providers": {"north": {"base_url": up.base_url, "api_key": "k"}},
        "models": {
            "smart": {"deployments": [{"provider": "north", "model": "secret-name"}]},
        },
        "breaker": {"enabled": False},
        "queue": {"wait": 0},
        **more,
    }


def application(config: dict[str, Any], **options: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan(config, warm_up=False, **{"max_retries": 0, **options}))
    add_exception_handlers(app, validation=True)

    @app.post("/ask", responses=ERRORS)
    async def ask(question: Question, llm: LLM) -> str:
        return await llm.generate(
            question.model, question.text, fairlead={"user": question.user}, **question.options
        )

    @app.post("/stream")
    async def stream(question: Question, llm: LLM) -> Any:
        messages: Any = [{"role": "user", "content": question.text}]
        return sse(llm.chat.completions.create(model=question.model, messages=messages, stream=True))

    return app


UPSTREAM: list[tuple[Step, int, str, str | None]] = [
    (fail(400, "no such tool", code="bad_tool"), 400, "invalid_request_error", "bad_tool"),
    (
        fail(400, "long", code="context_length_exceeded"),
        400,
        "invalid_request_error",
        "context_length_exceeded",
    ),
    (fail(400, "no", code="content_filter"), 400, "invalid_request_error", "content_filter"),
    (fail(413, "too large"), 413, "invalid_request_error", None),
    (fail(422, "odd"), 422, "invalid_request_error", None),
    (fail(404, "gone"), 404, "invalid_request_error", "model_not_found"),
    (fail(429, retry_after=100), 429, "rate_limit_error", "rate_limit_exceeded"),
    (fail(429, code="insufficient_quota"), 429, "insufficient_quota", "insufficient_quota"),
    (fail(402), 429, "insufficient_quota", "insufficient_quota"),
    (fail(401), 502, "server_error", "upstream_authentication"),
    (fail(403), 502, "server_error", "upstream_authentication"),
    (fail(500), 502, "server_error", "upstream_error"),
    (fail(503), 503, "server_error", "upstream_error"),
    (fail(504), 504, "server_error", "timeout"),
    (fail(529), 503, "server_error", "overloaded"),
    (fail(301), 502, "server_error", "upstream_error"),
    (hang(), 504, "server_error", "timeout"),
    (faults.reset_in_body(), 502, "server_error", "upstream_error"),
]


@pytest.mark.parametrize(("step", "status", "kind", "code"), UPSTREAM)
@pytest.mark.parametrize("path", ["/ask", "/stream"])
def test_a_failing_provider_is_told_by_status_and_shape(
    path: str, step: Step, status: int, kind: str, code: str | None, up: Upstream
) -> None:
    up.reply = step
    with served(application(configuration(up), **TIMEOUT)) as server, browsing(server) as http:
        answer = http.post(path, json={})
    error = ErrorBody.model_validate(answer.json()).error
    assert (answer.status_code, error.type, error.code) == (status, kind, code)
    if status >= 429:
        assert not any(word in answer.text for word in HIDDEN), answer.text
    if status == 429 and code == "rate_limit_exceeded":
        assert 95 <= int(answer.headers["retry-after"]) <= 100


def test_a_fault_of_the_request_is_told_in_the_providers_words(up: Upstream) -> None:
    blamed = {"message": "no such tool", "type": "invalid_request_error", "param": "tools", "code": "bad"}
    up.reply = fail(400, body={"error": blamed})
    with served(application(configuration(up))) as server, browsing(server) as http:
        assert http.post("/ask", json={}).json() == {"error": blamed}


def test_limits_of_ours_say_which_and_when_to_come_back(up: Upstream) -> None:
    config = configuration(up, limits={"user": {"requests_per_minute": 1}})
    with served(application(config)) as server, browsing(server) as http:
        assert http.post("/ask", json={}).status_code == 200
        answer = http.post("/ask", json={})
        assert http.post("/ask", json={"user": "bob"}).status_code == 200
    assert answer.status_code == 429
    assert answer.json()["error"] == {
        "message": "The limit of 1 requests per 60 s is reached.",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert 50_000 <= int(answer.headers["retry-after-ms"]) <= 60_000
    assert answer.headers["x-should-retry"] == "true"


def test_limits_of_others_are_not_told(up: Upstream) -> None:
    config = configuration(up, limits={"model": {"requests_per_minute": 1}})
    with served(application(config)) as server, browsing(server) as http:
        http.post("/ask", json={})
        answer = http.post("/ask", json={})
    assert answer.status_code == 429
    assert answer.json()["error"]["message"] == "Too many requests at the moment."


def test_an_open_breaker_is_503_with_a_time_to_come_back(up: Upstream) -> None:
    up.reply = fail(500)
    config = configuration(up)
    del config["breaker"]
    with served(application(config)) as server, browsing(server) as http:
        for _ in range(30):
            answer = http.post("/ask", json={})
            if answer.status_code == 503:
                break
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    assert not any(word in answer.text for word in HIDDEN)


def test_a_deadline_is_504(up: Upstream) -> None:
    up.reply = hang()
    app = application(configuration(up))

    @app.post("/hurried")
    async def hurried(llm: LLM) -> str:
        with fairlead.scope(deadline=0.2):
            return await llm.generate("smart", "hi")

    with served(app) as server, browsing(server) as http:
        answer = http.post("/hurried")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


def test_an_unknown_model_and_a_wrong_argument_are_the_requests_fault(up: Upstream) -> None:
    with served(application(configuration(up))) as server, browsing(server) as http:
        unknown = http.post("/ask", json={"model": "smrat"})
        wrong = http.post("/ask", content='{"options": {"temperature": NaN}}', headers=JSON)
        invalid = http.post("/ask", json={"text": 3})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "temperature")
    assert (invalid.status_code, invalid.json()["error"]["param"]) == (422, "text")


def test_a_missing_key_is_the_services_fault_and_not_told(
    up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with served(application(configuration(up))) as server, browsing(server) as http:
        answer = http.post("/ask", json={"model": "groq/llama"})
    assert answer.status_code in (404, 500)
    assert "GROQ" not in answer.text


class Answer(BaseModel):
    n: int


def look() -> str:
    """Looks around."""
    return "nothing"


def refusal(words: str) -> Step:
    message = {"role": "assistant", "content": None, "refusal": words}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Reply(
        body={"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


ANSWERS: list[tuple[Step, str, int, str, str]] = [
    (ok("I cannot say."), "/object", 502, "server_error", "invalid_answer"),
    (ok('{"n": ', finish_reason="length"), "/object", 502, "server_error", "incomplete"),
    (ok('{"n": ', finish_reason="content_filter"), "/object", 400, "invalid_request_error", "content_filter"),
    (refusal("I will not."), "/object", 400, "invalid_request_error", "content_filter"),
    (ok(tool_calls=[tool_call("look", {})]), "/tools", 502, "server_error", "incomplete"),
]


@pytest.mark.parametrize(("step", "path", "status", "kind", "code"), ANSWERS)
def test_an_answer_of_no_use_is_told_by_status_and_shape(
    step: Step, path: str, status: int, kind: str, code: str, up: Upstream
) -> None:
    up.reply = step
    app = application(configuration(up))

    @app.post("/object")
    async def object(llm: LLM) -> Answer:
        return await llm.generate_structured("smart", "hi", Answer, repairs=0)

    @app.post("/tools")
    async def tools(llm: LLM) -> str:
        return (await llm.run_tools("smart", "hi", [look], max_turns=2)).text

    with served(app) as server, browsing(server) as http:
        answer = http.post(path)
    error = ErrorBody.model_validate(answer.json()).error
    assert (answer.status_code, error.type, error.code) == (status, kind, code)
    assert not any(word in answer.text for word in (*HIDDEN, "I cannot", "I will not"))


def kinds(kind: type[errors.FairleadError]) -> set[type[errors.FairleadError]]:
    return {kind}.union(*(kinds(below) for below in kind.__subclasses__()))


SOCKETS: dict[str, tuple[Step, int, str]] = {
    "a limit": (fail(429, "later", retry_after=100), 1013, "rate_limit_exceeded"),
    "a failing provider": (fail(503), 1013, "upstream_error"),
    "the request": (fail(400, "bad", code="é" * 100), 1008, "é" * 61),
    "the provider": (fail(401), 1011, "upstream_authentication"),
}


def socketed(up: Upstream) -> FastAPI:
    app = application(configuration(up))

    @app.websocket("/talk")
    async def talk(socket: WebSocket, llm: LLM, at_once: bool = False) -> None:
        if not at_once:
            await socket.accept()
            await socket.send_text("hello")
        await llm.generate("smart", "hi")

    return app


@pytest.mark.parametrize("name", SOCKETS)
def test_a_websocket_that_meets_an_error_is_closed_with_its_code(name: str, up: Upstream) -> None:
    up.reply, code, reason = SOCKETS[name]
    with TestClient(socketed(up)) as http, http.websocket_connect("/talk") as socket:
        assert socket.receive_text() == "hello"
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_text()
    assert (caught.value.code, caught.value.reason) == (code, reason)


def test_a_websocket_that_is_not_accepted_yet_is_answered_like_a_request(up: Upstream) -> None:
    up.reply = fail(429, retry_after=100)
    with (
        TestClient(socketed(up)) as http,
        pytest.raises(WebSocketDenialResponse) as caught,
        http.websocket_connect("/talk?at_once=1"),
    ):
        pass
    assert caught.value.status_code == 429
    assert caught.value.headers["retry-after"] == "100"
    assert caught.value.json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("at_once", [False, True])
def test_a_websocket_of_a_mounted_application_is_closed_or_answered_too(at_once: bool, up: Upstream) -> None:
    up.reply = fail(429, retry_after=100)
    app, mounted = application(configuration(up)), FastAPI()

    @mounted.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        if not at_once:
            await socket.accept()
        await socket.state.llm.generate("smart", "hi")

    app.mount("/below", mounted)
    expected: Any = WebSocketDenialResponse if at_once else WebSocketDisconnect
    with (
        TestClient(app) as http,
        pytest.raises(expected) as caught,
        http.websocket_connect("/below/talk") as socket,
    ):
        socket.receive_text()
    if at_once:
        assert caught.value.status_code == 429
    else:
        assert (caught.value.code, caught.value.reason) == (1013, "rate_limit_exceeded")


@pytest.mark.parametrize("ends", ["application", "client"])
def test_a_websocket_of_a_mounted_application_that_is_closed_is_not_closed_again(
    ends: str, up: Upstream
) -> None:
    app, mounted = application(configuration(up)), FastAPI()

    @mounted.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        if ends == "application":
            await socket.close(4000)
        else:
            await socket.receive()
        raise errors.APITimeoutError()

    app.mount("/below", mounted)
    with TestClient(app) as http, http.websocket_connect("/below/talk") as socket:
        if ends == "application":
            assert socket.receive()["code"] == 4000
        else:
            socket.close()


async def test_a_websocket_that_is_gone_or_cannot_be_answered_makes_no_second_error() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/talk", "headers": [], "server": ("h", 80)}
    early, closed = WebSocket(scope, receive, send), WebSocket(scope, receive, send)
    assert await exception_handler(early, errors.APITimeoutError()) is None
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1011)]
    await closed.accept()
    await closed.close()
    sent.clear()
    assert await exception_handler(closed, errors.APITimeoutError()) is None
    assert sent == []


def test_every_class_of_error_has_a_status_and_a_shape() -> None:
    for kind in kinds(errors.FairleadError):
        told = answer_for(kind("what happened"))
        assert 400 <= told.status_code <= 504, kind
        ErrorBody.model_validate(told.body)
        assert told.body["error"]["message"], kind


def test_the_documentation_tells_of_the_errors(up: Upstream) -> None:
    schema = application(configuration(up)).openapi()
    answers = schema["paths"]["/ask"]["post"]["responses"]
    assert {"400", "404", "429", "502", "503", "504"} <= answers.keys()
    assert "ErrorBody" in schema["components"]["schemas"]
