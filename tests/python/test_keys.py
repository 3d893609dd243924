"""Keys that the application provides: callables and plug-ins, through the built wheel."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar, NamedTuple

import fairlead
import pytest
from fairlead import _core
from fairlead.testing import Upstream, fail, ok
from test_border_process import run


def sent(up: Upstream) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in up.requests]


class Source:
    """Counts how often it is asked, and yields `key-1`, `key-2`, ..."""

    def __init__(self, give: Callable[[str], object] = lambda key: key) -> None:
        self.asked = 0
        self.threads: set[str] = set()
        self._give = give

    def __call__(self) -> Any:
        self.asked += 1
        self.threads.add(threading.current_thread().name)
        return self._give(f"key-{self.asked}")


def asynchronous(key: str) -> Any:
    async def give() -> object:
        await asyncio.sleep(0.001)
        return key

    return give()


@contextmanager
def plugin(name: str, fetch: Callable[..., Any]) -> Iterator[None]:
    fairlead.register_secret_plugin(name, fetch)
    try:
        yield
    finally:
        _core._register_plugin(name, None)


def config(up: Upstream, api_key: object) -> dict[str, Any]:
    deployment = {"provider": "openai", "model": "up", "base_url": up.base_url, "api_key": api_key}
    return {"models": {"m": {"deployments": [deployment]}}}


@dataclass
class Token:
    access_token: str
    expires_in: float | timedelta


class Access(NamedTuple):
    """The shape of cloud SDKs: a moment, not a duration."""

    token: str
    expires_on: float


SHAPES: list[Callable[[str], object]] = [
    lambda key: key,
    fairlead.Secret,
    lambda key: (key, 3600),
    lambda key: (fairlead.Secret(key), timedelta(hours=1)),
    lambda key: {"access_token": key, "expires_in": 3600},
    lambda key: {"access_token": key},
    lambda key: Token(key, 3600),
    lambda key: Token(key, timedelta(hours=1)),
    lambda key: Access(key, time.time() + 3600),
    asynchronous,
]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_callable_may_yield_a_key_in_any_shape_and_is_asked_once(
    up: Upstream, shape: Callable[[str], object]
) -> None:
    source = Source(shape)
    with fairlead.Client(api_key=source, base_url=up.base_url) as client:
        for _ in range(5):
            client.generate("m", "hi")
    assert sent(up) == ["key-1"] * 5
    assert source.asked == 1
    assert source.threads == {"fairlead-hooks-keys"}


def test_fifty_calls_at_once_ask_a_callable_in_a_dict_once(up: Upstream) -> None:
    source = Source(asynchronous)

    async def main() -> None:
        async with fairlead.AsyncClient(config(up, source)) as client:
            await asyncio.gather(*(client.generate("m", "hi") for _ in range(50)))

    asyncio.run(main())
    assert sent(up) == ["key-1"] * 50
    assert source.asked == 1


def test_a_callable_stands_beside_other_keys(up: Upstream) -> None:
    up.script = [fail(401), fail(401)]
    source = Source(lambda key: (key, 60))
    with fairlead.Client(api_key=[source, "spare"], base_url=up.base_url) as client:
        assert client.generate("m", "hi")
        usage = client.stats()["credentials"]
    assert sent(up) == ["key-1", "key-2", "spare"]
    assert [(key["id"], key["requests"], key["failures"]) for key in usage] == [
        ("key-1", 2, 2),
        ("key-2", 1, 0),
    ]


def test_a_refused_key_is_asked_for_anew_once(up: Upstream) -> None:
    up.script = [ok("one"), fail(401), ok("two")]
    source = Source()
    with fairlead.Client(api_key=source, base_url=up.base_url) as client:
        assert [client.generate("m", "hi"), client.generate("m", "hi")] == ["one", "two"]
    assert sent(up) == ["key-1", "key-1", "key-2"]


def test_a_short_life_is_kept_to(up: Upstream) -> None:
    source = Source(lambda key: (key, 0.2))
    with fairlead.Client(api_key=source, base_url=up.base_url) as client:
        client.generate("m", "hi")
        time.sleep(0.25)
        client.generate("m", "hi")
    assert sent(up) == ["key-1", "key-2"]


def test_what_has_ended_already_is_not_kept(up: Upstream) -> None:
    source = Source(lambda key: Access(key, time.time() - 10))
    with fairlead.Client(api_key=source, base_url=up.base_url) as client:
        for _ in range(3):
            client.generate("m", "hi")
            time.sleep(0.01)
    assert source.asked == 3


def broken(key: str) -> object:
    raise LookupError(f"hush {key}")


@pytest.mark.parametrize(
    ("give", "told"),
    [
        (broken, "it raised LookupError"),
        (lambda key: None, "it returned None"),
        (lambda key: (None, 60), "it returned None"),
        (lambda key: 7, "it raised TypeError"),
        (lambda key: (key, "soon"), "it raised ValueError"),
        (lambda key: {"token": key}, "it raised KeyError"),
        (lambda key: f" {key}", "white space"),
        (lambda key: "", "empty"),
    ],
)
def test_a_callable_that_fails_is_told_by_its_type_and_never_by_its_words(
    up: Upstream, give: Callable[[str], object], told: str
) -> None:
    with (
        fairlead.Client(api_key=Source(give), base_url=up.base_url) as client,
        pytest.raises(fairlead.AuthenticationError, match=told) as caught,
    ):
        client.generate("m", "hi")
    assert "hush" not in repr(caught.value) + str(caught.value)
    assert up.requests == []


def test_a_callable_that_never_answers_holds_up_no_other(up: Upstream) -> None:
    async def never() -> str:
        await asyncio.sleep(3600)
        return "no"

    async def soon() -> str:
        return "soon"

    with (
        fairlead.Client(config(up, never)) as waiting,
        fairlead.Client(api_key=soon, base_url=up.base_url) as client,
    ):
        began = time.monotonic()
        with pytest.raises(fairlead.DeadlineExceeded):
            waiting.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], fairlead={"deadline": 0.5}
            )
        assert time.monotonic() - began < 20
        assert client.generate("m", "hi")


def test_a_plug_in_gets_its_options(up: Upstream) -> None:
    asked: list[dict[str, str]] = []

    async def fetch(options: dict[str, str]) -> tuple[str, int]:
        asked.append(options)
        return options["path"] + "-value", 60

    key = {"plugin": "vault", "options": {"path": "secret", "field": "llm"}, "id": "of the vault"}
    with plugin("vault", fetch), fairlead.Client(config(up, key)) as client:
        client.generate("m", "hi")
        client.generate("m", "hi")
        assert [key["id"] for key in client.stats()["credentials"]] == ["of the vault"]
    assert asked == [{"path": "secret", "field": "llm"}]
    assert sent(up) == ["secret-value"] * 2


def test_a_plug_in_that_nobody_registered_is_refused_at_load(up: Upstream) -> None:
    with pytest.raises(fairlead.ConfigError, match="no secret plug-in is registered under the name `kms`"):
        fairlead.Client(config(up, {"plugin": "kms"}))


@pytest.mark.parametrize(("name", "fetch"), [("", len), (7, len), ("kms", "key")])
def test_what_cannot_be_a_plug_in_is_refused(name: Any, fetch: Any) -> None:
    with pytest.raises(fairlead.ConfigError):
        fairlead.register_secret_plugin(name, fetch)


class Issuer(BaseHTTPRequestHandler):
    """A token endpoint that counts its tokens."""

    asked: ClassVar[list[tuple[str | None, str]]] = []

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        self.asked.append((self.headers["authorization"], form))
        body = json.dumps({"access_token": f"issued-{len(self.asked)}", "expires_in": "3600"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def issuer() -> Iterator[str]:
    Issuer.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Issuer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/oauth/token"
    server.shutdown()
    thread.join()
    server.server_close()


def test_client_credentials_over_the_wire(up: Upstream, issuer: str) -> None:
    up.script = [ok(), fail(401), ok()]
    oauth = {"token_url": issuer, "client_id": "me", "client_secret": "hush"}
    with fairlead.Client(config(up, {"oauth": oauth})) as client:
        client.generate("m", "hi")
        client.generate("m", "hi")
    assert sent(up) == ["issued-1", "issued-1", "issued-2"]
    assert Issuer.asked == [("Basic bWU6aHVzaA==", "grant_type=client_credentials")] * 2


def test_an_issuer_that_cannot_be_reached_is_told_by_its_address(up: Upstream) -> None:
    oauth = {"token_url": "http://127.0.0.1:1/token", "client_id": "me", "client_secret": "hush"}
    with (
        fairlead.Client(config(up, {"oauth": oauth})) as client,
        pytest.raises(
            fairlead.AuthenticationError, match=r"no token from the issuer http://127\.0\.0\.1:1/token"
        ),
    ):
        client.generate("m", "hi")
    assert up.requests == []


def serving() -> bool:
    return any(thread.name == "fairlead-hooks-keys" for thread in threading.enumerate())


def await_end() -> None:
    deadline = time.monotonic() + 20
    while serving() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not serving()


def test_the_thread_begins_with_the_first_call_and_ends_with_the_last_client(up: Upstream) -> None:
    await_end()
    first = fairlead.Client(api_key=Source(), base_url=up.base_url)
    second = fairlead.Client(api_key=Source(), base_url=up.base_url)
    assert not serving()
    for _ in range(3):
        first.generate("m", "hi")
        second.generate("m", "hi")
    assert serving()
    first.close()
    assert second.generate("m", "hi")
    assert serving()
    del second
    gc.collect()
    await_end()
    # And begins anew.
    with fairlead.Client(api_key=Source(), base_url=up.base_url) as third:
        assert third.generate("m", "hi")
    await_end()


def test_a_closed_client_lets_go_of_its_callables(up: Upstream) -> None:
    source = Source()
    held = weakref.ref(source)
    client = fairlead.Client(config(up, source))
    client.generate("m", "hi")
    client._config.value = None
    client.close()
    del source
    await_end()
    gc.collect()
    assert held() is None


def test_keys_come_and_go_without_leaving_anything(up: Upstream) -> None:
    def once() -> None:
        with fairlead.Client(api_key=Source(lambda key: (key, 0.001)), base_url=up.base_url) as client:
            for _ in range(5):
                client.generate("m", "hi")

    once()
    await_end()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(20):
        once()
    await_end()
    up.requests.clear()
    gc.collect()
    assert len(gc.get_objects()) - before < 500


FORK = """
    import os, signal, sys, warnings
    import fairlead

    # Python warns of forks while threads run; that there are some is the point.
    warnings.simplefilter("ignore", DeprecationWarning)
    asked = []

    def key():
        asked.append(os.getpid())
        return "key", 3600

    client = fairlead.Client(api_key=key, base_url=sys.argv[1])
    assert client.generate("m", "hi")
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            try:
                assert client.generate("m", "hi")
                assert asked[-1] == os.getpid()
                os._exit(0)
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
        assert client.generate("m", "hi")
    assert asked == [os.getpid()]
"""


def test_a_forked_child_asks_on_a_thread_of_its_own(up: Upstream) -> None:
    run(FORK, up.base_url)


EXIT = """
    import sys, threading, time
    import fairlead

    begun = threading.Event()

    def key():
        begun.set()
        time.sleep(30)

    client = fairlead.Client(api_key=key, base_url=sys.argv[1])
    threading.Thread(target=lambda: client.generate("m", "hi"), daemon=True).start()
    assert begun.wait(30)
"""


def test_an_exit_while_a_key_is_asked_for_is_silent(up: Upstream) -> None:
    run(EXIT, up.base_url)
