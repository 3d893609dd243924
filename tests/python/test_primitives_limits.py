"""`TokenBucket`, `RateLimit` and `Concurrency`: four forms, sync and async, from any loop and thread, and
nothing lost."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import threading
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import fairlead
import pytest
from fairlead import _core, _ports
from fairlead.primitives.concurrency import ConcurrencySnapshot
from test_border_process import run

Limit = fairlead.TokenBucket | fairlead.RateLimit | fairlead.Concurrency | Any
NEVER = 1e-6
"""A second brings back so little that a test does not see it."""


def limits_of_three() -> list[Any]:
    """One of each kind; three fit."""
    return [
        fairlead.TokenBucket(3, NEVER),
        fairlead.RateLimit(3, per=3600),
        fairlead.RateLimit(3, per=3600, algorithm="log"),
        fairlead.RateLimit(3, per=36e5, algorithm="token_bucket"),
        fairlead.RateLimit(3, per=3600).of("u1"),
    ]


@pytest.fixture(params=range(5), ids=["bucket", "sliding", "log", "rate_bucket", "keyed"])
def three(request: pytest.FixtureRequest) -> Any:
    return limits_of_three()[request.param]


def left(limit: Limit) -> int:
    return int(limit.snapshot().available)


# ===== numbers =====


def test_a_bucket_of_100_gives_twenty_times_5_and_then_waits_for_the_refill() -> None:
    bucket = fairlead.TokenBucket(capacity=100, refill_rate=10)
    began = time.monotonic()
    passed = sum(bucket.consume(5) for _ in range(20))
    refused = not bucket.consume(5)
    assert passed == 20
    assert refused or time.monotonic() - began >= 0.5
    while not bucket.consume(5):
        time.sleep(0.005)
    assert 0.5 <= time.monotonic() - began < 10


def test_a_bucket_counts_parts_of_one() -> None:
    bucket = fairlead.TokenBucket(1, NEVER)
    assert [bucket.consume(0.25) for _ in range(3)] == [True] * 3
    assert [bucket.try_acquire(0.25) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("n", [4, 4.5])
def test_more_than_ever_fits_is_a_mistake_that_names_both_numbers(n: float) -> None:
    bucket = fairlead.TokenBucket(capacity=3, refill_rate=10)
    for attempt in (bucket.consume, bucket.acquire_sync, lambda n: asyncio.run(bucket.acquire(n))):
        with pytest.raises(ValueError, match=rf"{n:g} is more than its capacity of 3 "):
            attempt(n)
    assert left(bucket) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: fairlead.TokenBucket(0, 1),
        lambda: fairlead.TokenBucket(-1, 1),
        lambda: fairlead.TokenBucket(1, 0),
        lambda: fairlead.TokenBucket(float("nan"), 1),
        lambda: fairlead.TokenBucket(1, float("nan")),
        lambda: fairlead.TokenBucket(float("inf"), 1),
        lambda: fairlead.RateLimit(0),
        lambda: fairlead.RateLimit(1.5),  # type: ignore[arg-type]
        lambda: fairlead.RateLimit(1, per=0),
        lambda: fairlead.RateLimit(1, per=-1),
        lambda: fairlead.RateLimit(1, burst=2),
        lambda: fairlead.RateLimit(1, algorithm="other"),  # type: ignore[arg-type]
        lambda: fairlead.Concurrency(0),
        lambda: fairlead.TokenBucket(1, 1).consume(-1),
        lambda: fairlead.TokenBucket(1, 1).consume(float("nan")),
        lambda: fairlead.RateLimit(5).try_acquire(1.5),  # type: ignore[arg-type]
        lambda: fairlead.TokenBucket(1, 1).acquire_sync(timeout=-1) or fairlead.TokenBucket(1, -1),
    ],
)
def test_a_number_that_is_none_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: fairlead.TokenBucket(1e-9, 1), "capacity"),
        (lambda: fairlead.TokenBucket(1e10, 1), "capacity"),
        (lambda: fairlead.TokenBucket(-1, 1), "capacity"),
        (lambda: fairlead.TokenBucket(1, float("inf")), "refill_rate"),
        (lambda: fairlead.TokenBucket(1, 1e12), "refill_rate"),
        (lambda: fairlead.RateLimit(float("inf")), "most"),  # type: ignore[arg-type]
        (lambda: fairlead.RateLimit(float("nan")), "most"),  # type: ignore[arg-type]
        (lambda: fairlead.RateLimit("5"), "most"),  # type: ignore[arg-type]
        (lambda: fairlead.RateLimit(1e16), "most"),  # type: ignore[arg-type]
        (lambda: fairlead.RateLimit(1, per=1e-12), "per"),
        (lambda: fairlead.RateLimit(1, algorithm="token_bucket", burst=0), "burst"),
        (lambda: fairlead.RateLimit(1, algorithm="token_bucket", burst=1.5), "burst"),  # type: ignore[arg-type]
        (lambda: fairlead.Concurrency(-1), "most"),
        (lambda: fairlead.Concurrency(1.5), "most"),  # type: ignore[arg-type]
        (lambda: fairlead.Concurrency(float("inf")), "most"),  # type: ignore[arg-type]
    ],
)
def test_a_number_that_makes_no_limit_is_refused_by_its_name(
    make: Callable[[], object], argument: str
) -> None:
    with pytest.raises(ValueError, match=f"`{argument}`"):
        make()


def test_a_burst_may_come_at_once_and_no_more() -> None:
    limit = fairlead.RateLimit(2, per=36e5, algorithm="token_bucket", burst=5)
    assert [limit.try_acquire() for _ in range(6)] == [True] * 5 + [False]


def test_each_key_has_a_count_of_its_own() -> None:
    limit = fairlead.RateLimit(2, per=3600)
    assert [limit.try_acquire(key=key) for key in ("a", "a", "a", "b")] == [True, True, False, True]
    assert limit.try_acquire(2), "the count for all is another one"
    assert [limit.snapshot(key).available for key in ("a", "b", "c", None)] == [0, 1, 2, 0]


# ===== four forms, sync and async =====


def test_four_forms_take_one_each_in_sync_code(three: Limit) -> None:
    @three
    def decorated(x: int, *, y: int) -> int:
        """Adds."""
        return x + y

    assert (decorated.__name__, decorated.__doc__) == ("decorated", "Adds.")
    assert (decorated(1, y=2), left(three)) == (3, 2)
    with three as entered:
        assert entered is three
        assert left(three) == 1
    assert (three(max, 4, 2), left(three)) == (4, 0)
    assert not three.try_acquire()
    with pytest.raises(fairlead.QueueTimeout):
        three.acquire_sync(timeout=0)


def test_four_forms_take_one_each_in_async_code(three: Limit) -> None:
    async def add(x: int, *, y: int) -> int:
        return x + y

    async def main() -> None:
        decorated = three(add)
        assert asyncio.iscoroutinefunction(decorated)
        assert (await decorated(1, y=2), left(three)) == (3, 2)
        async with three as entered:
            assert entered is three
            assert left(three) == 1
        assert (await three(add, 4, y=2), left(three)) == (6, 0)
        with pytest.raises(fairlead.QueueTimeout):
            await three.acquire(timeout=0)

    asyncio.run(main())


def test_a_call_without_arguments_is_spelt_out() -> None:
    limit = fairlead.RateLimit(3)

    async def answer() -> int:
        return 42

    assert limit.call(lambda: 41) == 41
    assert asyncio.run(limit.call(answer)) == 42
    assert limit.snapshot().used == 2


def test_four_forms_of_slots_give_back() -> None:
    slots = fairlead.Concurrency(1)

    def inside(expected: int = 1) -> int:
        assert slots.snapshot().in_use == expected
        return slots.snapshot().in_use

    async def inside_async(expected: int = 1) -> int:
        await asyncio.sleep(0)
        return inside(expected)

    def failing(_: int) -> None:
        raise KeyError

    async def main() -> None:
        assert await slots(inside_async)() == 1
        assert await slots(inside_async, 1) == 1
        async with slots:
            inside()
        await slots.acquire()
        inside()
        slots.release()

    assert slots(inside)() == 1
    assert slots(inside, 1) == 1
    with slots:
        inside()
        assert not slots.try_acquire()
    assert slots.try_acquire()
    slots.release()
    with pytest.raises(KeyError):
        slots(failing, 1)
    asyncio.run(main())
    assert slots.snapshot() == ConcurrencySnapshot(1, 0, 0)
    with pytest.raises(RuntimeError, match="more often"):
        slots.release()
    with pytest.raises(RuntimeError, match="more often"):
        slots.__exit__(None, None, None)


def test_what_runs_later_than_it_is_called_is_refused() -> None:
    limit = fairlead.RateLimit(3)

    def generator() -> Any:
        yield 1

    async def async_generator() -> Any:
        yield 1

    for function in (generator, async_generator):
        with pytest.raises(TypeError, match=r"generator function .*guard what it calls"):
            limit(function)
    with pytest.raises(TypeError, match="expects a function"):
        limit(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="returned a coroutine"):
        limit.call(lambda: asyncio.sleep(0))


def test_a_timeout_says_what_was_full_and_when_to_come_back() -> None:
    bucket = fairlead.TokenBucket(10, 2, name="embeddings")
    bucket.consume(10)

    async def main() -> None:
        await bucket.acquire(6, timeout=1)

    for wait in (lambda: bucket.acquire_sync(6, timeout=1), lambda: asyncio.run(main())):
        began = time.monotonic()
        with pytest.raises(fairlead.QueueTimeout, match="embeddings") as caught:
            wait()
        error = caught.value
        assert time.monotonic() - began < 1, "a wait known to be too long is not begun"
        assert error.retry_after == pytest.approx(3, abs=1)
        assert (error.limit, error.window, error.limit_type, error.is_retryable) == (
            10,
            "5 s",
            "requests",
            True,
        )
    assert bucket.snapshot().waiting == 0


def test_a_slot_that_does_not_come_is_waited_for_as_long_as_was_said() -> None:
    slots = fairlead.Concurrency(1)
    assert slots.try_acquire()
    for wait in (lambda: slots.acquire_sync(timeout=0.05), lambda: asyncio.run(slots.acquire(timeout=0.05))):
        began = time.monotonic()
        with pytest.raises(fairlead.QueueTimeout) as caught:
            wait()
        assert time.monotonic() - began >= 0.05
        assert (caught.value.limit_type, caught.value.window) == ("concurrency", "at once")
    assert slots.snapshot() == ConcurrencySnapshot(1, 1, 0)


def test_the_deadline_of_a_scope_bounds_waits() -> None:
    slots = fairlead.Concurrency(1)
    assert slots.try_acquire()
    for wait in (slots.acquire_sync, lambda: asyncio.run(slots.acquire())):
        with fairlead.scope(deadline=0.05), pytest.raises(fairlead.DeadlineExceeded, match=r"0\.05 s"):
            wait()
        with fairlead.scope(deadline=60), pytest.raises(fairlead.QueueTimeout):
            slots.acquire_sync(timeout=0.01)


# ===== any loop, any thread, any process =====


def test_one_object_serves_many_loops_and_threads_at_once() -> None:
    slots = fairlead.Concurrency(5)
    lock = threading.Lock()
    running, highest, done = 0, 0, 0

    def enter() -> None:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)

    def leave() -> None:
        nonlocal running, done
        with lock:
            running -= 1
            done += 1

    async def work() -> None:
        async with slots:
            enter()
            await asyncio.sleep(0.001)
            leave()

    async def many() -> None:
        await asyncio.gather(*(work() for _ in range(20)))

    def looping() -> None:
        for _ in range(3):
            asyncio.run(many())

    def blocking() -> None:
        for _ in range(20):
            with slots:
                enter()
                time.sleep(0.001)
                leave()

    threads = [threading.Thread(target=target) for target in (looping, blocking) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == 4 * 60 + 4 * 20
    assert highest == 5
    assert slots.snapshot() == ConcurrencySnapshot(5, 0, 0)


def test_those_who_wait_are_served_in_their_order_sync_and_async() -> None:
    slots = fairlead.Concurrency(1)
    order: list[int] = []
    assert slots.try_acquire()

    def blocking(number: int) -> None:
        with slots:
            order.append(number)

    async def awaiting(number: int) -> None:
        async with slots:
            order.append(number)

    threads = []
    for number in range(10):
        target: Callable[[], object] = (
            (lambda number=number: blocking(number))
            if number % 2
            else (lambda number=number: asyncio.run(awaiting(number)))
        )
        threads.append(threading.Thread(target=target))
        threads[-1].start()
        while slots.snapshot().waiting <= number:
            time.sleep(0.001)
    assert not slots.try_acquire()
    slots.release()
    for thread in threads:
        thread.join()
    assert order == list(range(10))


FORK = """
    import asyncio, os, signal, threading
    import fairlead

    slots = fairlead.Concurrency(2)
    bucket = fairlead.TokenBucket(3, 1e-6)

    async def wait():
        async with slots:
            pass

    def child():
        signal.alarm(30)
        asyncio._set_running_loop(None)
        try:
            assert slots.snapshot().in_use == 0
            with slots, slots:
                assert not slots.try_acquire()
            asyncio.new_event_loop().run_until_complete(wait())
            assert [bucket.consume() for _ in range(4)] == [True] * 3 + [False]
            slots.release()  # the parent's: nothing of ours
            assert slots.snapshot().in_use == 0
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)

    async def parent():
        bucket.consume(3)
        assert slots.try_acquire() and slots.try_acquire()
        waiting = [asyncio.ensure_future(wait()) for _ in range(5)]
        await asyncio.sleep(0.01)
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                child()
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert status == 0, status
        slots.release()
        slots.release()
        await asyncio.gather(*waiting)
        assert slots.snapshot().in_use == 0
        assert not bucket.consume()

    asyncio.run(parent())
