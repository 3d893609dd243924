"""What the fault tests share: clients, what became of a call, and the proof that nothing is left over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import fairlead

MESSAGES = [{"role": "user", "content": "hi"}]

SETTLES_WITHIN = 5.0
"""Seconds after which a client must be quiet; in truth it is milliseconds."""


@dataclass(frozen=True)
class Outcome:
    """What a caller got: text, a receipt, an error; of a stream that broke all three."""

    text: str | None = None
    receipt: Any = None
    error: Any = None
    chunks: tuple[Any, ...] = ()


def open_things(client: Any) -> dict[str, int]:
    """What the client holds now, its idle connections aside."""
    now = dict(client.stats()["now"])
    idle = now.pop("connections_idle")
    now["connections_open"] -= idle
    return {name: count for name, count in now.items() if count}


def assert_quiet(client: Any, within: float = SETTLES_WITHIN) -> None:
    """No call, attempt or stream is open, nor a socket that is not idle."""
    expiry = time.monotonic() + within
    while left := open_things(client):
        assert time.monotonic() < expiry, left
        time.sleep(0.002)


@contextlib.contextmanager
def client(config: dict[str, Any]) -> Iterator[Any]:
    """A client that must be quiet at the end."""
    with fairlead.Client(config) as made:
        yield made
        assert_quiet(made)


@contextlib.asynccontextmanager
async def async_client(config: dict[str, Any]) -> AsyncIterator[Any]:
    """As `client`, for coroutines."""
    async with fairlead.AsyncClient(config) as made:
        yield made
        await asyncio.to_thread(assert_quiet, made)


def call(made: Any, *, stream: bool = False, **more: Any) -> Outcome:
    """One call of model `m`, and what became of it."""
    try:
        answer = made.chat.completions.create(
            **{"model": "m", "messages": MESSAGES, "stream": stream, **more}
        )
    except fairlead.FairleadError as error:
        return Outcome(error=error)
    if not stream:
        return Outcome(answer.choices[0].message.content, answer.fairlead)
    chunks: list[Any] = []
    try:
        for chunk in answer:
            chunks.append(chunk)
    except fairlead.FairleadError as error:
        return Outcome(said(chunks), answer.fairlead, error, tuple(chunks))
    return Outcome(said(chunks), answer.fairlead, None, tuple(chunks))


async def acall(made: Any, *, stream: bool = False, **more: Any) -> Outcome:
    """As `call`, for coroutines."""
    try:
        answer = await made.chat.completions.create(
            **{"model": "m", "messages": MESSAGES, "stream": stream, **more}
        )
    except fairlead.FairleadError as error:
        return Outcome(error=error)
    if not stream:
        return Outcome(answer.choices[0].message.content, answer.fairlead)
    chunks: list[Any] = []
    try:
        async for chunk in answer:
            chunks.append(chunk)
    except fairlead.FairleadError as error:
        return Outcome(said(chunks), answer.fairlead, error, tuple(chunks))
    return Outcome(said(chunks), answer.fairlead, None, tuple(chunks))


def said(chunks: list[Any]) -> str:
    """The text of the chunks."""
    choices = [choice for chunk in chunks for choice in getattr(chunk, "choices", None) or []]
    return "".join(getattr(choice.delta, "content", None) or "" for choice in choices)


def once(config: dict[str, Any], **arguments: Any) -> Outcome:
    """A client, one call, quiet."""
    with client(config) as made:
        return call(made, **arguments)
