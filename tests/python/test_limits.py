"""Limits, budgets and breakers as a Python caller meets them."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, datetime
from typing import Any

import fairlead
import pytest
from fairlead.testing import Upstream, fail, ok

MESSAGES = [{"role": "user", "content": "Hello!"}]


def config(up: Upstream, **more: Any) -> dict[str, Any]:
    deployment = {
        "provider": "openai",
        "model": "gpt-5",
        "api_key": "sk-test",
        "base_url": up.base_url,
        **more.pop("deployment", {}),
    }
    return {"models": {"m": {"deployments": [deployment]}}, **more}


def test_a_limit_that_refuses_says_what_is_limited_for_whom_and_until_when(up: Upstream) -> None:
    up.reply = ok("hi")
    client = fairlead.Client(config(up, limits={"user": {"requests_per_minute": 1}}))
    client.chat.completions.create(model="m", messages=MESSAGES, user="ann")
    with pytest.raises(fairlead.LimitExceeded) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES, user="ann")
    error = caught.value
    assert (error.limit_type, error.scope, error.limit, error.window) == ("requests", "user", 1.0, "60 s")
    assert error.retry_after is not None
    assert 55 < error.retry_after <= 60
    assert (error.status_code, error.response, error.attempts) == (429, None, ())
    assert isinstance(error, fairlead.RateLimitError)
    assert error.is_retryable
    assert "1 requests in 60 s (user)" in str(error)
    assert len(up.requests) == 1
    again = pickle.loads(pickle.dumps(error))
    assert (again.limit_type, again.retry_after) == (error.limit_type, error.retry_after)
    client.chat.completions.create(model="m", messages=MESSAGES, user="bob")


def test_a_budget_that_is_used_up_says_when_it_begins_anew(up: Upstream) -> None:
    up.reply = ok("hi")
    client = fairlead.Client(
        config(
            up,
            budgets={"global": {"daily": 0.002}},
            deployment={"price": {"input": 1000.0, "output": 1000.0}, "max_output": 1},
        )
    )

    def spend() -> None:
        for _ in range(20):
            client.chat.completions.create(model="m", messages=MESSAGES)

    with pytest.raises(fairlead.BudgetExceeded) as caught:
        spend()
    error = caught.value
    assert (error.limit_type, error.scope, error.limit, error.window) == ("cost", "global", 0.002, "day")
    assert isinstance(error, fairlead.QuotaExceeded)
    assert not error.is_retryable
    if error.resets_at is not None:
        assert error.resets_at > datetime.now(UTC)
        assert (error.resets_at.hour, error.resets_at.minute) == (0, 0)


def test_an_open_breaker_refuses_without_sending_and_says_for_how_long(up: Upstream) -> None:
    up.reply = fail(500)
    both = config(up, retry={"max_retries": 0}, routing={"ejection": {"enabled": False}})
    both["models"]["m"]["deployments"] *= 2
    both["models"]["m"]["deployments"][1] = {**both["models"]["m"]["deployments"][0], "model": "other"}
    client = fairlead.Client(both)
    for _ in range(20):
        with pytest.raises(fairlead.InternalServerError):
            client.chat.completions.create(model="m", messages=MESSAGES)
    sent = len(up.requests)
    assert sent <= 12
    with pytest.raises(fairlead.NoHealthyDeployment) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 6
    assert (caught.value.status_code, len(up.requests)) == (503, sent)


@pytest.mark.parametrize("form", ["option", "header", "body", "scope"])
def test_a_priority_is_never_sent(up: Upstream, form: str) -> None:
    up.reply = ok("hi")
    client = fairlead.Client(config(up))
    if form == "option":
        client.chat.completions.create(model="m", messages=MESSAGES, fairlead={"priority": "high"})
    elif form == "header":
        client.chat.completions.create(
            model="m", messages=MESSAGES, extra_headers={"X-Fairlead-Priority": "9"}
        )
    elif form == "body":
        client.chat.completions.create(model="m", messages=MESSAGES, extra_body={"fairlead": {"priority": 2}})
    else:
        with fairlead.scope(priority="background"):
            client.chat.completions.create(model="m", messages=MESSAGES)
    request = up.requests[0]
    assert "priority" not in str(request.headers).lower()
    assert "priority" not in str(request.json()).lower()


@pytest.mark.parametrize("priority", [10, -1, "urgent", 0.5])
def test_what_is_no_priority_is_told(up: Upstream, priority: Any) -> None:
    client = fairlead.Client(config(up))
    with pytest.raises(fairlead.ConfigError, match="priority"):
        client.chat.completions.create(model="m", messages=MESSAGES, fairlead={"priority": priority})


def test_calls_that_wait_are_answered_in_their_turn_and_cancelled_ones_take_none(up: Upstream) -> None:
    up.reply = ok("hi", delay=0.05)

    async def run() -> int:
        async with fairlead.AsyncClient(config(up, deployment={"concurrency": 2})) as client:
            calls = [
                asyncio.create_task(client.chat.completions.create(model="m", messages=MESSAGES))
                for _ in range(20)
            ]
            await asyncio.sleep(0.02)
            for call in calls[10:]:
                call.cancel()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            return sum(not isinstance(outcome, BaseException) for outcome in outcomes)

    assert asyncio.run(run()) == 10
    assert len(up.requests) == 10
