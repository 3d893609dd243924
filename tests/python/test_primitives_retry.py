"""`Retry` and `RetryBudget`, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import fairlead
import pytest
from fairlead.primitives import _course, attempt, retry


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (retry, attempt, _course):
        monkeypatch.setattr(module, "time", clock)
    for module in (retry, attempt):
        monkeypatch.setattr(module, "asyncio", type("asyncio", (), {"sleep": staticmethod(clock.pause)}))
    return clock


class Flaky:
    """Raises `error` so many times, then answers."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.times = times
        self.error = error or ConnectionError("down")
        self.calls = 0

    def __call__(self, answer: str = "up") -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return answer


Form = Callable[[fairlead.Retry, Flaky], str]


def by_call(policy: fairlead.Retry, flaky: Flaky) -> str:
    return policy(flaky, "up")


def by_decorator(policy: fairlead.Retry, flaky: Flaky) -> str:
    @policy
    def function(answer: str) -> str:
        return flaky(answer)

    return function("up")


def by_loop(policy: fairlead.Retry, flaky: Flaky) -> str:
    answer = ""
    for turn in policy:
        with turn:
            assert turn.number == flaky.calls + 1
            answer = flaky("up")
    return answer


def by_async_call(policy: fairlead.Retry, flaky: Flaky) -> str:
    async def function(answer: str) -> str:
        return flaky(answer)

    async def main() -> str:
        return await policy(function, "up")

    return asyncio.run(main())


def by_async_decorator(policy: fairlead.Retry, flaky: Flaky) -> str:
    @policy
    async def function(answer: str) -> str:
        return flaky(answer)

    assert inspect.iscoroutinefunction(function)
    return asyncio.run(function("up"))


def by_async_loop(policy: fairlead.Retry, flaky: Flaky) -> str:
    async def main() -> str:
        answer = ""
        async for turn in policy:
            with turn:
                answer = flaky("up")
        return answer

    return asyncio.run(main())


@pytest.fixture(params=[by_call, by_decorator, by_loop, by_async_call, by_async_decorator, by_async_loop])
def form(request: pytest.FixtureRequest) -> Form:
    found: Form = request.param
    return found


def notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


def test_what_may_pass_is_tried_again_until_it_does(form: Form, clock: Clock) -> None:
    flaky = Flaky(2)
    assert form(fairlead.Retry(on=ConnectionError, attempts=3, base=1, jitter="none"), flaky) == "up"
    assert (flaky.calls, clock.waits) == (3, [1, 2])


def test_the_last_exception_is_raised_as_it_is_and_nothing_is_slept_after_it(
    form: Form, clock: Clock
) -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError, match="down") as caught:
        form(fairlead.Retry(on=ConnectionError, attempts=3, base=1, jitter="none"), flaky)
    assert caught.value is flaky.error
    assert notes(caught.value) == "fairlead.Retry: 3 attempts in 3.00 s; no attempt was left"
    assert (flaky.calls, clock.waits) == (3, [1, 2])


def test_another_exception_is_raised_at_once(form: Form, clock: Clock) -> None:
    flaky = Flaky(9, KeyError("x"))
    with pytest.raises(KeyError) as caught:
        form(fairlead.Retry(on=(ConnectionError, TimeoutError)), flaky)
    assert (flaky.calls, clock.waits, notes(caught.value)) == (1, [], "")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), SystemExit(1)])
def test_interrupts_and_cancellation_are_never_tried_again(error: BaseException, clock: Clock) -> None:
    policy = fairlead.Retry(on=lambda error: True)
    calls: list[int] = []

    def function(number: int) -> None:
        calls.append(number)
        raise error

    with pytest.raises(type(error)):
        policy(function, 1)

    def looping() -> None:
        for turn in policy:
            with turn:
                function(2)

    with pytest.raises(type(error)):
        looping()
    assert (calls, clock.waits) == ([1, 2], [])


def test_a_cancelled_task_ends_at_once() -> None:
    policy = fairlead.Retry(on=lambda error: True, attempts=None, timeout=None)
    started: list[int] = []

    async def function(number: int) -> None:
        started.append(number)
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.ensure_future(policy(function, 1))
        while not started:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert started == [1]


@pytest.mark.parametrize(
    ("answer", "calls", "waits"),
    [(True, 3, [1, 2]), (False, 1, []), (None, 1, []), (0.25, 3, [0.25, 0.25]), (0, 3, [0, 0])],
)
def test_a_hook_decides_and_may_say_how_long(
    form: Form, clock: Clock, answer: Any, calls: int, waits: list[float]
) -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError):
        form(fairlead.Retry(on=lambda error: answer, attempts=3, base=1, jitter="none"), flaky)
    slept = [wait for wait in clock.waits if wait] if answer == 0 else clock.waits
    assert (flaky.calls, slept) == (calls, [wait for wait in waits if wait])