"""


def test_a_forked_child_counts_for_itself_and_takes_nothing_of_its_parents() -> None:
    run(FORK)


# ===== nothing is lost =====


def settled(slots: fairlead.Concurrency) -> ConcurrencySnapshot:
    deadline = time.monotonic() + 20
    while (slots.snapshot().in_use or slots.snapshot().waiting) and time.monotonic() < deadline:
        time.sleep(0.002)
    return slots.snapshot()


def test_ten_thousand_cancelled_waits_leak_nothing() -> None:
    slots = fairlead.Concurrency(3)
    rng = random.Random(5)
    ended = {"served": 0, "cancelled": 0}

    async def work() -> None:
        try:
            async with slots:
                if rng.random() < 0.5:
                    await asyncio.sleep(0)
            ended["served"] += 1
        except asyncio.CancelledError:
            ended["cancelled"] += 1

    async def main() -> None:
        for _ in range(200):
            tasks = [asyncio.ensure_future(work()) for _ in range(50)]
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            rng.shuffle(tasks)
            for task in tasks:
                task.cancel()
                if rng.random() < 0.05:
                    await asyncio.sleep(0)
            await asyncio.wait(tasks)

    asyncio.run(main())
    assert ended["cancelled"] > 5_000
    assert settled(slots) == ConcurrencySnapshot(3, 0, 0)


def test_a_wait_cancelled_in_the_turn_in_which_it_was_granted_gives_back() -> None:
    slots = fairlead.Concurrency(1)

    async def main() -> None:
        for pause in (0, 1e-4, 1e-3) * 30:
            await slots.acquire()
            task = asyncio.ensure_future(slots.acquire())
            await asyncio.sleep(0)
            slots.release()
            time.sleep(pause)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert settled(slots) == ConcurrencySnapshot(1, 0, 0)


def test_a_wait_that_was_cancelled_stands_in_nobodys_way() -> None:
    async def main() -> None:
        slots = fairlead.Concurrency(1)
        for _ in range(100):
            await slots.acquire()
            waiting = asyncio.ensure_future(slots.acquire())
            await asyncio.sleep(0.001)
            waiting.cancel()
            await asyncio.wait([waiting])
            slots.release()
            assert slots.try_acquire()
            slots.release()

    asyncio.run(main())


def test_cancelled_waits_at_a_bucket_take_nothing_from_it() -> None:
    bucket = fairlead.TokenBucket(10, 1000)

    async def main() -> int:
        served = 0
        bucket.consume(10)
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            tasks = [asyncio.ensure_future(bucket.acquire()) for _ in range(20)]
            await asyncio.sleep(0.002)
            for task in tasks[::2]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            served += sum(result is None for result in done)
        assert served >= (time.monotonic() - began) * 1000 * 0.5
        return served

    assert asyncio.run(main()) > 0
    while bucket.snapshot().available < 10:
        time.sleep(0.001)
    assert bucket.snapshot().waiting == 0


def test_a_forgotten_lease_goes_back_and_objects_are_collected() -> None:
    limiter = _core.Limiter("concurrency", 1, 0, "one")
    lease = limiter.try_take()
    assert lease is not None
    assert limiter.try_take() is None
    del lease
    assert limiter.used() == 0
    slots = fairlead.Concurrency(1)
    asyncio.run(_waits_in_vain(slots))
    reference = weakref.ref(slots)
    del slots
    gc.collect()
    assert reference() is None


async def _waits_in_vain(slots: fairlead.Concurrency) -> None:
    async with slots:
        task = asyncio.ensure_future(slots.acquire())
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])


def test_a_signal_interrupts_a_thread_that_waits_and_its_place_is_free() -> None:
    slots = fairlead.Concurrency(1)
    assert slots.try_acquire()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            slots.acquire_sync()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    slots.release()
    assert settled(slots).waiting == 0


# ===== accuracy =====


async def saturated(kind: str, most: int, length: float, windows: int) -> list[float]:
    """When each of the first `windows + 1` times `most` was granted, by the limiter, to a thousand tasks that
    want more."""
    limiter = _core.Limiter(kind, most, length, "saturated")
    granted: list[float] = []
    enough = most * (windows + 1)
    loop = asyncio.get_running_loop()
    port = _ports.port_of(loop)

    async def want() -> None:
        while len(granted) < enough:
            future, number = limiter.start_take(port, loop)
            try:
                lease = await future
            except BaseException:
                port.cancel(number)
                raise
            granted.append(time.monotonic() - lease.age)
            lease.keep()

    tasks = [asyncio.ensure_future(want()) for _ in range(1000)]
    while len(granted) < enough:
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return sorted(granted)[:enough]


READ_WITHIN = 0.1
"""Seconds; that no window holds more to the nanosecond is proved in virtual time, without Python."""


def judged(granted: list[float], most: int, length: float, windows: int) -> tuple[float, float]:
    """The most in any window as a share of the limit, and the share of the limit that was used in the window
    that used most of it, after the first fill."""
    first, largest = 0, 0
    for last, at in enumerate(granted):
        # A clock and the age of a lease are two readings, between which a busy machine may do something else.
        while granted[first] <= at - length + READ_WITHIN:
            first += 1
        largest = max(largest, last - first + 1)
    filled = granted[most - 1 :: most][: windows + 1]
    return largest / most, length / min(end - begin for begin, end in pairwise(filled))


def accurate(kind: str, most: int, length: float, windows: int) -> None:
    utilisation = 0.0
    # Never too many; that all of it is used may take a machine that is not busy with other things.
    for _ in range(15):
        granted = asyncio.run(saturated(kind, most, length, windows))
        largest, used = judged(granted, most, length, windows)
        assert largest <= 1.0
        utilisation = max(utilisation, used)
        if utilisation >= 0.99:
            return
    pytest.fail(f"only {utilisation:.4f} of the limit was used")


@pytest.mark.parametrize(("kind", "most"), [("sliding", 100), ("sliding", 500), ("log", 300)])
def test_l1_l3_a_thousand_tasks_never_exceed_a_window_and_use_all_of_it(kind: str, most: int) -> None:
    accurate(kind, most, 2.0, 3)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "most"), [("sliding", 600), ("log", 600)])
@pytest.mark.timeout(1200)
def test_l1_l3_a_thousand_tasks_in_windows_of_a_minute(kind: str, most: int) -> None:
    accurate(kind, most, 60.0, 2)


def test_everything_holds_with_openai_loaded() -> None:
    openai = pytest.importorskip("openai")
    slots = fairlead.Concurrency(1)
    assert slots.try_acquire()
    with pytest.raises(openai.RateLimitError):
        slots.acquire_sync(timeout=0)
