"""The bare transports, of both HTTP libraries, below clients that are not ours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import import_module
from typing import Any

import fairlead
import httpx
import httpx2
import openai
import pytest
from fairlead.openai import failure, receipt
from fairlead.testing import Upstream, fail, hang, ok, stream
from openai_twin import MESSAGES, text_of

SDK_TAKES = [httpx, httpx2] if issubclass(openai.DefaultHttpxClient, httpx2.Client) else [httpx]
"""Before its version 3 the SDK knows only one of them."""

BODY = {"model": "m", "messages": MESSAGES}


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return {"httpx": httpx, "httpx2": httpx2}[request.param]


@pytest.fixture
def below(up: Upstream) -> fairlead.Client:
    return fairlead.Client(api_key="test", base_url=up.base_url, max_retries=0)


def client_of(library: Any, below: Any, **options: Any) -> Any:
    transport = import_module(f"fairlead.openai.{library.__name__}").Transport(below)
    return library.Client(transport=transport, base_url="https://api.openai.com/v1", **options)


def async_client_of(library: Any, below: Any, **options: Any) -> Any:
    transport = import_module(f"fairlead.openai.{library.__name__}").AsyncTransport(below)
    return library.AsyncClient(transport=transport, base_url="https://api.openai.com/v1", **options)


def test_a_plain_request_is_served(up: Upstream, library: Any, below: Any) -> None:
    with client_of(library, below) as client:
        reply = client.post("/chat/completions", json=BODY, headers={"authorization": "Bearer unused"})
        assert reply.status_code == 200
        assert reply.json()["choices"][0]["message"]["content"] == "hi"
        assert receipt(reply).deployment == "openai/m"
        assert reply.headers["content-length"] == str(len(reply.content))
        assert reply.elapsed.total_seconds() > 0
    assert up.requests[0].headers["authorization"] == "Bearer test"
    assert not below.is_closed()


def test_a_plain_stream_is_served(up: Upstream, library: Any, below: Any) -> None:
    up.reply = stream("a b")
    with (
        client_of(library, below) as client,
        client.stream("POST", "/chat/completions", json={**BODY, "stream": True}) as reply,
    ):
        lines = [line for line in reply.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_timeouts_and_connection_errors_are_the_librarys(up: Upstream, library: Any, below: Any) -> None:
    up.reply = hang()
    with client_of(library, below, timeout=0.2) as client, pytest.raises(library.ReadTimeout) as caught:
        client.post("/chat/completions", json=BODY)
    assert isinstance(caught.value.__cause__, fairlead.AttemptTimeout)
    assert failure(caught.value) is caught.value.__cause__
    below.close()
    with client_of(library, below) as client, pytest.raises(library.ConnectError):
        client.post("/chat/completions", json=BODY)


def test_broken_json_is_refused(up: Upstream, library: Any, below: Any) -> None:
    with client_of(library, below) as client:
        for path in ("/chat/completions", "/moderations"):
            reply = client.post(path, content=b'{"a', headers={"content-type": "application/json"})
            assert reply.status_code == 400
            assert reply.json()["error"]["code"] == "invalid_json"
    assert up.requests == []


def test_other_paths_pass_with_their_query(up: Upstream, library: Any, below: Any) -> None:
    with client_of(library, below) as client:
        client.get("/batches/b%201", params={"after": "x y"})
    assert up.requests[0].target in ("/v1/batches/b%201?after=x%20y", "/v1/batches/b%201?after=x+y")
    assert up.requests[0].method == "GET"


@pytest.mark.parametrize("library", SDK_TAKES)
def test_the_sdk_takes_a_client_with_the_transport(up: Upstream, library: Any, below: Any) -> None:
    up.script = [ok("Hello"), stream("a b"), fail(429, retry_after=100)]
    with client_of(library, below) as http_client:
        client = openai.OpenAI(api_key="unused", http_client=http_client, max_retries=2)
        create = client.chat.completions.create
        assert create(model="m", messages=MESSAGES).choices[0].message.content == "Hello"
        assert text_of(list(create(model="m", messages=MESSAGES, stream=True))) == "a b"
        with pytest.raises(openai.RateLimitError):
            create(model="m", messages=MESSAGES)
    assert len(up.requests) == 3
    assert {request.headers["authorization"] for request in up.requests} == {"Bearer test"}


@pytest.mark.parametrize("library", SDK_TAKES)
def test_the_sdk_on_a_loop_takes_one_too(up: Upstream, library: Any, below: Any) -> None:
    up.script = [ok("Hello"), stream("a b"), fail(500)]

    async def main() -> None:
        async with async_client_of(library, below) as http_client:
            client = openai.AsyncOpenAI(api_key="unused", http_client=http_client)
            create = client.chat.completions.create
            reply = await create(model="m", messages=MESSAGES)
            assert reply.choices[0].message.content == "Hello"
            chunks = [chunk async for chunk in await create(model="m", messages=MESSAGES, stream=True)]
            assert text_of(chunks) == "a b"
            with pytest.raises(openai.InternalServerError):
                await create(model="m", messages=MESSAGES)

    asyncio.run(main())
    assert len(up.requests) == 3


def test_a_transport_may_close_its_client(library: Any) -> None:
    for closes in (False, True):
        below = fairlead.Client(api_key="k")
        home = import_module(f"fairlead.openai.{library.__name__}")
        library.Client(transport=home.Transport(below, closes_client=closes)).close()
        assert below.is_closed() is closes


def test_azures_client_of_the_sdk_goes_through_it_too(up: Upstream, below: Any) -> None:
    with client_of(httpx, below) as http_client:
        client = openai.AzureOpenAI(
            api_key="unused",
            api_version="2025-01-01",
            azure_endpoint="https://x.openai.azure.com",
            http_client=http_client,
        )
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert up.requests[0].path == "/v1/chat/completions"
    assert "api-key" not in up.requests[0].headers


@pytest.mark.parametrize("module", ["fairlead.openai", "fairlead.openai.httpx", "fairlead.openai.httpx2"])
def test_only_the_clients_import_the_sdk(module: str) -> None:
    program = f"import sys, {module}\nassert 'openai' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_the_sdk_the_clients_say_what_to_install() -> None:
    program = """
import sys
sys.modules["openai"] = None
try:
    from fairlead.openai import OpenAI
except ImportError as error:
    assert "fairlead[openai]" in str(error), error
else:
    raise SystemExit("imported")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