def asking(seconds: float) -> fairlead.RateLimitError:
    error = fairlead.RateLimitError("slower")
    error.retry_after = seconds
    return error


def test_h8_a_wait_that_is_asked_for_is_never_shortened_and_at_most_a_tenth_longer(
    form: Form, clock: Clock
) -> None:
    form(fairlead.Retry(on=fairlead.RateLimitError), Flaky(2, asking(7)))
    assert all(7 <= wait <= 7.7 for wait in clock.waits)
    assert len(clock.waits) == 2


def test_h8_a_hook_may_lengthen_a_wait_that_is_asked_for_and_not_shorten_it(form: Form, clock: Clock) -> None:
    form(fairlead.Retry(on=lambda error: 0.01), Flaky(1, asking(7)))
    assert 7 <= clock.waits[0] <= 7.7
    form(fairlead.Retry(on=lambda error: 9), Flaky(1, asking(7)))
    assert clock.waits[1:] == [9]
    with pytest.raises(fairlead.RateLimitError):
        form(fairlead.Retry(on=lambda error: 1, timeout=None), Flaky(1, asking(100)))
    form(fairlead.Retry(on=lambda error: 120, timeout=None), Flaky(1, asking(100)))
    assert clock.waits[2:] == [120]


def test_a_hook_that_asks_for_a_wait_without_end_ends_it(form: Form, clock: Clock) -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError) as caught:
        form(fairlead.Retry(on=lambda error: float("inf"), timeout=None), flaky)
    assert caught.value is flaky.error
    assert (flaky.calls, clock.waits) == (1, [])
    assert "a wait of inf s has no end" in notes(caught.value)


@pytest.mark.parametrize(
    "answer", [float("nan"), "yes", object(), 10**400], ids=["nan", "word", "object", "huge"]
)
def test_what_a_hook_may_not_answer_is_told_beside_the_error(form: Form, clock: Clock, answer: Any) -> None:
    flaky = Flaky(9)
    with pytest.raises(TypeError, match="Retry: `on` answers with True, False, None or seconds") as caught:
        form(fairlead.Retry(on=lambda error: answer), flaky)
    assert caught.value.__cause__ is flaky.error
    assert clock.waits == []


def test_h8_a_longer_one_than_a_minute_is_raised_at_once(form: Form, clock: Clock) -> None:
    with pytest.raises(fairlead.RateLimitError) as caught:
        form(fairlead.Retry(on=fairlead.RateLimitError, timeout=None), Flaky(2, asking(100_000)))
    assert "asks for a wait of 100000 s" in notes(caught.value)
    assert clock.waits == []


@pytest.mark.parametrize("asked", [-1, float("nan"), "soon", True, None])
def test_h1_what_is_no_wait_is_not_waited(asked: Any, clock: Clock) -> None:
    error = ConnectionError()
    error.retry_after = asked  # type: ignore[attr-defined]
    fairlead.Retry(on=ConnectionError, base=1, jitter="none")(Flaky(1, error), "up")
    assert clock.waits == [1]


def test_r3_a_wait_that_would_outlast_the_timeout_is_not_slept(form: Form, clock: Clock) -> None:
    with pytest.raises(ConnectionError) as caught:
        form(fairlead.Retry(on=ConnectionError, attempts=None, base=1, jitter="none", timeout=10), Flaky(99))
    assert clock.waits == [1, 2, 4]
    assert "4 attempts in 7.00 s; a wait of 8.00 s would outlast the timeout of 10 s" in notes(caught.value)


def test_r3_the_deadline_of_a_scope_counts_too(clock: Clock) -> None:
    with fairlead.scope(deadline=3), pytest.raises(ConnectionError) as caught:
        fairlead.Retry(on=ConnectionError, base=2, attempts=9, jitter="none")(Flaky(99), "up")
    assert clock.waits == [2]
    assert "deadline of 3 s" in notes(caught.value)


def test_r2_retries_of_all_who_share_a_budget_are_a_fifth_of_first_attempts_and_ten(clock: Clock) -> None:
    budget = fairlead.RetryBudget(ratio=0.2, floor=1.0)
    policy = fairlead.Retry(on=ConnectionError, base=0, budget=budget)
    flaky = Flaky(10**9)
    failures: list[BaseException] = []

    def fail() -> None:
        for _ in range(25):
            with pytest.raises(ConnectionError) as caught:
                policy(flaky, "up")
            failures.append(caught.value)

    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    retries = flaky.calls - 100
    # All within ten seconds; of a slower run, no more than its seconds give.
    assert 10 <= retries <= 30 + 10
    assert "the budget of retries is used up" in notes(flaky.error)
    assert budget.snapshot().balance < 1


