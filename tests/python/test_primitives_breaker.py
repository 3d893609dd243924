"""`CircuitBreaker`: four forms, sync and async, and every way a call can end."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from typing import Any

import fairlead
import pytest
from fairlead.primitives.circuit_breaker import CircuitChange, Entry


def down(_: object = None) -> None:
    raise ConnectionError("down")


async def down_async(_: object = None) -> None:
    raise ConnectionError("down")


def up(answer: str = "up") -> str:
    return answer


async def up_async(answer: str = "up") -> str:
    return answer


def opened(**options: Any) -> fairlead.CircuitBreaker:
    """One that five failures have opened."""
    breaker = fairlead.CircuitBreaker(**options)
    for _ in range(5):
        with pytest.raises(ConnectionError):
            breaker(down, None)
    assert breaker.state == "open"
    return breaker


def half_open(**options: Any) -> fairlead.CircuitBreaker:
    breaker = opened(**{"open": 0.01, **options})
    while breaker.state != "half_open":
        time.sleep(0.002)
    return breaker


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    breaker = fairlead.CircuitBreaker(ratio=2)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(ConnectionError):
                breaker(down, None)
        assert breaker(up, "up") == "up"
    assert (breaker.state, breaker.snapshot().failed) == ("closed", 12)
    for _ in range(5):
        assert breaker.state == "closed"
        with pytest.raises(ConnectionError):
            breaker(down, None)
    assert breaker.state == "open"


def test_open_it_refuses_every_form_without_calling_and_says_until_when() -> None:
    breaker = opened(name="search", open=5)
    calls: list[int] = []

    async def main() -> None:
        with pytest.raises(fairlead.CircuitOpen):
            await breaker(up_async, "up")
        with pytest.raises(fairlead.CircuitOpen):
            await breaker(up_async)()
        with pytest.raises(fairlead.CircuitOpen):
            async with breaker:
                calls.append(1)

    with pytest.raises(
        fairlead.CircuitOpen, match=r"search is open after failures; again in [3-6]\."
    ) as caught:
        breaker(calls.append, 1)
    error = caught.value
    assert isinstance(error, fairlead.FairleadError)
    assert error.retry_after is not None
    assert 3.5 < error.retry_after <= 6
    assert error.is_retryable
    with pytest.raises(fairlead.CircuitOpen):
        breaker(calls.append)(1)
    with pytest.raises(fairlead.CircuitOpen), breaker:
        calls.append(1)
    assert breaker.try_enter() is None
    asyncio.run(main())
    assert calls == []


def test_every_form_tells_how_it_went() -> None:
    breaker = fairlead.CircuitBreaker(consecutive=0, ratio=2)

    async def main() -> None:
        for attempt in (lambda: breaker(down_async, None), lambda: breaker(down_async)(None)):
            with pytest.raises(ConnectionError):
                await attempt()
        with pytest.raises(ConnectionError):
            async with breaker:
                down()
        assert await breaker(up_async, "a") == "a"
        assert await breaker(up_async)("b") == "b"
        async with breaker:
            pass

    for attempt in (lambda: breaker(down, None), lambda: breaker(down)(None)):
        with pytest.raises(ConnectionError):
            attempt()
    with pytest.raises(ConnectionError), breaker:
        down()
    assert (breaker(up, "a"), breaker(up)("b")) == ("a", "b")
    with breaker:
        pass
    entry = breaker.try_enter()
    assert entry is not None
    entry.failed(ConnectionError())
    entry.failed(ConnectionError())
    entry.succeeded()
    assert (breaker.snapshot().calls, breaker.snapshot().failed) == (7, 4)
    asyncio.run(main())
    assert (breaker.snapshot().calls, breaker.snapshot().failed) == (13, 7)
    assert breaker.snapshot().last == ("ConnectionError",) * 3


def test_a_probe_closes_it_or_opens_it_for_longer() -> None:
    changes: list[CircuitChange] = []
    breaker = half_open(on_change=changes.append, name="search")
    with pytest.raises(ConnectionError):
        breaker(down, None)
    assert breaker.state == "open"
    while breaker.state != "half_open":
        time.sleep(0.002)
    assert breaker(up, "up") == "up"
    assert breaker.state == "closed"
    assert [(change.before, change.after, change.reason) for change in changes] == [
        ("closed", "open", "consecutive"),
        ("open", "half_open", "time"),
        ("half_open", "open", "probe_failed"),
        ("open", "half_open", "time"),
        ("half_open", "closed", "probe_answered"),
    ]
    first, second = (change.open_for or 0 for change in changes if change.after == "open")
    assert 0.008 <= first <= 0.012
    assert 0.016 <= second <= 0.024
    assert {change.name for change in changes} == {"search"}
    assert "5 failures in a row (last: ConnectionError" in changes[0].message


def test_b2_one_probe_at_a_time_over_all_threads() -> None:
    breaker = half_open(open=0.01)
    inside, most, refused = 0, 0, 0
    lock = threading.Lock()
    release = threading.Event()

    def work() -> None:
        nonlocal inside, most, refused
        entry = breaker.try_enter()
        if entry is None:
            with lock:
                refused += 1
            return
        with lock:
            inside += 1
            most = max(most, inside)
        release.wait(20)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    while refused + inside < 20:
        time.sleep(0.001)
    release.set()
    for thread in threads:
        thread.join()
    assert (most, refused) == (1, 19)


def test_b3_a_probe_that_is_cancelled_or_forgotten_says_nothing_and_gives_its_place_back() -> None:
    breaker = half_open()

    async def main() -> None:
        for _ in range(3):
            task = asyncio.ensure_future(breaker(asyncio.sleep, 60))
            await asyncio.sleep(0.001)
            assert breaker.try_enter() is None
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    entry: Entry | None = breaker.try_enter()
    assert entry is not None
    del entry
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt
    assert breaker.state == "half_open"
    assert breaker(up, "up") == "up"
    assert breaker.state == "closed"


def test_b4_results_from_before_change_nothing() -> None:
    breaker = fairlead.CircuitBreaker()
    early = [breaker.enter() for _ in range(6)]
    for entry in early[:5]:
        entry.failed(ConnectionError())
    assert breaker.state == "open"
    early[5].succeeded()
    assert breaker.state == "open"
    late = breaker.try_enter()
    assert late is None


def test_b9_isolated_it_waits_for_a_reset() -> None:
    breaker = fairlead.CircuitBreaker(name="search")
    breaker.isolate()
    assert (breaker.state, breaker.snapshot().retry_after) == ("isolated", None)
    with pytest.raises(fairlead.CircuitOpen, match="isolated by hand") as caught:
        breaker(up, "up")
    assert (caught.value.retry_after, caught.value.is_retryable) == (None, False)
    assert breaker.try_enter() is None
    breaker.reset()
    assert (breaker.state, breaker(up, "up")) == ("closed", "up")


def test_what_is_no_failure_says_that_the_other_side_is_there() -> None:
    def broken(_: object) -> None:
        raise KeyError("a mistake of the caller")

    for on in (ConnectionError, (ConnectionError, OSError), lambda error: isinstance(error, OSError)):
        breaker = half_open(on=on)
        with pytest.raises(KeyError):
            breaker(broken, None)
        assert breaker.state == "closed"


def test_of_our_own_errors_mistakes_do_not_count_and_throttling_counts_in_the_ratio() -> None:
    def failing(error: type[fairlead.FairleadError], **fields: Any) -> None:
        made = error("x")
        vars(made).update(fields)
        raise made

    mistakes = fairlead.CircuitBreaker()
    for _ in range(20):
        with pytest.raises(fairlead.BadRequestError):
            mistakes(failing, fairlead.BadRequestError)
    assert (mistakes.state, mistakes.snapshot().failed) == ("closed", 0)
    throttled = fairlead.CircuitBreaker()
    for _ in range(9):
        with pytest.raises(fairlead.RateLimitError):
            throttled(failing, fairlead.RateLimitError, is_retryable=True)
    assert (throttled.state, throttled.snapshot().consecutive) == ("closed", 0)
    with pytest.raises(fairlead.RateLimitError):
        throttled(failing, fairlead.RateLimitError, is_retryable=True, retry_after=120)
    assert throttled.state == "open"
    assert (throttled.snapshot().retry_after or 0) > 100, "it was told for how long"


@pytest.mark.parametrize(
    "error",
    [
        fairlead.QueueTimeout,
        fairlead.LimitExceeded,
        fairlead.BudgetExceeded,
        fairlead.PoolTimeout,
        fairlead.DeadlineExceeded,
        fairlead.LocalResourceError,
        fairlead.ProxyError,
        fairlead.ConsumerTooSlow,
        fairlead.NoHealthyDeployment,
        fairlead.CircuitOpen,
        fairlead.ModelNotFound,
        fairlead.ClientClosed,
        fairlead.InternalError,
    ],
)
def test_r9_our_own_refusals_say_nothing_of_the_other_side(error: type[fairlead.FairleadError]) -> None:
    def refused(_: object) -> None:
        made = error("x")
        made.is_retryable, made.retry_after = True, 60
        raise made

    breaker = fairlead.CircuitBreaker()
    for _ in range(20):
        with pytest.raises(error):
            breaker(refused, None)
    assert (breaker.state, breaker.snapshot().calls) == ("closed", 0)
    breaker = half_open()
    with pytest.raises(error):
        breaker(refused, None)
    assert breaker.state == "half_open", "nothing was asked, so nothing is known"
    assert breaker(up, "up") == "up"
    assert breaker.state == "closed"


def test_r9_a_limit_inside_that_has_no_room_opens_nothing() -> None:
    limit = fairlead.RateLimit(1, per=3600)
    breaker = fairlead.CircuitBreaker()
    assert limit.try_acquire()
    for _ in range(20):
        with pytest.raises(fairlead.QueueTimeout):
            breaker.call(limit.acquire_sync, timeout=0)
    assert (breaker.state, breaker.snapshot().calls) == ("closed", 0)


def test_a_conflict_is_no_failure_though_it_may_be_tried_again() -> None:
    def conflicting(_: object) -> None:
        error = fairlead.ConflictError("x")
        error.is_retryable = True
        raise error

    breaker = fairlead.CircuitBreaker()
    for _ in range(20):
        with pytest.raises(fairlead.ConflictError):
            breaker(conflicting, None)
    assert (breaker.state, breaker.snapshot().failed) == ("closed", 0)


def test_slow_calls_open_it_where_that_is_asked_for() -> None:
    breaker = fairlead.CircuitBreaker(slow_after=0.001, slow_ratio=0.8, minimum=3)
    for _ in range(3):
        breaker(time.sleep, 0.003)
    assert breaker.state == "open"


def test_half_of_the_calls_slow_open_it_unless_another_share_is_said() -> None:
    states = []
    for options in ({}, {"slow_ratio": 0.75}):
        breaker = fairlead.CircuitBreaker(slow_after=0.2, minimum=4, **options)  # type: ignore[arg-type]
        for seconds in (0, 0, 0.21, 0.21):
            breaker(time.sleep, seconds)
        states.append(breaker.state)
    assert states == ["open", "closed"]


def test_the_sensitive_preset_opens_at_a_seventh_of_twenty() -> None:
    breaker = fairlead.CircuitBreaker(preset="sensitive", open=7)
    for number in range(20):
        if number % 6 == 5:
            with pytest.raises(ConnectionError):
                breaker(down, None)
        else:
            breaker(up, "up")
    assert breaker.state == "open" or breaker.snapshot().failed == 3
    with pytest.raises(ConnectionError):
        breaker(down, None)
    assert breaker.state == "open"
    assert (breaker.snapshot().retry_after or 0) <= 7 * 1.2


def test_a_hook_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(change: CircuitChange) -> None:
        raise RuntimeError("the hook")

    with caplog.at_level(logging.ERROR, "fairlead"):
        opened(on_change=broken, name="search")
    assert "on_change of search failed" in caplog.text


def test_entering_twice_and_from_many_tasks_keeps_passages_apart() -> None:
    breaker = fairlead.CircuitBreaker(consecutive=0, ratio=2)

    async def good() -> None:
        async with breaker:
            await asyncio.sleep(0.001)

    async def failing() -> None:
        async with breaker:
            await asyncio.sleep(0.0005)
            down()

    async def bad() -> None:
        with pytest.raises(ConnectionError):
            await failing()

    async def main() -> None:
        await asyncio.gather(*(task() for task in (good, bad) * 50))

    asyncio.run(main())
    with breaker, breaker:
        pass
    assert (breaker.snapshot().calls, breaker.snapshot().failed) == (102, 50)


def test_a_forked_child_goes_on_with_what_was_known() -> None:
    breaker = opened(open=60)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if breaker.state == "open" and breaker.try_enter() is None else 1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"consecutive": -1},
        {"consecutive": 2**32},
        {"consecutive": 1.5},
        {"minimum": -1},
        {"probes": math.inf},
        {"ratio": -1},
        {"ratio": math.nan},
        {"window": 0},
        {"window": -1},
        {"open": 0},
        {"slow_after": -1},
        {"preset": "x"},
    ],
)
def test_a_number_out_of_range_is_refused_by_its_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        fairlead.CircuitBreaker(**options)
