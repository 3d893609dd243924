"""Keys that change while calls go on: a list with an overlap, and a token that ends and is renewed.

    python examples/rotating_keys.py

The upstream is local and scripted; with a real one only the configuration differs.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import fairlead
from fairlead.testing import Upstream, fail, ok


def moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def used(upstream: Upstream) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]


def ask(client: fairlead.Client) -> str:
    return client.chat.completions.create(
        model="smart", messages=[{"role": "user", "content": "Hello!"}]
    ).fairlead.outcome


def client(upstream: Upstream, keys: object) -> fairlead.Client:
    deployment = {"provider": "openai", "model": "gpt-5", "api_key": keys, "base_url": upstream.base_url}
    return fairlead.Client({"models": {"smart": {"deployments": [deployment]}}})


def rotate() -> None:
    """The new key is valid for us before the host knows it: the old one answers. Then the old one ends."""
    keys = [
        {"id": "old", "key": "key-of-spring", "not_after": moment(1.5)},
        {"id": "new", "key": "key-of-summer", "not_before": moment(-1)},
    ]
    with Upstream() as upstream, client(upstream, keys) as rotating:
        upstream.script = [fail(401)]
        assert ask(rotating) == "ok"
        assert used(upstream) == ["key-of-summer", "key-of-spring"]
        time.sleep(1.6)
        assert ask(rotating) == "ok"
        assert used(upstream)[-1] == "key-of-summer"
        for key in rotating.stats()["credentials"]:
            print(f"{key['id']:<4} {key['requests']} requests, {key['failures']} failed")


def renew() -> None:
    """A token is asked for once, and again when the host refuses it or its time is up."""
    issued: list[str] = []

    def token() -> tuple[str, float]:
        issued.append(f"token-{len(issued) + 1}")
        return issued[-1], 3600

    with Upstream() as upstream, client(upstream, token) as renewing:
        upstream.script = [ok(), ok(), fail(401), ok()]
        assert [ask(renewing) for _ in range(3)] == ["ok"] * 3
        print(" -> ".join(used(upstream)))
        assert used(upstream) == ["token-1", "token-1", "token-1", "token-2"]


rotate()
renew()
