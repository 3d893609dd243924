"""A configuration changes under a client: by its file, by hand, while calls run, after a fork."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead.testing import Upstream, fail
from patience import until

MESSAGES: Any = [{"role": "user", "content": "hi"}]
EVENTS_ONLY = 3600.0
PATIENCE = 30.0
"""Seconds that a change gets to be seen; a moment is enough on a machine that is not busy."""


def text(up: Upstream, model: str) -> str:
    return (
        f'[[models.m.deployments]]\nprovider = "openai"\nmodel = "{model}"\n'
        f'base_url = "{up.base_url}"\napi_key = "key-{model}"\n'
    )


def put(path: Path, text: str) -> None:
    """Takes the place of the file at once: nobody may see it half written, however busy the machine is."""
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").replace(path)


def ask(client: fairlead.Client) -> str:
    return str(client.chat.completions.create(model="m", messages=MESSAGES).fairlead.deployment)


@pytest.fixture
def path(up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fairlead.toml"
    path.write_text(text(up, "one"), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", ["fairlead.toml", "./fairlead.toml", "absolute"])
@pytest.mark.parametrize("watch", [True, EVENTS_ONLY, 0.05])
def test_a_client_that_watches_follows_its_file(up: Upstream, path: Path, name: str, watch: Any) -> None:
    with fairlead.Client(str(path) if name == "absolute" else name, watch=watch) as client:
        assert ask(client) == "openai/one"
        path.write_text(text(up, "two"), encoding="utf-8")
        until(lambda: client.stats()["config"]["version"] == 2)
        assert ask(client) == "openai/two"
        assert up.requests[-1].headers["authorization"] == "Bearer key-two"


def test_a_file_that_is_found_is_watched_too(up: Upstream, path: Path) -> None:
    with fairlead.Client(watch=EVENTS_ONLY) as client:
        put(path, text(up, "two"))
        until(lambda: client.stats()["config"]["version"] == 2)
        assert ask(client) == "openai/two"


def test_a_router_watches_as_a_client_does(up: Upstream, path: Path) -> None:
    router = fairlead.Router(str(path), watch=EVENTS_ONLY)
    assert router.stats()["config"]["watched"] is True
    path.write_text(text(up, "two"), encoding="utf-8")
    until(lambda: router.stats()["config"]["version"] == 2)
    router.close()


@pytest.mark.parametrize("watch", ["yes", "5", None, [], float("nan"), -1])
def test_watch_is_told_from_what_it_cannot_be(path: Path, watch: Any) -> None:
    with pytest.raises(fairlead.ConfigError, match="`watch`: expected True, False or a number of seconds"):
        fairlead.Client(path, watch=watch)


def test_a_client_does_not_watch_unless_it_is_told_to(up: Upstream, path: Path) -> None:
    threads = threading.active_count()
    with fairlead.Client(path) as client:
        assert client.stats()["config"]["watched"] is False
        assert threading.active_count() == threads
        path.write_text(text(up, "two"), encoding="utf-8")
        time.sleep(0.3)
        assert ask(client) == "openai/one"
        assert client.reload() is True
        assert ask(client) == "openai/two"
        assert client.reload() is False


def test_the_last_good_configuration_stays_and_the_problem_is_told(
    up: Upstream, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "fairlead"), fairlead.Client(path, watch=EVENTS_ONLY) as client:
        before = client.stats()["config"]
        put(path, "[models.m]\ndeploymens = []\n")
        until(lambda: client.stats()["config"]["problem"] is not None)
        now = client.stats()["config"]
        assert "fairlead.toml:2:1: `models.m.deploymens`" in now["problem"]
        assert {**now, "problem": None} == before
        assert ask(client) == "openai/one"
        with pytest.raises(fairlead.ConfigError, match="deployments"):
            client.reload()
        put(path, text(up, "two"))
        until(lambda: client.stats()["config"]["version"] == 2)
        assert client.stats()["config"]["problem"] is None
        until(lambda: any("configuration 2 holds" in record.message for record in caplog.records))
    told = [record.message.split(":")[0] for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["the last good configuration stays"]


def test_another_configuration_takes_the_place_of_the_first(up: Upstream, path: Path) -> None:
    deployment = {"provider": "openai", "model": "three", "base_url": up.base_url, "api_key": "k"}
    other = path.with_name("other.toml")
    other.write_text(text(up, "four"), encoding="utf-8")
    with fairlead.Client(path, watch=EVENTS_ONLY) as client, client.with_options(max_retries=0) as sibling:
        assert client.reload({"models": {"m": {"deployments": [deployment]}}}) is True
        assert ask(client) == ask(sibling) == "openai/three"
        assert client.reload(other) is True
        assert ask(client) == "openai/four"
        other.write_text(text(up, "five"), encoding="utf-8")
        until(lambda: client.stats()["config"]["version"] == 4)
        assert ask(client) == "openai/five"
        path.write_text(text(up, "six"), encoding="utf-8")
        assert client.reload() is False


def test_the_constructors_arguments_stay_on_top(up: Upstream, path: Path) -> None:
    with fairlead.Client({}, api_key="mine", base_url=up.base_url) as client:
        client.reload({"client": {"api_key": "theirs", "base_url": "http://127.0.0.1:1"}})
        client.chat.completions.create(model="x", messages=MESSAGES)
    assert up.requests[-1].headers["authorization"] == "Bearer mine"


def test_connections_and_totals_survive_a_reload(up: Upstream, path: Path) -> None:
    with fairlead.Client(path) as client:
        ask(client)
        path.write_text(text(up, "two"), encoding="utf-8")
        client.reload()
        ask(client)
        assert client.stats()["calls"] == 2
        assert client.stats()["now"]["connections_open"] == 1


def test_a_client_that_was_closed_is_not_reloaded(up: Upstream, path: Path) -> None:
    client = fairlead.Client(path, watch=True)
    client.close()
    path.write_text(text(up, "two"), encoding="utf-8")
    with pytest.raises(fairlead.ClientClosed):
        client.reload()
    assert client.stats()["config"]["watched"] is False


@pytest.mark.parametrize(("config", "watch"), [({}, True), ("fairlead.toml", -1.0), ("fairlead.toml", 1e-9)])
def test_what_cannot_be_watched_is_told(path: Path, config: Any, watch: Any) -> None:
    with pytest.raises(fairlead.ConfigError, match="watch"):
        fairlead.Client(config, watch=watch)


def test_calls_that_run_while_a_file_changes_never_fail(up: Upstream, path: Path) -> None:
    up.script = []

    async def main() -> None:
        async with fairlead.AsyncClient(path, watch=0.02) as client:
            over = False

            async def call() -> None:
                while not over:
                    await client.chat.completions.create(model="m", messages=MESSAGES)

            callers = [asyncio.create_task(call()) for _ in range(8)]
            for number in range(40):
                await asyncio.to_thread(path.write_text, text(up, f"m{number}"), "utf-8")
                await asyncio.to_thread(client.reload)
            over = True
            await asyncio.gather(*callers)
            assert client.stats()["config"]["version"] > 20

    asyncio.run(main())
    for request in up.requests:
        model = request.json()["model"]
        assert request.headers["authorization"] == f"Bearer key-{model}"


def test_a_hook_may_reload(up: Upstream, path: Path) -> None:
    reloaded = threading.Event()

    def hook(receipt: Any) -> None:
        client.reload()
        reloaded.set()

    with fairlead.Client(path, on_event=hook, watch=0.02) as client:
        path.write_text(text(up, "two"), encoding="utf-8")
        ask(client)
        assert reloaded.wait(PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_watches_for_itself(up: Upstream, path: Path) -> None:
    reading, writing = os.pipe()
    with fairlead.Client(path, watch=EVENTS_ONLY) as client:
        assert ask(client) == "openai/one"
        child = os.fork()
        if not child:
            status = 1
            try:
                assert ask(client) == "openai/one"
                os.write(writing, b".")
                until(lambda: client.stats()["config"]["version"] == 2)
                status = 0 if ask(client) == "openai/two" else 2
                client.close()
            finally:
                os._exit(status)
        assert os.read(reading, 1) == b"."
        path.write_text(text(up, "two"), encoding="utf-8")
        until(lambda: client.stats()["config"]["version"] == 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ask(client) == "openai/two"
    os.close(reading)
    os.close(writing)


def test_health_of_what_stays_the_same_survives(up: Upstream, path: Path) -> None:
    with Upstream() as second:
        both = text(up, "one") + text(second, "one")
        path.write_text(both, encoding="utf-8")
        with fairlead.Client(path) as client:
            up.script = [fail(429, headers={"retry-after": "600"})]
            ask(client)
            path.write_text(both + "[retry]\nmax_retries = 1\n", encoding="utf-8")
            assert client.reload() is True
            ask(client)
        assert (len(up.requests), len(second.requests)) == (1, 2)


def test_a_callable_that_yields_keys_may_come_with_a_reload(up: Upstream) -> None:
    def config(key: Any) -> dict[str, Any]:
        deployment = {"provider": "openai", "model": "up", "base_url": up.base_url, "api_key": key}
        return {"models": {"m": {"deployments": [deployment]}}}

    def first() -> str:
        return "from-first"

    def second() -> str:
        return "from-second"

    with fairlead.Client(config(first)) as client:
        for key, expected in [(first, "first"), (second, "second"), ("plain", "plain"), (first, "first")]:
            client.reload(config(key))
            ask(client)
            assert up.requests[-1].headers["authorization"].endswith(expected)
