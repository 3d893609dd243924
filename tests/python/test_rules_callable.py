"""Rules that are Python callables."""

from __future__ import annotations

import logging
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import fairlead
import pytest


def config(rule: Any) -> dict[str, Any]:
    return {
        "default_model": "plain",
        "models": {name: f"openai/{name}" for name in ("plain", "special")},
        "providers": {"openai": {"api_key": "k"}},
        "rules": [{"name": "own", "when": rule, "model": "special"}],
    }


def test_a_callable_sees_the_request_and_who_calls_and_decides() -> None:
    seen: list[dict[str, Any]] = []

    def rule(call: dict[str, Any]) -> bool:
        seen.append(call)
        return bool(
            call["fairlead"]["metadata"].get("tier") == "gold" and "code" in call["messages"][0]["content"]
        )

    with fairlead.Client(config(rule)) as client:
        route = client.route("some code", metadata={"tier": "gold"}, user="u1")
        assert (route.model, route.rule) == ("openai/special", "own")
        assert client.route("some code").rule is None
    assert seen[0]["fairlead"]["user"] == "u1"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("true", "true"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
        (UUID(int=7), str(UUID(int=7))),
        (date(2026, 1, 2), "2026-01-02"),
        (None, None),
    ],
)
def test_metadata_is_read_as_that_of_a_request_is(value: Any, read: str | None) -> None:
    seen: list[dict[str, Any]] = []
    with fairlead.Client(config(lambda call: seen.append(call["fairlead"]["metadata"]))) as client:
        client.route("hi", metadata={"x": value})
        client.route("hi", fairlead={"metadata": {"x": value}})
        with fairlead.scope(metadata={"x": "of the scope"}):
            client.route("hi", metadata={"x": value})
    assert seen == [{} if read is None else {"x": read}] * 3


def test_a_callable_is_asked_in_the_callers_thread_and_sees_its_scope() -> None:
    import threading

    threads: list[int] = []

    def rule(call: dict[str, Any]) -> bool:
        threads.append(threading.get_ident())
        return call["fairlead"]["tenant"] == "acme"

    with fairlead.Client(config(rule)) as client, fairlead.scope(tenant="acme"):
        assert client.route("hi").rule == "own"
    assert threads == [threading.get_ident()]


def test_a_callable_that_raises_is_counted_and_passed_over_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def rule(call: dict[str, Any]) -> bool:
        raise KeyError("tier")

    with caplog.at_level(logging.WARNING, "fairlead"), fairlead.Client(config(rule)) as client:
        route = client.route("hi")
        assert route.rule is None
        assert route.notes == ["the rule `own` could not say: KeyError: 'tier'"]
        assert client.stats()["rule_faults"] == {"own": 1}
    assert "could not say" in caplog.text
    assert "KeyError: 'tier'" in caplog.text


def test_what_is_no_exception_of_the_rule_is_not_swallowed() -> None:
    def rule(call: dict[str, Any]) -> bool:
        raise KeyboardInterrupt

    with fairlead.Client(config(rule)) as client, pytest.raises(KeyboardInterrupt):
        client.route("hi")


async def late(call: dict[str, Any]) -> bool:
    return True


class Late:
    async def __call__(self, call: dict[str, Any]) -> bool:
        return True


@pytest.mark.parametrize("rule", [late, partial(late), Late(), Late().__call__])
def test_an_async_rule_is_refused(rule: Any) -> None:
    with pytest.raises(fairlead.ConfigError, match=r"`rules\[0\]\.when`: .*cannot be an async function"):
        fairlead.Client(config(rule))


def test_a_rule_that_gives_a_coroutine_is_passed_over_for_it_cannot_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.WARNING, "fairlead"),
        fairlead.Client(config(lambda call: late(call))) as client,
    ):
        assert client.route("hi").rule is None
    assert "cannot be an async function" in caplog.text
