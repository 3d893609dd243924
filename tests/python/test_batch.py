"""Many requests at once: each has its result, in order, and nothing is lost or left."""

from __future__ import annotations

import asyncio
import io
import itertools
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import fairlead
import pytest
from fairlead import AsyncClient, Client, Results
from fairlead.batch.pace import Pace
from fairlead.testing import Request, Step, Upstream, fail, hang, ok


def client_of(up: Upstream, **options: Any) -> Client:
    return Client(api_key="k", base_url=up.base_url, **options)


def async_client_of(up: Upstream, **options: Any) -> AsyncClient:
    return AsyncClient(api_key="k", base_url=up.base_url, **options)


def prompt_of(request: Request) -> str:
    prompt: str = request.json()["messages"][-1]["content"]
    return prompt


def run(up: Upstream, both: str, requests: Any, **options: Any) -> Results:
    """The same through either door."""
    options.setdefault("model", "m")
    retries = {"max_retries": options.pop("max_retries")} if "max_retries" in options else {}
    if both == "sync":
        with client_of(up, **retries) as client:
            return client.batch(requests, **options)

    async def awaited() -> Results:
        async with async_client_of(up, **retries) as client:
            return await client.batch(requests, **options)

    return asyncio.run(awaited())


BOTH = pytest.mark.parametrize("both", ["sync", "async"])


# ===== results =====


@BOTH
def test_results_are_in_the_order_of_the_requests_however_they_came(up: Upstream, both: str) -> None:
    up.reply = lambda request: ok(prompt_of(request)).after(0.03 if "7" in prompt_of(request) else 0.0)
    prompts = [f"prompt {number}" for number in range(100)]
    results = run(up, both, prompts)
    assert [result.text for result in results] == prompts
    assert [result.index for result in results] == list(range(100))
    assert results.ok
    assert [reply.choices[0].message.content for reply in results.unwrap()] == prompts
    assert (results.summary.ok, results.summary.failed, results.summary.restored) == (100, 0, 0)
    assert results.summary.input_tokens > 0
    assert results.summary.output_tokens > 0


@BOTH
def test_a_request_that_fails_fails_itself_alone(up: Upstream, both: str) -> None:
    up.reply = lambda request: fail(400, "no") if prompt_of(request) == "bad" else ok("good")
    results = run(up, both, ["a", "bad", "b"])
    assert [result.ok for result in results] == [True, False, True]
    assert isinstance(results[1].error, fairlead.BadRequestError)
    assert [result.index for result in results.failures] == [1]
    with pytest.raises(fairlead.BadRequestError):
        results[1].unwrap()
    with pytest.raises(fairlead.BatchError, match="1 of 3 requests failed") as caught:
        results.unwrap()
    assert isinstance(caught.value.__cause__, fairlead.BadRequestError)
    assert [result.index for result in caught.value.failures] == [1]


@BOTH
def test_requests_are_prompts_messages_or_arguments_and_vectors(up: Upstream, both: str) -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "as messages"}]
    results = run(
        up,
        both,
        ["a prompt", messages, {"messages": "as arguments", "model": "other"}, {"input": ["one", "two"]}],
        temperature=0.5,
    )
    assert [result.text for result in results[:3]] == ["a prompt", "as messages", "as arguments"]
    assert len(results[3].value.data) == 2
    with pytest.raises(TypeError, match="no text"):
        _ = results[3].text
    sent = {(request.json()["model"], request.json()["temperature"]) for request in up.requests}
    assert sent == {("m", 0.5), ("other", 0.5)}


@BOTH
@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (7, "not a int"),
        ({"model": "m"}, "either `messages`"),
        ({"messages": "x", "stream": True}, "`stream`"),
    ],
)
def test_what_is_no_request_is_a_result_with_its_fault(
    up: Upstream, both: str, request_: Any, says: str
) -> None:
    results = run(up, both, ["fine", request_])
    assert results[0].ok
    assert isinstance(results[1].error, fairlead.ConfigError)
    assert says in str(results[1].error)


@pytest.mark.parametrize("requests", ["a prompt", {"messages": "x"}, 7])
def test_what_is_not_several_is_refused(up: Upstream, requests: Any) -> None:
    with client_of(up) as client, pytest.raises(fairlead.ConfigError, match="`requests`"):
        client.batch(requests, model="m")
    with client_of(up) as client, pytest.raises(fairlead.ConfigError, match="`concurrency`"):
        client.batch([], model="m", concurrency=0)


@BOTH
def test_nothing_is_a_batch_too(up: Upstream, both: str) -> None:
    assert run(up, both, []) == []


# ===== reading =====


def test_requests_without_end_are_read_as_they_are_asked(up: Upstream) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for read in itertools.count(1):
            yield f"prompt {read}"

    with client_of(up) as client:
        taken = list(itertools.islice(client.batch_iter(endless(), model="m", concurrency=4), 50))
        assert len({result.index for result in taken}) == 50
        # What is in flight, and what waits for the thread that takes results.
        assert read < 50 + 4 + 64 + 4


