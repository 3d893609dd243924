"""Threads, loops, forks, signals and the garbage collector at once, on the built wheel."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fairlead.testing import Step, Upstream, fail, faults, ok, stream
from fairlead.testing.request import Request

TORTURE = Path(__file__).with_name("torture.py")

MOST_GROWTH = 64 << 20
"""Bytes of memory that the last two thirds of a run may add; what leaks adds more in seconds."""


def answers(seed: int) -> Any:
    """Mostly well, sometimes slow, sometimes ill."""
    luck = random.Random(seed)

    def answer(request: Request) -> Step:
        fate = luck.random()
        if fate < 0.06:
            return fail(503)
        if fate < 0.09:
            return faults.reset_before_reply()
        if fate < 0.12:
            return faults.reset_in_stream() if request.json().get("stream") else faults.close_in_body()
        if request.json().get("stream"):
            return stream(interval=luck.choice([0.0, 0.0, 0.002]))
        return ok().after(luck.choice([0.0, 0.0, 0.01]))

    return answer


def torture(seconds: float, seed: int) -> dict[str, Any]:
    with Upstream() as up:
        up.reply = answers(seed)
        done = subprocess.run(
            [sys.executable, str(TORTURE), up.base_url, str(seconds), str(seed)],
            capture_output=True,
            text=True,
            timeout=seconds + 300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr[-4000:]
        assert up.wait_idle(20)
        assert up.wait_disconnected(20)
        assert up.errors == []
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def judge(told: dict[str, Any]) -> None:
    assert (told["wrong"], told["left"], told["descriptors"]) == ([], {}, 0), told
    assert told["grown"] < MOST_GROWTH, told
    for kind in ("threads", "loops", "forks", "garbage", "alarms", "calls of the main thread"):
        assert told["done"].get(kind, 0) > 0, told


def test_threads_loops_forks_signals_and_garbage_at_once_leave_nothing() -> None:
    judge(torture(30.0, 1))


@pytest.mark.soak
def test_five_minutes_of_threads_loops_forks_signals_and_garbage_leave_nothing() -> None:
    for seed in range(1, 4):
        judge(torture(100.0, seed))
