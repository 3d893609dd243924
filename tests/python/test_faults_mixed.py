"""Many calls at once while everything that may fail does."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import fairlead
import pytest
from fairlead.testing import Step, Upstream, faults, ok, sse, stream
from fairlead.testing.faults import answer
from fault_table import ROWS, config
from faulty import Outcome, acall, async_client

WELL = "all is well"
LIMITS = {"headers": 1, "idle": 1, "content_idle": 1, "first_token": 2, "attempt": 2, "total": 60}

LARGE = {"F39/size", "F39/field", "F61", "F62", "F80", "F37"}
"""Faults that would make this a test of the machine."""

SAVED = [row for row in ROWS if row.raises and row.fails_over and row.fault not in LARGE]
"""Rows from which a healthy deployment saves a call."""


def chaos(chance: random.Random, share: float, streamed: bool) -> Step:
    """A fault for `share` of the requests, else a good answer."""
    if chance.random() >= share:
        return ok(WELL)
    return chance.choice([row for row in SAVED if streamed in row.forms]).make()


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.soak)])
def test_with_a_healthy_deployment_every_call_is_answered(up: Upstream, count: int) -> None:
    """A third of all answers are broken in every way of the table; nobody notices."""
    chance = random.Random(count)
    up.at("sick").reply = lambda request: chaos(chance, 0.33, bool(request.json().get("stream")))
    up.at("well").reply = ok(WELL)

    async def run() -> list[Outcome]:
        room = asyncio.Semaphore(100)
        config_of_both = config(up.url("sick"), up.url("well"), timeouts=LIMITS, stages={"health": False})
        async with async_client(config_of_both) as made:

            async def one(number: int) -> Outcome:
                async with room:
                    return await acall(made, stream=bool(number % 2))

            return await asyncio.gather(*(one(number) for number in range(count)))

    outcomes = asyncio.run(run())
    assert {repr(outcome.error) for outcome in outcomes if outcome.error} == set()
    assert {outcome.text for outcome in outcomes} == {WELL}
    again = [outcome for outcome in outcomes if len(outcome.receipt.attempts) > 1]
    assert count * 0.2 < len(again) < count * 0.5


@pytest.mark.parametrize("row", [pytest.param(row, id=row.fault) for row in ROWS if row.fault not in LARGE])
def test_a_hundred_at_once_end_as_one_does(up: Upstream, row: Any) -> None:
    stream_too = row.forms[-1]
    up.reply = row.make()

    async def run() -> list[Outcome]:
        async with async_client(row.config(up.base_url)) as made:
            return await asyncio.gather(*(acall(made, stream=stream_too) for _ in range(100)))

    outcomes = asyncio.run(run())
    names = {outcome.error and type(outcome.error).__name__ for outcome in outcomes}
    if row.fault.startswith("F94"):
        # Who comes after an upstream was heard to ask for a wait is not sent, and raises a class below.
        assert row.raises in names
        assert all(isinstance(outcome.error, getattr(fairlead, row.raises)) for outcome in outcomes)
    else:
        assert names == {row.raises}
    if row.raises is None and row.text is not None:
        assert {outcome.text for outcome in outcomes} == {row.text}


def test_d2_the_deadline_covers_a_stream_that_has_begun(up: Upstream) -> None:
    up.reply = stream([str(number) for number in range(200)], interval=0.05)

    async def run() -> Outcome:
        async with async_client(config(up.base_url)) as made:
            return await acall(made, stream=True, fairlead={"deadline": 0.6})

    outcome = asyncio.run(run())
    assert type(outcome.error).__name__ == "DeadlineExceeded"
    assert outcome.text
    assert outcome.error.partial == outcome.text


def test_a_full_pool_takes_turns_and_loses_nobody(up: Upstream) -> None:
    up.reply = ok(WELL).after(0.005)

    async def run() -> list[Outcome]:
        async with async_client(config(up.base_url, pool={"max_connections": 3})) as made:
            return await asyncio.gather(*(acall(made, stream=bool(n % 2)) for n in range(300)))

    assert {outcome.text for outcome in asyncio.run(run())} == {WELL}
    assert up.connections_total <= 3


def test_idle_connections_are_bounded_and_expire(up: Upstream) -> None:
    up.reply = ok(WELL).after(0.05)
    pool = {"max_keepalive_connections": 2, "keepalive_expiry": 0.2}

    async def run() -> None:
        async with async_client(config(up.base_url, pool=pool)) as made:
            await asyncio.gather(*(acall(made) for _ in range(20)))
            assert made.stats()["now"]["connections_idle"] <= 2
            assert await asyncio.to_thread(up.wait_disconnected)
            assert made.stats()["now"]["connections_open"] == 0

    asyncio.run(run())


def test_f101_a_lone_key_that_was_refused_is_tried_again_by_the_next_call(up: Upstream) -> None:
    up.script = [faults.wrong_key(), ok(WELL)]

    async def run() -> list[Outcome]:
        async with async_client(config(up.base_url)) as made:
            return [await acall(made), await acall(made)]

    first, second = asyncio.run(run())
    assert type(first.error).__name__ == "AuthenticationError"
    assert second.text == WELL


def test_f82_an_error_inside_a_stream_keeps_what_it_said(up: Upstream) -> None:
    error = {"error": {"message": "Too many", "type": "rate_limit_error", "code": 429}}
    up.reply = faults.error_in_stream(error=error)

    async def run() -> Outcome:
        async with async_client(config(up.base_url)) as made:
            return await acall(made, stream=True)

    raised = asyncio.run(run()).error
    assert type(raised).__name__ == "StreamInterrupted"
    assert "Too many" in str(raised)
    assert raised.status_code == 429


def test_f58_numbers_that_json_lacks_after_the_end_spoil_nothing(up: Upstream) -> None:
    odd = b'data: {"choices":[],"usage":{"prompt_tokens":NaN,"completion_tokens":1,"total_tokens":1}}\n\n'
    up.reply = sse([*answer.pieces(), answer.ending(), odd, "[DONE]"])

    async def run() -> Outcome:
        async with async_client(config(up.base_url)) as made:
            return await acall(made, stream=True)

    outcome = asyncio.run(run())
    assert (outcome.error, outcome.text) == (None, faults.TEXT)
    assert outcome.receipt.usage.estimated
    assert "malformed_after_finish" in outcome.receipt.warnings


@pytest.mark.parametrize("value", [-999_999, 1e308, 1.5, "many"])
def test_f90_a_whole_reply_with_impossible_usage_is_estimated(up: Upstream, value: Any) -> None:
    up.reply = ok(WELL, usage=dict.fromkeys(faults.USAGE, value))

    async def run() -> Outcome:
        async with async_client(config(up.base_url)) as made:
            return await acall(made)

    usage = asyncio.run(run()).receipt.usage
    assert usage.estimated
    assert usage.invalid
    assert usage.output > 0
