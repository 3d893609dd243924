"""`run_tools`: the loop, its bounds, and what the model is told."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

import fairlead
import pytest
from fairlead.testing import Request, Upstream, fail, ok, tool_call
from fairlead.types import Receipt


class Twin:
    """One of the two clients behind one face that blocks."""

    def __init__(self, kind: str, up: Upstream) -> None:
        made = fairlead.Client if kind == "sync" else fairlead.AsyncClient
        self.kind = kind
        self.client: Any = made(api_key="test", base_url=up.base_url, max_retries=0)

    def run(self, tools: Any, **params: Any) -> Any:
        def call() -> Any:
            return self.client.run_tools("m", "go", tools, **params)

        async def main() -> Any:
            return await call()

        return call() if self.kind == "sync" else asyncio.run(main())


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest, up: Upstream) -> Twin:
    return Twin(request.param, up)


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@fairlead.tool
async def double(a: int) -> int:
    """Double."""
    await asyncio.sleep(0)
    return 2 * a


def broken(a: int) -> int:
    """Fail."""
    raise ValueError(f"no {a} here")


def calls(*named: tuple[str, str]) -> Any:
    return ok(tool_calls=[tool_call(name, text, f"c{n}") for n, (name, text) in enumerate(named)])


def told(request: Request) -> list[tuple[str, str]]:
    return [(m["tool_call_id"], m["content"]) for m in request.json()["messages"] if m["role"] == "tool"]


def test_tools_are_called_until_there_is_an_answer(up: Upstream, twin: Twin) -> None:
    up.script = [
        calls(("add", '{"a": 1, "b": 2}'), ("double", '{"a": 4}')),
        calls(("add", '{"a": 3, "b": 8}')),
        ok("It is 11."),
    ]
    run = twin.run([add, double], temperature=0)
    assert (run.text, run.turns) == ("It is 11.", 3)
    assert [(call.name, call.state, call.result, call.turn) for call in run.calls] == [
        ("add", "done", "3", 1),
        ("double", "done", "8", 1),
        ("add", "done", "11", 2),
    ]
    assert told(up.requests[1]) == [("c0", "3"), ("c1", "8")]
    roles = ["user", "assistant", "tool", "tool", "assistant", "tool", "assistant"]
    assert [message["role"] for message in run.messages] == roles
    assert up.requests[2].json()["messages"] == run.messages[:-1]
    assert all(request.json()["temperature"] == 0 for request in up.requests)
    assert len(up.requests[0].json()["tools"]) == 2
    assert all(isinstance(receipt, Receipt) for receipt in run.receipts)
    assert run.spending.calls == len(run.receipts) == 3
    assert run.spending.output_tokens == sum(receipt.usage.output for receipt in run.receipts)


def test_a_run_can_be_gone_on_with(up: Upstream, twin: Twin) -> None:
    up.script = [calls(("add", '{"a": 1, "b": 2}')), ok("3"), ok("Bye.")]
    run = twin.run([add])
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        more = [*run.messages, {"role": "user", "content": "thanks"}]
        assert client.run_tools("m", more, [add]).text == "Bye."


def test_what_goes_wrong_is_told_to_the_model_without_a_traceback(up: Upstream, twin: Twin) -> None:
    def picky(a: int) -> int:
        raise fairlead.ToolError("only on Sundays")

    up.script = [
        calls(
            ("add", "{"),
            ("add", '{"a": 1}'),
            ("subtract", "{}"),
            ("broken", '{"a": 7}'),
            ("picky", '{"a": 7}'),
            ("add", '{"a": 1, "b": 1}'),
        ),
        ok("done"),
    ]
    run = twin.run([add, broken, fairlead.tool(picky)])
    results = [result for _, result in told(up.requests[1])]
    assert results[0].startswith("error: the arguments are no JSON: ")
    assert results[1].startswith("error: the arguments do not fit: $.b: ")
    assert results[2:] == [
        "error: there is no tool `subtract`; there are: add, broken, picky",
        "error: ValueError: no 7 here",
        "error: only on Sundays",
        "2",
    ]
    assert [call.state for call in run.calls] == ["failed"] * 5 + ["done"]
    assert isinstance(run.calls[3].error, ValueError)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, futures.CancelledError])
def test_exceptions_that_end_iterations_are_told_like_others(kind: Any, up: Upstream, twin: Twin) -> None:
    def find(a: int) -> int:
        raise kind(a)

    @fairlead.tool
    async def seek(a: int) -> int:
        raise kind(a)

    up.script = [calls(("find", '{"a": 5}'), ("seek", '{"a": 5}')), ok("done")]
    run = twin.run([find, seek], fairlead={"deadline": 20})
    assert run.text == "done"
    results = [result for _, result in told(up.requests[1])]
    assert results[0] == f"error: {kind.__name__}: 5"
    # Python itself makes a RuntimeError of a StopIteration that leaves a coroutine.
    expected = "RuntimeError: coroutine raised StopIteration" if kind is StopIteration else results[0][7:]
    assert results[1] == f"error: {expected}"


# ===== bounds =====


def test_turns_are_bounded(up: Upstream, twin: Twin) -> None:
    made: list[int] = []

    def count(a: int) -> int:
        made.append(a)
        return a

    up.reply = calls(("count", '{"a": 1}'))
    with pytest.raises(fairlead.ToolLoopError, match="no answer after 3 turns") as caught:
        twin.run([count], max_turns=3)
    assert len(up.requests) == 3
    # The calls of the last turn could not be answered any more: they are not made.
    assert len(made) == 2
    error = caught.value
    assert (error.reason, error.run.turns, len(error.attempts)) == ("turns", 3, 3)
    assert [message["role"] for message in error.run.messages] == ["user", *["assistant", "tool"] * 2]


def test_the_same_failing_call_is_not_made_for_ever(up: Upstream, twin: Twin) -> None:
    up.script = [
        calls(("broken", '{"a": 1, "b": 2}')),
        calls(("broken", '{"a": 1}')),
        calls(("add", '{"a": 1, "b": 1}')),
        calls(("broken", '{ "a":1 }')),
        calls(("broken", '{"a": 1}')),
        ok("never"),
    ]
    with pytest.raises(fairlead.ToolLoopError, match="`broken` failed 3 times: ValueError: no 1") as caught:
        twin.run([add, broken])
    assert (caught.value.reason, caught.value.run.turns) == ("repeats", 5)


def test_a_failed_call_of_the_model_tells_what_was_done(up: Upstream, twin: Twin) -> None:
    up.script = [calls(("add", '{"a": 1, "b": 2}')), fail(500)]
    with pytest.raises(fairlead.InternalServerError) as caught:
        twin.run([add])
    assert [call.result for call in caught.value.run.calls] == ["3"]
    assert caught.value.run.turns == 1


def test_a_deadline_holds_for_all_turns_and_for_tools(up: Upstream, twin: Twin) -> None:
    def slow(a: int) -> int:
        time.sleep(1.5)
        return a

    up.reply = calls(("slow", '{"a": 1}'))
    began = time.monotonic()
    with pytest.raises(fairlead.FairleadError) as caught:
        twin.run([slow], fairlead={"deadline": 0.7}, max_turns=50)
    assert time.monotonic() - began < 1.4
    assert isinstance(caught.value, fairlead.DeadlineExceeded)
    assert "did not end within" in caught.value.run.calls[0].result


def test_a_budget_holds_for_all_turns_and_for_what_tools_ask(up: Upstream) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}
    post = {"provider": "openai", "model": "m", "api_key": "k", "base_url": up.base_url}
    price = {"input": 1000.0, "output": 0.0}
    with fairlead.Client({"models": {"m": {"deployments": [{**post, "price": price}]}}}) as client:

        def ask(a: int) -> str:
            client.generate("m", "inside", max_tokens=1)
            return "asked"

        def answer(request: Request) -> Any:
            is_inside = request.json()["messages"][-1]["content"] == "inside"
            return (
                ok("x", usage=usage)
                if is_inside
                else ok(tool_calls=[tool_call("ask", f'{{"a": {len(up.requests)}}}')], usage=usage)
            )

        up.reply = answer
        with pytest.raises(fairlead.BudgetExceeded) as caught:
            client.run_tools("m", "go", [ask], fairlead={"budget": 3.5}, max_tokens=1)
        assert caught.value.run is not None
        assert len(up.requests) <= 4


def test_a_tool_has_its_time_and_the_others_theirs(up: Upstream, twin: Twin) -> None:
    let_go = threading.Event()

    @fairlead.tool(timeout=0.2)
    def stuck(a: int) -> str:
        let_go.wait(20)
        return "late"

    @fairlead.tool(timeout=0.2)
    async def waiting(a: int) -> str:
        await asyncio.sleep(20)
        return "late"

    up.script = [
        calls(("stuck", '{"a": 1}'), ("waiting", '{"a": 1}'), ("add", '{"a": 1, "b": 1}')),
        ok("done"),
    ]
    run = twin.run([stuck, waiting, add], max_parallel=1)
    let_go.set()
    late = "error: it did not end within 0.2 s"
    expected = [late, late, "2"]
    if twin.kind == "sync":
        assert [call.result for call in run.calls] == expected
    else:
        assert sorted(call.result for call in run.calls) == sorted(expected)


def test_calls_run_side_by_side_up_to_the_bound_and_are_told_in_order(up: Upstream, twin: Twin) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def busy(a: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05 if a else 0.2)
        with lock:
            now -= 1
        return a

    up.script = [calls(*(("busy", f'{{"a": {a}}}') for a in range(6))), ok("done")]
    twin.run([busy], max_parallel=3)
    assert most == 3
    assert [result for _, result in told(up.requests[1])] == ["0", "1", "2", "3", "4", "5"]


def test_cancelling_a_run_cancels_its_tools(up: Upstream) -> None:
    up.script = [calls(("long", '{"a": 1}'))]
    seen: list[str] = []

    @fairlead.tool
    async def long(a: int) -> None:
        seen.append("begun")
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        client = fairlead.AsyncClient(api_key="k", base_url=up.base_url)
        task = asyncio.ensure_future(client.run_tools("m", "go", [long]))
        while not seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["begun", "cancelled"]


# ===== the rest =====


def test_hooks_see_every_call_begin_and_end(up: Upstream, twin: Twin) -> None:
    up.script = [calls(("add", '{"a": 1, "b": 2}'), ("nope", "{}")), ok("done")]
    seen: list[tuple[str, str]] = []
    twin.run([add], on_tool=lambda call: seen.append((call.name, call.state)), max_parallel=1)
    assert sorted(seen) == [("add", "done"), ("add", "started"), ("nope", "failed"), ("nope", "started")]
    up.script = [calls(("add", '{"a": 1, "b": 2}')), ok("done")]
    later: list[str] = []

    async def hook(call: Any) -> None:
        later.append(call.state)

    twin.run([add], on_tool=hook)
    assert later == ["started", "done"]


def test_what_blocks_awaits_its_hook_inside_of_an_event_loop_too(up: Upstream) -> None:
    up.script = [calls(("double", '{"a": 1}')), ok("done")]
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who")
    seen: list[tuple[str, str]] = []

    async def hook(call: Any) -> None:
        await asyncio.sleep(0)
        seen.append((call.state, who.get()))

    async def notebook() -> None:
        who.set("ann")
        with fairlead.Client(api_key="k", base_url=up.base_url) as client:
            client.run_tools("m", "go", [double], on_tool=hook)

    asyncio.run(notebook())
    assert seen == [("started", "ann"), ("done", "ann")]


@pytest.mark.parametrize("awaited", [False, True])
def test_what_a_hook_raises_ends_the_run(awaited: bool, up: Upstream, twin: Twin) -> None:
    def no(call: Any) -> None:
        raise PermissionError("not that one")

    async def later(call: Any) -> None:
        no(call)

    up.script = [calls(("add", '{"a": 1, "b": 2}'))]
    with pytest.raises(PermissionError, match="not that one"):
        twin.run([add], on_tool=later if awaited else no)


def test_a_forced_tool_is_forced_once(up: Upstream, twin: Twin) -> None:
    up.script = [calls(("add", '{"a": 1, "b": 2}')), ok("3")]
    twin.run([add], tool_choice="required")
    assert [request.json()["tool_choice"] for request in up.requests] == ["required", "auto"]


def test_tools_of_the_provider_are_sent_along(up: Upstream, twin: Twin) -> None:
    up.script = [ok("found")]
    assert twin.run([add, {"type": "web_search"}]).text == "found"
    assert up.requests[0].json()["tools"][1] == {"type": "web_search"}


def test_a_hooks_own_end_of_iteration_is_not_the_end_of_the_run(up: Upstream, twin: Twin) -> None:
    def no(call: Any) -> None:
        raise StopIteration("not that one")

    up.script = [calls(("add", '{"a": 1, "b": 2}'))]
    with pytest.raises((StopIteration, RuntimeError)):
        twin.run([add], on_tool=no)


@pytest.mark.parametrize(
    ("tools", "params", "error"),
    [
        ([add, add], {}, ValueError),
        ([{"type": "function", "function": {"name": "f"}}], {}, TypeError),
        (["add"], {}, TypeError),
        ([int], {}, TypeError),
        ([add], {"max_turns": 0}, ValueError),
        ([add], {"max_parallel": 0}, ValueError),
        ([add], {"tool_timeout": 0}, ValueError),
        ([add], {"stream": True}, TypeError),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    tools: Any, params: dict[str, Any], error: Any, up: Upstream, twin: Twin
) -> None:
    with pytest.raises(error):
        twin.run(tools, **params)
    assert up.requests == []


def test_sync_functions_do_not_block_the_event_loop(up: Upstream) -> None:
    up.script = [calls(("sleepy", '{"a": 1}')), ok("done")]
    beats = 0

    def sleepy(a: int) -> str:
        time.sleep(0.3)
        return threading.current_thread().name

    async def main() -> Any:
        nonlocal beats
        client = fairlead.AsyncClient(api_key="k", base_url=up.base_url)
        task = asyncio.ensure_future(client.run_tools("m", "go", [sleepy]))
        while not task.done():
            beats += 1
            await asyncio.sleep(0.01)
        return await task

    run = asyncio.run(main())
    assert run.calls[0].result == "fairlead-tool"
    assert beats > 5


def test_the_scope_is_seen_inside_tools(up: Upstream, twin: Twin) -> None:
    from fairlead.options import current_scope

    def who(a: int) -> str:
        return str((current_scope() or {}).get("user"))

    seen: Callable[[Any], Any] = lambda run: [call.result for call in run.calls]  # noqa: E731
    up.script = [calls(("who", '{"a": 1}')), ok("done")]
    with fairlead.scope(user="ada"):
        assert seen(twin.run([who])) == ["ada"]