def test_presets_wait_as_their_authors_do(clock: Clock) -> None:
    for preset, error, expected in (
        ("tenacity", ConnectionError(), [2, 2, 4, 8, 10]),
        ("rising", TimeoutError(), [1, 2, 3, 4, 5]),
        ("rising", ConnectionError(), [2, 4, 6, 8, 10]),
    ):
        clock.waits.clear()
        policy = fairlead.Retry(on=Exception, attempts=6, preset=preset, timeout=None)  # type: ignore[arg-type]
        policy(Flaky(5, error), "up")
        assert clock.waits == expected
    clock.waits.clear()
    fairlead.Retry(on=Exception, attempts=4, preset="hand_written", timeout=None)(Flaky(3), "up")
    assert all(step <= wait <= step + 0.5 for step, wait in zip([1, 2, 4], clock.waits, strict=True))


@pytest.mark.parametrize(
    ("jitter", "low", "high"), [("full", 0, 4), ("equal", 2, 4), ("decorrelated", 1, 20), ("none", 4, 4)]
)
def test_r6_jitter_keeps_its_range(jitter: Any, low: float, high: float, clock: Clock) -> None:
    policy = fairlead.Retry(on=ConnectionError, attempts=4, base=1, jitter=jitter, timeout=None)
    thirds = []
    for _ in range(200):
        clock.waits.clear()
        policy(Flaky(3), "up")
        thirds.append(clock.waits[2])
    assert low <= min(thirds) <= max(thirds) <= high
    assert len(set(thirds)) == 1 if jitter == "none" else len(set(thirds)) > 150


def test_r6_a_forked_child_has_chances_of_its_own(clock: Clock) -> None:
    policy = fairlead.Retry(on=ConnectionError, base=1)
    policy(Flaky(1), "up")
    inlet, outlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        policy(Flaky(1), "up")
        os.write(outlet, repr(clock.waits[-1]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    policy(Flaky(1), "up")
    assert float(os.read(inlet, 100)) != clock.waits[-1]
    os.close(inlet)
    os.close(outlet)


@pytest.fixture
def testing() -> Iterator[None]:
    yield
    fairlead.set_testing(False)


@pytest.mark.usefixtures("testing")
def test_in_tests_nothing_waits_and_once_is_enough(form: Form, clock: Clock) -> None:
    policy = fairlead.Retry(on=ConnectionError, attempts=5, base=1)
    with fairlead.set_testing(True, attempts=3):
        assert form(policy, Flaky(2)) == "up"
        fairlead.set_testing(True)
        with pytest.raises(ConnectionError):
            form(policy, Flaky(1))
    assert not any(clock.waits)
    form(policy, Flaky(4))
    assert any(clock.waits), "it is off again"


def test_a_loop_ends_when_its_block_ends_well_or_is_left() -> None:
    policy = fairlead.Retry(on=ConnectionError)
    numbers = [turn.number for turn in policy]
    assert numbers == [1], "a turn that nobody entered is the last"
    for turn in policy:
        with turn:
            break
    assert turn.number == 1


def test_what_is_tried_again_must_be_said_and_make_sense() -> None:
    for on in (3, "x", (), KeyboardInterrupt, (ValueError, BaseException), int):
        with pytest.raises(TypeError, match="`on`"):
            fairlead.Retry(on=on)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fairlead.Retry()  # type: ignore[call-arg]
    for options in (
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": float("inf")},
        {"base": -1},
        {"cap": float("nan")},
        {"timeout": -1},
        {"jitter": "x"},
        {"preset": "x"},
    ):
        with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
            fairlead.Retry(on=ValueError, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`attempts`"):
        fairlead.set_testing(True, attempts=0)
    for ratio, floor in ((-1, 1), (1, -1), (float("nan"), 1)):
        with pytest.raises(ValueError, match=r"."):
            fairlead.RetryBudget(ratio, floor)


def test_a_generator_function_cannot_be_tried_again() -> None:
    policy = fairlead.Retry(on=ValueError)

    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> Any:
        yield 1

    for function in (generator, async_generator):
        with pytest.raises(TypeError, match="Retry cannot guard the generator function"):
            policy(function)
    with pytest.raises(TypeError, match="returned a coroutine"):
        policy.call(lambda: asyncio.sleep(0))


def test_one_object_serves_loops_and_threads_at_once() -> None:
    policy = fairlead.Retry(on=ConnectionError, attempts=3, base=0)
    answers: list[str] = []

    def work() -> None:
        for _ in range(20):
            answers.append(by_async_call(policy, Flaky(2)))
            answers.append(by_call(policy, Flaky(2)))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["up"] * 200


def test_a_methods_signature_and_self_are_kept() -> None:
    policy = fairlead.Retry(on=ConnectionError)

    class Client:
        flaky = Flaky(1)

        @policy
        def ask(self, answer: str, *, loud: bool = False) -> str:
            return self.flaky(answer).upper() if loud else self.flaky(answer)

    assert Client().ask("up", loud=True) == "UP"
    assert list(inspect.signature(Client.ask).parameters) == ["self", "answer", "loud"]
