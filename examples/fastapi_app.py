"""A complete application: a page to chat in, streamed answers, limits for each user, probes, a drain.

    python examples/fastapi_app.py

serves http://127.0.0.1:8000 on a local upstream: no key, no network. With models of your own:

    FAIRLEAD_CONFIG=fairlead.toml uvicorn examples.fastapi_app:app

Needs `pip install "fairlead[fastapi]" uvicorn`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from fairlead.fastapi import (
    ERRORS,
    LLM,
    EventStreamResponse,
    add_exception_handlers,
    chat_router,
    health_router,
    lifespan,
    scoped,
    sse,
)
from fairlead.testing import Request, Step, Upstream, ok, stream
from fastapi import APIRouter, Depends, FastAPI, Header
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

PAGE = Path(__file__).with_name("fastapi_page.html")

PACE = 0.04
"""Seconds between two words of the local upstream."""


class Message(BaseModel):
    """One turn of the conversation."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class Conversation(BaseModel):
    """What the page sends: everything that was said, the question last."""

    messages: list[Message] = Field(min_length=1, max_length=100)


# ===== the local upstream =====

ANSWER = (
    "You asked: “{question}” I am a local stand-in for a model, so I know one thing only. A fairlead is a "
    "fitting on a ship, a ring or a roller, that leads a line in the right direction and keeps it from "
    "chafing. Calls to language models need the same: somewhere to go, and little friction on the way."
)


def answer(request: Request) -> Step:
    """What the local upstream says: word by word, or cut off in the middle if it is asked to break."""
    question = str(request.fields.get("messages", [{}])[-1].get("content", ""))
    text = ANSWER.format(question=question[:200])
    if not request.fields.get("stream"):
        return ok(text)
    if "break" in question.lower():
        return stream(text[:120], interval=PACE, end="cut", finish=None, done=False)
    return stream(text, interval=PACE)


def local(upstream: Upstream) -> dict[str, Any]:
    """A configuration for it: each user may ask eight times a minute, and thrice at once."""
    return {
        "default_model": "demo",
        "providers": {"local": {"base_url": upstream.base_url, "api_key": "none-needed"}},
        "models": {"demo": {"deployments": [{"provider": "local", "model": "demo"}]}},
        "limits": {"user": {"requests_per_minute": 8, "concurrency": 3}},
        "queue": {"wait": 0},
    }


# ===== the application =====


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """The client: of FAIRLEAD_CONFIG, or else of the local upstream."""
    if os.environ.get("FAIRLEAD_CONFIG"):
        async with lifespan()(app) as state:
            yield state
        return
    async with Upstream() as upstream:
        upstream.reply = answer
        async with lifespan(local(upstream))(app) as state:
            yield state


async def current_user(x_user_id: Annotated[str | None, Header(max_length=64)] = None) -> str:
    """Who asks. Here the page says so; where users log in, it is the session that knows."""
    return x_user_id or "anonymous"


by_user = [Depends(scoped(user=current_user))]
api = APIRouter(dependencies=by_user)


@api.post("/stream", responses=ERRORS)
async def streamed(conversation: Conversation, llm: LLM) -> EventStreamResponse:
    """Answers a conversation, piece by piece."""
    messages: Any = [message.model_dump() for message in conversation.messages]
    return sse(llm.chat.completions.create(messages=messages, stream=True))


app = FastAPI(title="fairlead example", lifespan=life)
app.include_router(api)
app.include_router(chat_router(dependencies=by_user))
app.include_router(health_router())
add_exception_handlers(app, validation=True)


@app.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(PAGE.read_text(encoding="utf-8"))


def main() -> None:
    """Serve until SIGTERM or Ctrl-C, then let running answers end."""
    parser = argparse.ArgumentParser(description="A chat application on fairlead.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    # uvicorn raises the signal again once it has drained: that end is a good one.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(app, host=given.host, port=given.port, timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main()