def test_an_asynchronous_source_is_read_and_its_results_come_before_it_ends(up: Upstream) -> None:
    async def slow() -> AsyncIterator[str]:
        yield "first"
        await first_has_come.wait()
        yield "second"

    first_has_come = asyncio.Event()

    async def take() -> list[str]:
        found = []
        async with async_client_of(up) as client, aclosing(client.batch_iter(slow(), model="m")) as results:
            async for result in results:
                found.append(result.text)
                first_has_come.set()
        return found

    assert asyncio.run(asyncio.wait_for(take(), 30)) == ["first", "second"]


@BOTH
def test_a_source_that_raises_ends_the_batch_with_its_error(up: Upstream, both: str) -> None:
    def source() -> Iterator[str]:
        yield "a"
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        run(up, both, source())
    assert up.wait_idle()


# ===== how many at once =====


def test_no_more_are_in_flight_than_allowed(up: Upstream) -> None:
    most = 0

    def answer(_: Request) -> Step:
        nonlocal most
        most = max(most, up.in_flight)
        return ok().after(0.005)

    up.reply = answer
    run(up, "async", ["x"] * 60, concurrency=3)
    assert most == 3


def test_the_pace_doubles_until_it_is_throttled_and_then_feels_its_way() -> None:
    pace = Pace(64)
    assert pace.number == 8
    for _ in range(8):
        pace.answered(8)
    assert pace.number == 16
    before = pace.round
    pace.throttled(before)
    pace.throttled(before)
    assert pace.number == 8, "once for all that were in flight"
    for _ in range(8):
        pace.answered(8)
    assert pace.number == 8
    pace.answered(8)
    assert pace.number == 9, "one more a round"
    for _ in range(100):
        pace.answered(1)
    assert pace.number == 9, "what is not used says nothing"
    for _ in range(10):
        pace.throttled(pace.round)
    assert pace.number == 1
    for _ in range(10_000):
        pace.answered(64)
    assert pace.number == 64


def test_a_throttling_upstream_is_asked_less_and_loses_nothing(up: Upstream) -> None:
    def answer(request: Request) -> Step:
        if up.in_flight > 4:
            return fail(529, "too many")
        return ok(prompt_of(request)).after(0.01)

    up.reply = answer
    prompts = [f"p{number}" for number in range(150)]
    results = run(up, "async", prompts, max_retries=0)
    answered = [result for result in results if result.ok]
    assert len(answered) >= 145, results.failures[:1]
    refused = len(up.requests) - len(answered)
    assert refused < 90, f"{refused} refusals of {len(up.requests)} requests"


def test_a_limit_of_ours_paces_the_batch_instead_of_failing_it(up: Upstream) -> None:
    config = {
        "models": {"m": {"deployments": [{"provider": "openai", "model": "m", "api_key": "k"}]}},
        "providers": {"openai": {"base_url": up.base_url}},
        "limits": {"global": {"requests_per_second": 20}},
        "queue": {"wait": 0.1},
    }
    with Client(config) as client:
        begun = time.monotonic()
        results = client.batch(["x"] * 50, model="m")
        assert results.ok, results.failures[:1]
        assert time.monotonic() - begun > 1.0


# ===== ending =====


def test_a_cancelled_batch_ends_every_request(up: Upstream) -> None:
    up.reply = hang()

    async def cancelled() -> None:
        async with async_client_of(up) as client:
            batch = asyncio.create_task(client.batch(["x"] * 20, model="m"))
            await asyncio.to_thread(up.wait_requests, 8)
            batch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await batch
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancelled())
    assert up.wait_idle()


def test_results_that_are_left_early_end_the_rest(up: Upstream) -> None:
    up.reply = lambda request: ok("a") if prompt_of(request) == "first" else hang()
    with client_of(up) as client:
        results = client.batch_iter(["first", *["x"] * 20], model="m")
        assert next(results).text == "a"
        results.close()  # type: ignore[attr-defined]
        assert up.wait_idle()


def test_the_deadline_of_the_scope_holds_for_the_whole_batch(up: Upstream) -> None:
    up.reply = hang()
    with client_of(up) as client, fairlead.scope(deadline=0.3):
        results = client.batch(["x"] * 5, model="m")
    assert {type(result.error).__name__ for result in results} == {"DeadlineExceeded"}


@BOTH
def test_a_function_of_the_caller_that_raises_ends_the_batch(up: Upstream, both: str) -> None:
    def raises(_: fairlead.Result) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(up, both, ["x"] * 20, on_result=raises)
    assert up.wait_idle()


