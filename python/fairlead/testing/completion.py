"""The computed reply: whatever the request asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import replies
from .connection import Exchange, Step
from .replies import Json
from .request import Request
from .steps import Modifiable, Reply
from .streams import ChatStream, Shape


@dataclass(frozen=True)
class Completion(Modifiable):
    """The answer that the request asks for."""

    text: str | None = None
    tool_calls: Sequence[Json] = ()
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    interval: float = 0.0
    model: str | None = None
    models: Sequence[str] = (replies.DEFAULT_MODEL,)

    async def perform(self, exchange: Exchange) -> None:
        await exchange.pause(self.delay)
        await self._answer(exchange.request).perform(exchange)

    def _answer(self, request: Request) -> Step:
        if request.path.endswith("/models"):
            return Reply(headers=self.headers, body=replies.models(self.models))
        body = request.fields
        if request.path.endswith("/embeddings"):
            return Reply(headers=self.headers, body=replies.embeddings(body))
        return self._stream() if body.get("stream") is True else self._whole(body)

    def _finish(self) -> str:
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    def _stream(self) -> ChatStream:
        pieces = replies.words_of(self.text) if self.text is not None else () if self.tool_calls else None
        shape = Shape(headers=self.headers, interval=self.interval)
        return ChatStream(pieces, self.tool_calls, self._finish(), self.usage, True, self.model, shape)

    def _whole(self, body: Json) -> Reply:
        text = self.text
        if text is None and not self.tool_calls:
            text = replies.last_user_text(body)
        answer = replies.completion(
            body,
            text=text,
            tool_calls=self.tool_calls,
            finish_reason=self._finish(),
            usage=self.usage,
            model=self.model,
        )
        return Reply(headers=self.headers, body=answer)


def ok(
    text: str | None = None,
    *,
    tool_calls: Sequence[Json] = (),
    finish_reason: str | None = None,
    usage: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
    interval: float = 0.0,
    model: str | None = None,
    models: Sequence[str] = (replies.DEFAULT_MODEL,),
) -> Completion:
    """The answer that the request asks for: a completion, whole or streamed; embeddings; or the models.

    Args:
        text: what the assistant says; `None` echoes the last user message, or nothing beside `tool_calls`.
        tool_calls: calls to make; see `tool_call`.
        finish_reason: by default `tool_calls` with calls and `stop` without.
        usage: by default one token a word.
        headers: response headers besides the usual ones.
        delay: seconds before the first byte.
        interval: seconds between two events of a stream.
        model: the model that the reply names; by default the requested one.
        models: the names that a list of models holds.
    """
    fields = headers or {}
    return Completion(text, tool_calls, finish_reason, usage, fields, delay, interval, model, models)
