"""How often, where and when a call is tried again, and what is told when nothing helped."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
from fairlead.testing import Step, Upstream, fail, faults, hang, ok
from fault_table import config
from faulty import call, client, once

SLACK = 2.0


def places(up: Upstream, *steps: Step) -> list[str]:
    """A base URL for each step, which is all that it ever does."""
    for number, step in enumerate(steps):
        up.at(f"d{number}").reply = step
    return [up.url(f"d{number}") for number in range(len(steps))]


def retries(max_retries: int) -> dict[str, Any]:
    return {"retry": {"max_retries": max_retries, "base": 0.001, "throttled_base": 0.001}}


# ===== R1: both bounds =====


@pytest.mark.parametrize("deployments", [1, 2, 5])
@pytest.mark.parametrize("max_retries", [0, 1, 2, 4])
def test_r1_attempts_that_may_have_worked_are_at_most_max_retries_and_one(
    up: Upstream, deployments: int, max_retries: int
) -> None:
    urls = places(up, *[fail(500)] * deployments)
    error = once(config(*urls, **retries(max_retries))).error
    assert len(error.attempts) == len(up.requests) == max_retries + 1
    assert all(attempt.counted for attempt in error.attempts)
    assert error.retry_denied == "attempts"


def test_r1_max_retries_two_means_three_attempts_by_default(up: Upstream) -> None:
    up.reply = fail(500)
    error = once({"models": config(up.base_url)["models"], "retry": {"base": 0.001}}).error
    assert len(error.attempts) == len(up.requests) == 3


@pytest.mark.parametrize("status", [401, 404])
def test_r1_refusals_before_work_move_on_without_counting_up_to_eight_requests(
    up: Upstream, status: int
) -> None:
    urls = places(up, *[fail(status)] * 12)
    error = once(config(*urls, **retries(1))).error
    assert len(error.attempts) == len(up.requests) == 8
    assert not any(attempt.counted for attempt in error.attempts)
    assert len({attempt.deployment for attempt in error.attempts}) == 8


@pytest.mark.parametrize("step", [fail(401), fail(500), fail(429), faults.reset_before_reply()])
def test_r1_without_retries_there_is_exactly_one_request(up: Upstream, step: Step) -> None:
    urls = places(up, step, ok())
    assert once(config(*urls, **retries(0))).error is not None
    assert len(up.requests) == 1


def test_r1_each_key_is_asked_once(up: Upstream) -> None:
    up.reply = lambda request: (
        ok("in") if request.headers["authorization"] == "Bearer good" else faults.wrong_key()
    )
    keyed = config(up.base_url, **retries(1))
    keyed["models"]["m"]["deployments"][0]["api_key"] = ["bad-1", "bad-2", "bad-3", "good"]
    with client(keyed) as made:
        assert call(made).text == "in"
        assert len(up.requests) == 4
        assert call(made).text == "in"
    assert len(up.requests) == 5


@pytest.mark.parametrize("seed", range(20))
def test_r1_holds_whatever_fails_in_whatever_order(up: Upstream, seed: int) -> None:
    chance = random.Random(seed)
    kinds = [401, 402, 404, 408, 409, 429, 500, 503, 529]
    count, max_retries = chance.randint(1, 10), chance.randint(0, 4)
    steps = {status: fail(status) for status in kinds} | {0: faults.reset_before_reply()}
    up.reply = lambda _: chance.choice(list(steps.values()))
    urls = [up.url(f"d{number}") for number in range(count)]
    error = once(config(*urls, **retries(max_retries))).error
    assert len(error.attempts) <= len(up.requests) <= 8
    assert sum(attempt.counted for attempt in error.attempts) <= max_retries + 1


# ===== where =====


def test_another_deployment_is_asked_at_once_and_the_same_one_only_after_backoff(up: Upstream) -> None:
    urls = places(up, fail(500), fail(500), ok("third"))
    slow = {"retry": {"base": 30.0, "throttled_base": 30.0}}
    began = time.monotonic()
    assert once(config(*urls, **slow)).text == "third"
    assert time.monotonic() - began < SLACK


def test_the_upstreams_own_word_on_retrying_wins(up: Upstream) -> None:
    up.script = [fail(400, headers={"x-should-retry": "true"}), ok("again")]
    with client(config(up.base_url)) as made:
        assert call(made).text == "again"
        up.script = [fail(500, headers={"x-should-retry": "false"}), ok("never")]
        error = call(made).error
        assert (type(error).__name__, len(error.attempts)) == ("InternalServerError", 1)
        assert error.is_retryable is False


def test_r4_a_stream_that_has_committed_is_never_begun_again(up: Upstream) -> None:
    for name in ("F10", "F15/stream", "F36/stream", "F38/stream", "F72", "F74", "F82", "F86/gap"):
        up.reset()
        urls = places(up, faults.CATALOGUE[name](), ok("other"))
        outcome = once(config(*urls, timeouts={"idle": 0.3}), stream=True)
        assert outcome.error is not None, name
        assert outcome.error.retry_denied == "commit", name
        assert len(up.requests) == 1, name


# ===== when =====


def test_r3_a_backoff_that_would_cross_the_deadline_is_not_slept(up: Upstream) -> None:
    up.reply = faults.throttled(5)
    began = time.monotonic()
    error = once(config(up.base_url), fairlead={"deadline": 3}).error
    assert time.monotonic() - began < SLACK
    assert (type(error).__name__, error.retry_after, error.retry_denied) == ("RateLimitError", 5, "deadline")


def test_r3_no_attempt_begins_with_less_than_a_quarter_second_left(up: Upstream) -> None:
    urls = places(up, fail(500).after(0.5), ok("too late"))
    error = once(config(*urls), fairlead={"deadline": 0.7}).error
    assert (type(error).__name__, error.retry_denied) == ("InternalServerError", "deadline")
    assert len(up.requests) == 1


def test_a_wait_that_was_asked_for_is_never_shortened(up: Upstream) -> None:
    for header in ({"retry-after-ms": "400"}, {"retry-after": "0.4"}):
        up.script = [fail(429, headers=header), ok("waited")]
        began = time.monotonic()
        assert once(config(up.base_url)).text == "waited"
        assert 0.4 <= time.monotonic() - began < 0.4 * 1.1 + SLACK


def test_d1_a_black_hole_does_not_eat_the_whole_deadline(up: Upstream) -> None:
    urls = places(up, hang(), ok("rescued"))
    with client(config(*urls, timeouts={"total": 2.0})) as made:
        outcome = call(made)
        assert outcome.text == "rescued"
    first = outcome.receipt.attempts[0]
    assert first.error == "AttemptTimeout"
    assert 1.0 <= first.duration < 1.0 + SLACK / 4


def test_the_sdks_timeout_is_of_an_attempt_not_of_the_call(up: Upstream) -> None:
    up.script = [hang(), hang(), ok("third")]
    assert once(config(up.base_url), timeout=0.3).text == "third"


# ===== R5, R7: what is sent and what is told =====


def test_r5_every_attempt_sends_the_same_bytes(up: Upstream) -> None:
    up.script = [fail(500), faults.reset_before_reply(), ok("third")]
    messages = [{"role": "user", "content": "naïve 世界 🙂 \u2028 1e400"}]
    extra = {"zeta": 1, "alpha": [1.0, 1e16, 10**30, None], "__order": {"b": 1, "a": 2}}
    assert once(config(up.base_url), messages=messages, extra_body=extra).text == "third"
    bodies = {request.body for request in up.requests}
    assert len(up.requests) == 3
    assert len(bodies) == 1
    assert up.requests[0].json()["alpha"] == extra["alpha"]


@pytest.mark.parametrize(
    ("first", "second", "raises"),
    [
        (401, 500, "InternalServerError"),
        (500, 401, "InternalServerError"),
        (404, 401, "NotFoundError"),
        (429, 500, "RateLimitError"),
        (500, 400, "InternalServerError"),
        (401, 400, "BadRequestError"),
    ],
)
def test_r7_the_first_failure_that_means_something_is_raised_with_the_whole_history(
    up: Upstream, first: int, second: int, raises: str
) -> None:
    urls = places(up, fail(first), fail(second, headers={"x-request-id": "req_second"}))
    error = once(config(*urls, **retries(1))).error
    assert type(error).__name__ == raises
    statuses = [attempt.status_code for attempt in error.attempts]
    assert statuses[:2] == [first, second]
    assert error.attempts[1].request_id == "req_second"
    assert [attempt.deployment for attempt in error.attempts[:2]] == ["openai/up-0", "openai/up-1"]
    assert error.deployment == ("openai/up-0" if error.status_code == first else "openai/up-1")
    assert all(attempt.duration > 0 for attempt in error.attempts)
    assert f"{len(error.attempts)} attempts" in str(error)


# ===== isolation =====


def test_a_deployment_that_hangs_leaves_the_others_connections_usable(up: Upstream) -> None:
    with Upstream() as stuck:
        stuck.reply = hang()
        up.reply = ok("fine")
        both = config(stuck.base_url, timeouts={"attempt": 4}, pool={"max_connections": 20}, **retries(0))
        both["models"]["n"] = config(up.base_url)["models"]["m"]
        with client(both) as made:
            held = [threading.Thread(target=call, args=(made,)) for _ in range(20)]
            for thread in held:
                thread.start()
            assert stuck.wait_requests(20)
            began = time.monotonic()
            assert [call(made, model="n").text for _ in range(50)] == ["fine"] * 50
            assert time.monotonic() - began < 3
            for thread in held:
                thread.join()
