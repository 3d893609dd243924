"""The life of a client in an application, clients that leave, who asks, and probes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import fairlead
import pytest
from fairlead.fastapi import (
    LLM,
    ScopeMiddleware,
    add_exception_handlers,
    cancel_on_disconnect,
    cancellation,
    chat_router,
    health_router,
    lifespan,
    scoped,
)
from fairlead.testing import Request as Asked
from fairlead.testing import Upstream, fail, hang, ok
from fastapi import Depends, FastAPI, Header, Request
from patience import until
from pydantic import BaseModel
from serving import Reading, browsing, served

SLACK = 2.0
"""Seconds within which the upstream sees that the client has left; in truth it is a few milliseconds."""


class Question(BaseModel):
    text: str = "hi"


def configuration(up: Upstream, **more: Any) -> dict[str, Any]:
    return {
        "default_model": "m",
        "providers": {"north": {"base_url": up.base_url, "api_key": "k"}},
        "models": {"m": {"deployments": [{"provider": "north", "model": "up"}]}},
        "queue": {"wait": 0},
        **more,
    }


# ===== the life of the client =====


def test_the_client_is_made_warm_handed_out_and_closed(up: Upstream) -> None:
    seen: list[fairlead.AsyncClient] = []
    app = FastAPI(lifespan=lifespan(configuration(up)))
    app.include_router(health_router())

    @app.get("/ask")
    async def ask(llm: LLM) -> str:
        seen.append(llm)
        return await llm.generate(messages="hello")

    with served(app) as server, browsing(server) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        assert up.connections_total == 1, "warm before the first call"
        assert http.get("/ask").json() == "hello"
        assert http.get("/ask").json() == "hello"
        assert up.connections_total == 1
    assert seen[0] is seen[1]
    assert seen[0].is_closed()


def test_a_warm_up_that_fails_fails_no_start_and_ends_with_the_application() -> None:
    config = {
        "models": {"m": {"deployments": [{"provider": "north", "model": "up", "api_key": "k"}]}},
        "providers": {"north": {"base_url": "http://127.0.0.1:9/v1"}},
    }
    app = FastAPI(lifespan=lifespan(config))
    app.include_router(health_router())
    with served(app) as server, browsing(server) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        assert http.get("/healthz").json() == {"status": "ok"}


def test_a_lifespan_of_ones_own_goes_around(up: Upstream) -> None:
    ended = []

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with lifespan(configuration(up), warm_up=False)(app) as state:
            yield {**state, "database": "mine"}
        ended.append(True)

    app = FastAPI(lifespan=life)

    @app.get("/both")
    async def both(request: Request, llm: LLM) -> list[str]:
        return [request.state.database, await llm.generate(messages="theirs")]

    with served(app) as server, browsing(server) as http:
        assert http.get("/both").json() == ["mine", "theirs"]
    assert ended == [True]


def test_a_faulty_configuration_fails_the_start_and_names_the_fault() -> None:
    async def start() -> None:
        async with lifespan({"models": {"m": {"strategi": "cost"}}})(None):
            pass

    with pytest.raises(fairlead.ConfigError, match="strategi"):
        asyncio.run(start())


def test_without_the_lifespan_the_error_says_what_to_write() -> None:
    app = FastAPI()

    @app.get("/ask")
    async def ask(llm: LLM) -> str:
        return await llm.generate(messages="hi")

    with served(app) as server, browsing(server) as http:
        assert http.get("/ask").status_code == 500


def test_calls_that_run_at_shutdown_end_first(up: Upstream) -> None:
    up.reply = ok("late").after(0.5)
    app = FastAPI(lifespan=lifespan(configuration(up), warm_up=False))
    told: list[str] = []

    @app.post("/later")
    async def later(request: Request, llm: LLM) -> None:
        async def work() -> None:
            told.append(await llm.generate(messages="hi"))

        # In the background, as an application might: no request holds the server back.
        request.app.state.task = asyncio.create_task(work())

    with served(app) as server, browsing(server) as http:
        http.post("/later")
        assert up.wait_requests(1)
    assert told == ["late"]


# ===== clients that leave =====


@pytest.mark.parametrize("path", ["/inside", "/dependency", "/chat"])
def test_a_client_that_leaves_cancels_what_it_waited_for(
    path: str, up: Upstream, record_property: Any
) -> None:
    up.reply = hang()
    app = FastAPI(lifespan=lifespan(configuration(up), warm_up=False))
    ended = threading.Event()

    @app.post("/inside")
    async def inside(question: Question, request: Request, llm: LLM) -> str:
        try:
            async with cancel_on_disconnect(request):
                return await llm.generate(messages=question.text)
        finally:
            ended.set()

    @app.post("/dependency", dependencies=[Depends(cancellation)])
    async def dependency(question: Question, llm: LLM) -> str:
        try:
            return await llm.generate(messages=question.text)
        finally:
            ended.set()

    app.include_router(chat_router())
    with served(app) as server:
        reading = Reading(server.port, path, {"text": "hi", "message": "hi"})
        assert up.wait_requests(1)
        left = reading.leave()
        request = up.requests[0]
        assert request.wait_closed(SLACK)
        assert request.aborted_at is not None
        record_property("milliseconds", round((request.aborted_at - left) * 1e3, 1))
        assert request.aborted_at - left < SLACK
        assert path == "/chat" or ended.wait(SLACK)


def test_a_client_that_stays_gets_its_answer_and_its_body(up: Upstream) -> None:
    app = FastAPI(lifespan=lifespan(configuration(up), warm_up=False))

    @app.post("/ask")
    async def ask(request: Request, llm: LLM) -> str:
        async with cancel_on_disconnect(request):
            text = (await request.json())["text"]
            return await llm.generate(messages=text)

    with served(app) as server, browsing(server) as http:
        for number in range(20):
            assert http.post("/ask", json={"text": f"q{number}"}).json() == f"q{number}"


# ===== who asks =====


def test_headers_say_who_asks_and_how_long(up: Upstream) -> None:
    app = FastAPI(lifespan=lifespan(configuration(up, limits={"user": {"requests_per_minute": 1}})))
    add_exception_handlers(app)
    app.add_middleware(ScopeMiddleware, user="x-user-id", deadline="x-deadline", priority="x-priority")

    @app.get("/ask")
    async def ask(llm: LLM) -> str:
        return await llm.generate(messages="hi")

    with served(app) as server, browsing(server) as http:

        def status(**headers: str) -> int:
            return http.get("/ask", headers={k.replace("_", "-"): v for k, v in headers.items()}).status_code

        assert [status(x_user_id=user) for user in ("ann", "bob", "ann", "bob")] == [200, 200, 429, 429]
        assert status(x_user_id="eve", x_priority="7") == 200
        assert status(x_user_id="joe", x_deadline="soon") == 400
        assert status(x_user_id="joe", x_deadline="-1") == 400
        up.reply = hang()
        assert status(x_user_id="joe", x_deadline="0.2") == 504


def test_a_dependency_says_who_asks(up: Upstream) -> None:
    async def current_user(x_token: Annotated[str, Header()]) -> str:
        return x_token.removeprefix("token-of-")

    app = FastAPI(lifespan=lifespan(configuration(up, limits={"user": {"requests_per_minute": 1}})))
    add_exception_handlers(app)

    @app.get("/ask", dependencies=[Depends(scoped(user=current_user, priority="high"))])
    async def ask(llm: LLM) -> str:
        return await llm.generate(messages="hi")

    with served(app) as server, browsing(server) as http:
        users = ("ann", "bob", "ann")
        statuses = [http.get("/ask", headers={"x-token": f"token-of-{u}"}).status_code for u in users]
    assert statuses == [200, 200, 429]
    with pytest.raises(TypeError, match="knows no usr"):
        scoped(usr="x")


# ===== probes =====


def test_readiness_follows_the_breakers(up: Upstream) -> None:
    app = FastAPI(lifespan=lifespan(configuration(up), warm_up=False, max_retries=0))
    add_exception_handlers(app)
    app.include_router(health_router(metrics=True))

    @app.get("/ask")
    async def ask(llm: LLM) -> str:
        return await llm.generate(messages="hi")

    with served(app) as server, browsing(server) as http:
        assert http.get("/readyz").json() == {"status": "ready", "models": {"m": "ready"}}
        up.reply = fail(500)
        for _ in range(5):
            http.get("/ask")
        told = http.get("/readyz")
        assert (told.status_code, told.json()["models"]) == (503, {"m": "unavailable"})
        assert http.get("/healthz").status_code == 200
        assert "fairlead_calls_total" in http.get("/metrics").text
        paths = http.get("/openapi.json").json()["paths"]
    assert list(paths) == ["/ask"]


# ===== the ready-made route =====


def test_the_chat_route_answers_in_its_shape(up: Upstream) -> None:
    app = FastAPI(
        lifespan=lifespan(
            configuration(up, limits={"user": {"requests_per_minute": 1}}), warm_up=False, max_retries=0
        )
    )
    app.include_router(chat_router())

    def sent() -> Asked:
        return up.requests[-1]

    with served(app) as server, browsing(server) as http:
        fine = http.post("/chat", json={"message": "hello", "user_id": "ann"})
        assert fine.json() == {"success": True, "response": "hello"}
        assert (sent().json()["temperature"], sent().json()["max_tokens"]) == (0.7, 2048)
        again = http.post("/chat", json={"message": "hello", "user_id": "ann"})
        assert again.status_code == 429
        assert again.json()["success"] is False
        assert again.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(again.headers["retry-after"]) > 0
        up.reply = fail(500)
        broken = http.post("/chat", json={"message": "hello", "user_id": "bob"})
        assert (broken.status_code, broken.json()["success"]) == (502, False)
        for wrong in (
            {},
            {"message": ""},
            {"message": "x", "temperature": 9},
            {"message": "x", "max_tokens": 0},
        ):
            assert http.post("/chat", json=wrong).status_code == 422
