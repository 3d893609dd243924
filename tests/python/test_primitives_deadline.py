"""`Deadline`, and `scope(deadline=, budget=)`: one end and one purse for everything inside."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import fairlead
import pytest
from fairlead.options import current_deadline
from fairlead.testing import Upstream, fail, hang, ok

MESSAGES = [{"role": "user", "content": "one two three"}]


def client(up: Upstream) -> fairlead.Client:
    """A dollar a token."""
    deployment = {
        "provider": "openai",
        "model": "up",
        "base_url": up.base_url,
        "api_key": "k",
        "price": {"input": 1e6, "output": 1e6},
    }
    return fairlead.Client({"models": {"m": {"deployments": [deployment]}}})


def ask(client: fairlead.Client, **options: Any) -> float | None:
    """What a call cost whose answer has one token at most."""
    reply = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=1, fairlead=options)
    return reply.fairlead.cost_usd


def exhaust(client: fairlead.Client) -> None:
    for _ in range(100):
        ask(client)


# ===== Deadline =====


def test_what_is_left_only_falls_and_check_raises_at_the_end() -> None:
    deadline = fairlead.Deadline(0.05)
    before = deadline.remaining
    deadline.check()
    assert 0 < deadline.remaining <= before <= deadline.seconds == 0.05
    while not deadline.expired:
        time.sleep(0.005)
    assert deadline.remaining == 0
    with pytest.raises(fairlead.DeadlineExceeded, match=r"the deadline of 0\.05 s passed"):
        deadline.check()
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="seconds"):
            fairlead.Deadline(seconds)
    assert fairlead.Deadline(float("inf")).remaining > 1e9


def test_async_code_is_cancelled_at_its_end_in_every_form() -> None:
    async def sleeping(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(fairlead.DeadlineExceeded):
            async with fairlead.Deadline(0.03):
                await asyncio.sleep(60)
        decorated = fairlead.Deadline(0.03)(sleeping)
        for _ in range(2):
            with pytest.raises(fairlead.DeadlineExceeded):
                await decorated(60)
        assert await decorated(0) == "done", "every call has an end of its own"
        with pytest.raises(fairlead.DeadlineExceeded):
            await fairlead.Deadline(0.03)(sleeping, 60)
        assert time.monotonic() - began < 20
        async with fairlead.Deadline(60) as deadline:
            assert current_deadline() is deadline
        assert current_deadline() is None

    asyncio.run(main())


def test_what_the_code_itself_raises_goes_through() -> None:
    async def main() -> None:
        for error in (TimeoutError, ValueError, asyncio.CancelledError):
            with pytest.raises(error):
                async with fairlead.Deadline(60):
                    raise error
        task = asyncio.ensure_future(fairlead.Deadline(60)(asyncio.sleep, 60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_sync_forms_hold_the_end_for_what_is_inside() -> None:
    slots = fairlead.Concurrency(1)
    assert slots.try_acquire()

    def wait(_: int) -> None:
        slots.acquire_sync()

    deadline = fairlead.Deadline(0.05)
    with deadline:
        assert current_deadline() is deadline
        with pytest.raises(fairlead.DeadlineExceeded):
            wait(1)
    limit = fairlead.Deadline(0.03)
    decorated = limit(wait)
    for form in (lambda: decorated(1), lambda: limit(wait, 1), lambda: decorated(1)):
        began = time.monotonic()
        with pytest.raises(fairlead.DeadlineExceeded):
            form()
        assert time.monotonic() - began >= 0.025, "every call has an end of its own"
    assert current_deadline() is None


def test_one_deadline_may_be_entered_by_many() -> None:
    deadline = fairlead.Deadline(0.1)
    ended: list[float] = []

    async def main() -> None:
        with pytest.raises(fairlead.DeadlineExceeded):
            async with deadline:
                await asyncio.sleep(60)
        ended.append(deadline.remaining)

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [0.0] * 4


# ===== scope =====


def test_of_nested_scopes_the_earlier_end_holds() -> None:
    with fairlead.scope(deadline=10):
        outer = current_deadline()
        with fairlead.scope(deadline=60):
            assert current_deadline() is outer
        with fairlead.scope(deadline=1):
            inner = current_deadline()
            assert inner is not outer
            assert inner is not None
            with fairlead.scope(user="u"):
                assert current_deadline() is inner
    assert current_deadline() is None
    with pytest.raises(ValueError, match="seconds"), fairlead.scope(deadline=-1):
        pass


def test_d1_all_calls_of_a_scope_end_by_its_end(up: Upstream) -> None:
    up.reply = hang()
    began = time.monotonic()
    with client(up) as known, fairlead.scope(deadline=0.3):
        with pytest.raises(fairlead.DeadlineExceeded):
            ask(known)
        first = time.monotonic() - began
        for options in ({}, {"deadline": 60}, {"deadline": fairlead.Deadline(60)}):
            with pytest.raises(fairlead.DeadlineExceeded):
                ask(known, **options)
    assert 0.25 <= first < 20
    assert time.monotonic() - began < first + 10, "nothing is left for the later ones"
    assert len(up.requests) == 1


def test_a_calls_own_deadline_can_only_shorten_the_scopes(up: Upstream) -> None:
    up.reply = hang()
    with client(up) as known, fairlead.scope(deadline=60):
        for options in ({"deadline": 0.1}, {"deadline": fairlead.Deadline(0.1)}):
            began = time.monotonic()
            with pytest.raises(fairlead.DeadlineExceeded):
                ask(known, **options)
            assert time.monotonic() - began < 20
    assert up.wait_idle()


def test_t8_calls_of_a_scope_spend_one_budget_together(up: Upstream) -> None:
    up.reply = ok("four")
    with client(up) as known:
        with fairlead.scope(budget=100):
            with pytest.raises(fairlead.BudgetExceeded, match=r"\$100") as caught:
                exhaust(known)
            assert 1 < len(up.requests) <= 25, "four dollars each"
            assert caught.value.limit == 100
        assert ask(known) is not None, "out of the scope nothing is spent from it"


def test_t8_an_inner_purse_spends_from_the_outer_one_too(up: Upstream) -> None:
    up.reply = ok("four")
    outer, inner = fairlead.Purse(200), fairlead.Purse(1000)
    with client(up) as known:
        cost = ask(known)
        assert cost is not None
        with fairlead.scope(budget=outer):
            ask(known)
            with fairlead.scope(budget=inner):
                ask(known)
                ask(known, budget=1000)
            assert (outer.spent, inner.spent, outer.left) == (3 * cost, 2 * cost, 200 - 3 * cost)
            with fairlead.scope(budget=inner), pytest.raises(fairlead.BudgetExceeded, match=r"\$200"):
                exhaust(known)
            with pytest.raises(fairlead.BudgetExceeded, match=r"\$0\.5"):
                ask(known, budget=0.5)
    assert outer.spent <= 200
    with pytest.raises(ValueError, match="US dollars"):
        fairlead.Purse(-1)
    with pytest.raises(ValueError, match="US dollars"), fairlead.scope(budget=-1):
        pass


def test_what_failed_costs_the_purse_nothing(up: Upstream) -> None:
    up.reply = fail(400)
    purse = fairlead.Purse(100)
    with client(up) as known, fairlead.scope(budget=purse), pytest.raises(fairlead.BadRequestError):
        ask(known)
    assert purse.spent == 0


@pytest.mark.parametrize("options", [{"budget": -1}, {"budget": "x"}, {"deadline": -1}, {"deadline": "x"}])
def test_what_is_no_budget_or_deadline_is_a_mistake_of_the_call(up: Upstream, options: Any) -> None:
    with client(up) as known, pytest.raises(fairlead.ConfigError, match=f"fairlead.{next(iter(options))}"):
        ask(known, **options)
    assert up.requests == []