# ===== progress =====


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_no_bar_without_a_terminal(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    run(up, "sync", ["x"] * 3)
    assert shown.getvalue() == ""


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_a_bar_on_a_terminal_with_and_without_tqdm(
    up: Upstream, monkeypatch: pytest.MonkeyPatch, has_tqdm: bool
) -> None:
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    up.reply = lambda request: fail(400, "no") if prompt_of(request) == "bad" else ok("good")
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    run(up, "sync", ["x", "y", "bad"])
    assert "3/3" in shown.getvalue()
    assert "failed" in shown.getvalue()


def test_progress_and_results_are_told_as_they_come(up: Upstream) -> None:
    told: list[tuple[int, int | None]] = []
    seen: list[int] = []
    results = run(
        up,
        "sync",
        ["x"] * 5,
        progress=lambda progress: told.append((progress.done, progress.total)),
        on_result=lambda result: seen.append(result.index),
    )
    assert told == [(done, 5) for done in range(1, 6)]
    assert sorted(seen) == [result.index for result in results]


def test_asynchronous_functions_are_awaited_one_after_the_other(up: Upstream) -> None:
    told: list[Any] = []

    async def progress(progress: Any) -> None:
        await asyncio.sleep(0.001)
        told.append(progress.done)

    async def on_result(result: fairlead.Result) -> None:
        await asyncio.sleep(0.001)
        told.append(result.text)

    async def iterated() -> list[int]:
        async with async_client_of(up) as client:
            results = client.batch_iter(["x"], model="m", progress=progress, on_result=on_result)
            return [result.index async for result in results]

    up.reply = ok("good")
    run(up, "async", ["x"] * 2, progress=progress, on_result=on_result)
    assert told == [1, "good", 2, "good"]
    assert asyncio.run(iterated()) == [0]
    assert told[4:] == [1, "good"]


def test_asynchronous_functions_do_not_hold_up_the_requests(up: Upstream) -> None:
    asked: list[int] = []

    async def on_result(_: fairlead.Result) -> None:
        await up_to(20)
        asked.append(len(up.requests))

    async def up_to(count: int) -> None:
        while len(up.requests) < count:
            await asyncio.sleep(0.001)

    run(up, "async", ["x"] * 20, on_result=on_result, concurrency=1)
    assert asked == [20] * 20


def test_a_task_that_a_function_returns_is_not_waited_for(up: Upstream) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def batch() -> Results:
        release = asyncio.Event()

        async def save() -> None:
            await release.wait()

        def on_result(_: fairlead.Result) -> asyncio.Task[None]:
            tasks.append(asyncio.create_task(save()))
            return tasks[-1]

        async with async_client_of(up) as client:
            results = await client.batch(["x"] * 5, model="m", on_result=on_result)
        assert not any(task.done() for task in tasks)
        release.set()
        await asyncio.gather(*tasks)
        return results

    assert len(asyncio.run(batch())) == len(tasks) == 5


def test_an_asynchronous_function_that_raises_ends_the_batch_at_once(up: Upstream) -> None:
    up.reply = lambda request: ok("a") if prompt_of(request) == "first" else hang()

    async def raises(_: fairlead.Result) -> None:
        await asyncio.sleep(0.01)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(up, "async", ["first", *["x"] * 20], on_result=raises)
    assert up.wait_idle()
    with pytest.raises(LookupError, match="mine"):
        run(up, "async", ["first"], on_result=raises)


def test_a_function_that_falls_far_behind_slows_the_batch_down(
    up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.batch.awaited.MOST_BEHIND", 5)

    async def hangs(_: fairlead.Result) -> None:
        await asyncio.Event().wait()

    async def batch() -> None:
        async with async_client_of(up) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await client.batch(["x"] * 100, model="m", on_result=hangs, concurrency=2)

    asyncio.run(batch())
    assert 5 <= len(up.requests) <= 12


def test_results_that_are_left_early_are_told_before_the_batch_ends(up: Upstream) -> None:
    told: list[int] = []

    async def on_result(result: fairlead.Result) -> None:
        await asyncio.sleep(0.01)
        told.append(result.index)

    async def iterated() -> list[int]:
        seen: list[int] = []
        async with async_client_of(up) as client:
            results = client.batch_iter(["x"] * 20, model="m", on_result=on_result, concurrency=1)
            async with aclosing(results) as left_early:  # type: ignore[type-var]
                async for result in left_early:
                    seen.append(result.index)
                    if len(seen) == 5:
                        break
        return seen

    assert asyncio.run(iterated()) == told == list(range(5))


@pytest.mark.parametrize("name", ["on_result", "progress"])
def test_what_blocks_refuses_asynchronous_functions_before_anything_is_asked(up: Upstream, name: str) -> None:
    async def later(_: Any) -> None: ...

    options: Any = {name: later}
    with pytest.raises(fairlead.ConfigError, match=f"`{name}`: an asynchronous function"):
        run(up, "sync", ["x"], **options)
    assert up.requests == []
    # What only turns out to be one cannot be known before.
    options = {name: lambda told: later(told)}
    with pytest.raises(fairlead.ConfigError, match=f"`{name}`: an asynchronous function"):
        run(up, "sync", ["x"], **options)


@pytest.mark.soak
def test_a_hundred_thousand_requests_are_not_kept(up: Upstream) -> None:
    import resource

    with client_of(up) as client:
        count, base = 0, 0
        for result in client.batch_iter((f"p{number}" for number in range(100_000)), model="m"):
            assert result.ok
            count += 1
            if count % 1000 == 0:
                up.requests.clear()
            if count == 20_000:
                base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert count == 100_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base < 64 << 10
