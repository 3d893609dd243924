"""Defects: of ours, of hooks and log handlers, and names of callers that are too many or too large."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import fairlead
import pytest
from fairlead import _core
from fairlead.testing import Upstream, fail, ok
from fault_table import config
from faulty import Outcome, acall, assert_quiet, async_client, call, client
from patience import until

FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="stream")]
PROMPT = 10.0
"""Seconds that a call may take beside a hook that blocks for longer; in truth it is milliseconds."""


# ===== a panic =====

STAGES = ["route", "admit", "send", "read", "judge", "settle", "show"]

needs_defects = pytest.mark.skipif(
    not hasattr(_core, "_provoke"), reason="a release has no defects to provoke"
)


def check_one_failed(first: Outcome, second: Outcome, stage: str, made: Any) -> None:
    assert type(first.error).__name__ == "InternalError", repr(first.error)
    assert isinstance(first.error, fairlead.FairleadError)
    assert first.error.is_retryable is False
    assert second.error is None or stage == "judge", "other calls are not affected"
    stats = made.stats()
    assert stats["calls"] == 2
    assert stats["attempts"] == stats["settled"], "whatever became of it, an attempt settles once"
    if stage in ("send", "read"):
        assert stats["estimated_tokens"] > 0, "it may have been served, and is settled as estimated"
    if stage != "show":
        assert (stats["failed"], stats["cancelled"]) == (2 if stage == "judge" else 1, 0)


@needs_defects
@pytest.mark.parametrize("stream", FORMS)
@pytest.mark.parametrize("stage", STAGES)
def test_f125_e6_a_panic_costs_one_call_and_nothing_stays_taken(
    up: Upstream, stage: str, stream: bool
) -> None:
    up.reply = fail(500) if stage == "judge" else ok("hi")
    with client(config(up.base_url, retry={"max_retries": 0})) as made:
        _core._provoke(stage)
        first = call(made, stream=stream)
        assert_quiet(made)
        second = call(made, stream=stream)
        check_one_failed(first, second, stage, made)


@needs_defects
@pytest.mark.parametrize("stream", FORMS)
@pytest.mark.parametrize("stage", STAGES)
def test_f125_e6_a_panic_beside_other_calls_leaves_them_alone(up: Upstream, stage: str, stream: bool) -> None:
    up.reply = fail(500) if stage == "judge" else ok("hi").after(0.02)

    async def run() -> list[Outcome]:
        async with async_client(config(up.base_url, retry={"max_retries": 0})) as made:
            _core._provoke(stage)
            return await asyncio.gather(*(acall(made, stream=stream) for _ in range(20)))

    outcomes = asyncio.run(run())
    errors = [type(outcome.error).__name__ for outcome in outcomes if outcome.error]
    assert errors.count("InternalError") == 1
    assert len(errors) == (20 if stage == "judge" else 1)


# ===== hooks and handlers =====


class Raising(logging.Handler):
    """A handler that fails without a word to `handleError`."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the disk is full")


@contextlib.contextmanager
def logged_by(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("fairlead")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@pytest.mark.parametrize("raised", [RuntimeError("broken"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_f126_e7_a_hook_that_raises_is_counted_and_costs_no_call(up: Upstream, raised: BaseException) -> None:
    told: list[str] = []

    def broken(receipt: Any) -> None:
        raise raised

    with fairlead.Client(
        config(up.base_url), on_event=[broken, lambda receipt: told.append(receipt.outcome)]
    ) as made:
        for _ in range(3):
            assert call(made).text
        until(lambda: len(told) == 3)
        assert told == ["ok"] * 3
        assert made.stats()["hook_errors"] == 3


def test_f126_e7_a_log_handler_that_raises_is_counted_and_costs_no_call(up: Upstream) -> None:
    told: list[str] = []
    with (
        logged_by(Raising()),
        fairlead.Client(config(up.base_url), on_event=lambda receipt: told.append(receipt.outcome)) as made,
    ):
        for _ in range(3):
            assert call(made).text
        until(lambda: made.stats()["hook_errors"] >= 3)
        assert told == ["ok"] * 3


def test_f126_e7_a_hook_that_blocks_holds_up_no_call_and_no_close(up: Upstream) -> None:
    go_on, begun = threading.Event(), threading.Event()
    told: list[str] = []

    def slow(receipt: Any) -> None:
        begun.set()
        go_on.wait(30)
        told.append(receipt.outcome)

    with fairlead.Client(config(up.base_url), on_event=slow) as made:
        assert call(made).text
        assert begun.wait(10)
        for stream in (False, True):
            began = time.monotonic()
            assert call(made, stream=stream).text
            assert time.monotonic() - began < PROMPT
        assert made.stats()["calls"] == 3
        assert told == []
        began = time.monotonic()
    assert time.monotonic() - began < PROMPT
    go_on.set()
    until(lambda: len(told) == 3)


# ===== names of callers =====

NAMES = ["user", "tenant", "key", "session"]


@pytest.mark.parametrize("field", NAMES)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x" * 10_240, "at most 256 bytes, not 10240"),
        ("代" * 86, "at most 256 bytes, not 258"),
        ("acme\r\nx-injected: 1", "control characters, such as U\\+000D"),
        ("acme\n", "U\\+000A"),
        ("acme\x00", "U\\+0000"),
        ("acme\x85", "U\\+0085"),
    ],
)
def test_f129_a_name_that_is_too_long_or_no_name_is_refused_by_its_field(
    up: Upstream, field: str, name: str, says: str
) -> None:
    with client(config(up.base_url)) as made:
        error = call(made, fairlead={field: name}).error
        assert type(error).__name__ == "ConfigError"
        with pytest.raises(fairlead.ConfigError, match=f"`fairlead.{field}`: expected .*{says}"):
            made.route("hi", model="m", **{field: name})
        with fairlead.scope(**{field: name}), pytest.raises(fairlead.ConfigError):
            made.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert name not in str(error)
        assert made.stats()["attempts"] == 0
    assert up.requests == []


@pytest.mark.parametrize("field", NAMES)
@pytest.mark.parametrize("name", ["x" * 256, "代" * 85, 'a"b\\c{}=,', "", "  "])
def test_f129_any_other_name_serves_and_is_not_sent(up: Upstream, field: str, name: str) -> None:
    with client(config(up.base_url)) as made:
        assert call(made, fairlead={field: name}).text
    [request] = up.requests
    if name.strip():
        assert name not in repr(request.headers)
        assert name.encode() not in request.body


def resident() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_f129_tenants_without_number_do_not_fill_the_memory(up: Upstream, count: int) -> None:
    with client(config(up.base_url)) as made:

        def route(number: int) -> None:
            made.route(
                "hi", model="m", tenant=f"tenant-{number}", user=f"user-{number}", session=f"s-{number}"
            )

        for number in range(1000):
            route(number)
        before = resident()
        for number in range(1000, count):
            route(number)
        assert resident() - before < max(200 * count, 8 << 20)
        assert resident() - before < 200 << 20
