"""A ready-made route for programs that want a text for a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.params import Depends
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from ..errors import FairleadError
from ..options import current_scope
from .disconnect import cancel_on_disconnect
from .errors import ErrorDetail, answer_for, log
from .lifespan import LLM


class ChatRequest(BaseModel):
    """A question."""

    message: str = Field(min_length=1)
    user_id: str = Field("anonymous", min_length=1, max_length=64)
    """For limits, unless the application knows better."""
    metadata: dict[str, Any] = {}
    """For rules."""
    temperature: float = Field(0.7, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int = Field(2048, ge=1)


class ChatReply(BaseModel):
    """Its answer."""

    success: Literal[True] = True
    response: str


class ChatFailure(BaseModel):
    """Why there is none."""

    success: Literal[False] = False
    error: ErrorDetail


_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": ChatFailure} for status in (400, 404, 429, 502, 503, 504)
}


def chat_router(
    *, model: str | None = None, path: str = "/chat", dependencies: Sequence[Depends] = ()
) -> APIRouter:
    """`POST /chat {message, user_id, metadata, temperature, max_tokens}` -> `{success, response}`.

    A failure is `{success: false, error: {message, type, param, code}}` with the status and headers of
    `answer_for`. A call whose client goes is cancelled. Limits count by the user of the scope (see `scoped`);
    only where there is none by `user_id`, which anybody can make up.

    Args:
        model: as of a call; None leaves it to rules and defaults.
        path: where it is served. Default: `/chat`.
        dependencies: of the route, such as one that knows who is asking.
    """
    router = APIRouter(dependencies=dependencies)

    async def chat(question: ChatRequest, request: Request, llm: LLM) -> Any:
        """Answers a message."""
        try:
            async with cancel_on_disconnect(request):
                return ChatReply(response=await _ask(llm, model, question))
        except FairleadError as error:
            told = answer_for(error)
            log(error, told.status_code, request.url.path)
            return JSONResponse({"success": False, **told.body}, told.status_code, told.headers)

    router.add_api_route(path, chat, methods=["POST"], response_model=ChatReply, responses=_FAILURES)
    return router


async def _ask(llm: LLM, model: str | None, question: ChatRequest) -> str:
    known = (current_scope() or {}).get("user")
    return await llm.generate(
        model,
        question.message,
        temperature=question.temperature,
        max_tokens=question.max_tokens,
        fairlead={"metadata": question.metadata, **({} if known else {"user": question.user_id})},
    )
