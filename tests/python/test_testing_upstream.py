"""The scripted upstream does what its script says, and sees what its clients do."""

from __future__ import annotations

import base64
import gc
import http.client
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fairlead.testing import (
    STALL,
    Reply,
    Request,
    Upstream,
    fail,
    hang,
    ok,
    raw,
    sse,
    stream,
    stream_bytes,
    tool_call,
)

CHAT = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
def up() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream
        assert upstream.errors == []


class Client:
    """A keep-alive HTTP client for one base URL."""

    def __init__(self, base_url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname is not None
        self.prefix = parts.path
        self.connection: http.client.HTTPConnection
        if tls is None:
            self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        else:
            self.connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=10, context=tls)

    def post(self, path: str, body: Any) -> tuple[int, bytes]:
        self.connection.request("POST", self.prefix + path, json.dumps(body), {"X-Seen": "yes"})
        response = self.connection.getresponse()
        return response.status, response.read()

    def chat(self, **more: Any) -> dict[str, Any]:
        status, body = self.post("/chat/completions", {**CHAT, **more})
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def client(up: Upstream) -> Iterator[Client]:
    made = Client(up.base_url)
    yield made
    made.close()


def request_bytes(up: Upstream, body: dict[str, Any] = CHAT) -> bytes:
    payload = json.dumps(body).encode()
    path = urlsplit(up.base_url).path + "/chat/completions"
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(payload)}\r\n\r\n".encode() + payload


def plain_socket(up: Upstream) -> socket.socket:
    return socket.create_connection((up.host, up.port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange_bytes(up: Upstream, step: Any, body: dict[str, Any] = CHAT) -> bytes:
    """Everything that the upstream sends until it closes."""
    up.script = [step]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up, body))
        return read_all(connection)


def events_of(data: bytes) -> list[Any]:
    lines = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


# ===== replies =====


def test_without_a_script_the_last_user_message_is_echoed(client: Client) -> None:
    answer = client.chat()
    assert answer["choices"][0]["message"]["content"] == "one two three"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert answer["model"] == "m"


def test_a_script_is_consumed_in_order_over_all_connections(up: Upstream) -> None:
    up.script = [fail(503), ok("first"), fail(429, retry_after=2), ok("second")]
    clients = [Client(up.base_url), Client(up.base_url)]
    statuses = [clients[turn % 2].post("/chat/completions", CHAT)[0] for turn in range(4)]
    assert statuses == [503, 200, 429, 200]
    assert up.connections_total == 2
    for made in clients:
        made.close()
    assert up.wait_disconnected()


def test_reply_answers_when_the_script_is_used_up(up: Upstream, client: Client) -> None:
    up.reply = lambda request: ok(f"you sent {request.model}")
    assert client.chat()["choices"][0]["message"]["content"] == "you sent m"
    up.reply = fail(418, "a teapot", code="teapot")
    status, body = client.post("/chat/completions", CHAT)
    assert status == 418
    assert json.loads(body)["error"]["code"] == "teapot"


def test_the_log_holds_every_request(up: Upstream, client: Client) -> None:
    before = time.monotonic()
    client.post("/chat/completions?trace=1", CHAT)
    (request,) = up.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/chat/completions", {"trace": "1"})
    assert request.headers["x-seen"] == request.headers["X-SEEN"] == "yes"
    assert request.json() == CHAT
    assert before <= request.at <= time.monotonic()
    assert request.wait_over()
    assert request.aborted_at is None
    assert request.finished_at is not None
    assert not request.wait_closed(0)
    assert up.wait_idle()


def test_tool_calls_are_answered_whole_and_streamed(up: Upstream, client: Client) -> None:
    step = ok(tool_calls=[tool_call("look", {"at": "sky"})])
    up.script = [step, step]
    choice = client.chat()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at":"sky"}'}
    _, body = client.post("/chat/completions", {**CHAT, "stream": True})
    deltas = [event["choices"][0]["delta"] for event in events_of(body)[:-1]]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [call["function"]["arguments"] for call in calls] == ["", '{"at":"sky"}']


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_stream_reports_usage_only_when_asked(client: Client, include_usage: bool) -> None:
    options = {"stream": True, "stream_options": {"include_usage": include_usage}}
    _, body = client.post("/chat/completions", {**CHAT, **options})
    events = events_of(body)
    text = "".join(
        event["choices"][0]["delta"].get("content") or "" for event in events[:-1] if event["choices"]
    )
    assert text == "one two three"
    assert events[-1] == "[DONE]"
    assert [event["usage"]["total_tokens"] for event in events[:-1] if event.get("usage")] == [
        6
    ] * include_usage


def test_a_stream_takes_pieces_deltas_chunks_bytes_and_pauses(up: Upstream, client: Client) -> None:
    whole = {"object": "chat.completion.chunk", "choices": []}
    up.script = [stream(["a", {"reasoning_content": "r"}, whole, b": note\n\n", 0.01, "b"], finish="length")]
    status, body = client.post("/chat/completions", {**CHAT, "stream": True})
    assert status == 200
    deltas = [event["choices"][0]["delta"] for event in events_of(body)[:-1] if event["choices"]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"reasoning_content": "r"},
        {"content": "b"},
        {},
    ]
    assert b": note\n\n" in body
    assert whole in events_of(body)


@pytest.mark.parametrize("end", ["chunked", "length", "close", "half_close"])
def test_every_orderly_end_of_a_stream_gives_the_same_body(up: Upstream, client: Client, end: Any) -> None:
    up.script = [sse([{"a": 1}, "[DONE]"], end=end)]
    assert client.post("/chat/completions", CHAT) == (200, b'data: {"a":1}\n\ndata: [DONE]\n\n')


def test_a_cut_stream_lacks_its_last_chunk(up: Upstream, client: Client) -> None:
    up.script = [sse([{"a": 1}], end="cut")]
    with pytest.raises(http.client.IncompleteRead):
        client.post("/chat/completions", CHAT)


def test_embeddings_agree_as_floats_and_base64(client: Client) -> None:
    asked = {"model": "e", "input": ["a b", "c"], "dimensions": 5}
    _, floats = client.post("/embeddings", asked)
    _, packed = client.post("/embeddings", {**asked, "encoding_format": "base64"})
    vectors = [entry["embedding"] for entry in json.loads(floats)["data"]]
    texts = [entry["embedding"] for entry in json.loads(packed)["data"]]
    assert [list(struct.unpack("<5f", base64.b64decode(text))) for text in texts] == vectors
    assert json.loads(floats)["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert vectors[0] != vectors[1]


def test_models_are_listed(up: Upstream, client: Client) -> None:
    up.script = [ok(models=["x", "y"])]
    client.connection.request("GET", "/v1/models")
    listed = json.loads(client.connection.getresponse().read())
    assert [model["id"] for model in listed["data"]] == ["x", "y"]


def test_a_reply_can_be_anything(up: Upstream, client: Client) -> None:
    up.script = [Reply(status=202, headers={"x-note": "n"}, body="text", content_type="text/plain")]
    assert client.post("/chat/completions", CHAT) == (202, b"text")


def test_chunked_request_bodies_are_read(up: Upstream, client: Client) -> None:
    pieces = iter([b'{"model":', b'"c"}'])
    client.connection.request("POST", "/v1/chat/completions", pieces, encode_chunked=True)
    assert client.connection.getresponse().status == 200
    assert up.requests[0].json() == {"model": "c"}


# ===== places and conditions =====


def test_places_have_scripts_of_their_own(up: Upstream) -> None:
    up.at("a").script = [fail(500)]
    up.at("b").reply = ok("from b")
    a, b = Client(up.url("a")), Client(up.url("b"))
    assert a.post("/chat/completions", CHAT)[0] == 500
    assert b.chat()["choices"][0]["message"]["content"] == "from b"
    assert a.chat()["choices"][0]["message"]["content"] == "one two three"
    assert (len(up.at("a").requests), len(up.at("b").requests), len(up.requests)) == (2, 1, 3)
    a.close()
    b.close()


def test_conditions_pick_by_path_model_and_function(up: Upstream, client: Client) -> None:
    up.on("/embeddings", fail(501))
    by_model = up.on("slow", [fail(502)])
    up.on(lambda request: "tools" in request.fields, [fail(503)])
    assert client.post("/embeddings", {"input": "x"})[0] == 501
    assert client.post("/chat/completions", {**CHAT, "model": "slow"})[0] == 502
    assert client.post("/chat/completions", {**CHAT, "tools": []})[0] == 503
    assert client.post("/chat/completions", {**CHAT, "model": "slow"})[0] == 200
    assert len(by_model.requests) == 2


def test_reset_forgets_scripts_and_logs(up: Upstream, client: Client) -> None:
    up.script, up.reply = [fail(500)], fail(500)
    up.on("/chat/completions", fail(500))
    up.reset()
    client.chat()
    assert len(up.requests) == 1


def test_a_function_that_raises_is_reported_and_resets(client: Client, up: Upstream) -> None:
    def broken(request: Request) -> Any:
        raise LookupError("scripted")

    up.script = [broken]
    with pytest.raises(ConnectionResetError):
        client.post("/chat/completions", CHAT)
    assert [str(error) for error in up.errors] == ["scripted"]
    up.errors.clear()


# ===== timing and leaving =====


def test_delays_and_intervals_pass_before_the_bytes(up: Upstream, client: Client) -> None:
    up.script = [
        ok("x", delay=0.05),
        ok("x").after(0.05),
        stream(["a", "b"], ttfb=0.02, first=0.02, interval=0.01),
    ]
    for _ in range(3):
        before = time.monotonic()
        client.post("/chat/completions", CHAT)
        assert time.monotonic() - before >= 0.05


def test_small_writes_are_sent_at_once(up: Upstream) -> None:
    up.reply = stream("one two three four five")
    body = json.dumps({"model": "m", "messages": [], "stream": True})
    connection = http.client.HTTPConnection(up.host, up.port, timeout=10)
    before = time.monotonic()
    for _ in range(50):
        connection.request("POST", "/v1/chat/completions", body)
        assert b"[DONE]" in connection.getresponse().read()
    connection.close()
    assert up.connections_total == 1
    # Held back until they are acknowledged, they take 40 ms each.
    assert time.monotonic() - before < 1.0


def test_sliced_bytes_are_the_same_bytes(up: Upstream) -> None:
    plain = Reply(body="x" * 200, headers={"connection": "close"})
    closing = {**CHAT}
    up.script = [plain]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up, closing).replace(b"host: x", b"host: x\r\nconnection: close"))
        whole = read_all(connection)
    assert exchange_bytes(up, raw(plain.to_bytes()).sliced(1)) == whole
    assert up.requests[-1].bytes_sent == len(whole)


def test_a_rate_takes_its_time(up: Upstream, client: Client) -> None:
    up.script = [Reply(body="x" * 900).at_rate(10_000)]
    before = time.monotonic()
    assert client.post("/chat/completions", CHAT) == (200, b"x" * 900)
    assert time.monotonic() - before >= 0.08


@pytest.mark.parametrize(
    "step",
    [
        hang(),
        raw([b"HTTP/1.1 200 OK\r\n", STALL]),
        stream(["a", "b"], end="stall"),
        ok("late", delay=60),
        stream(["a", 60.0, "b"]),
    ],
)
def test_a_client_that_leaves_a_silent_upstream_is_noticed_at_once(up: Upstream, step: Any) -> None:
    up.script = [step]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up))
        assert up.wait_requests(1)
        assert not up.requests[0].wait_closed(0.05)
        left = time.monotonic()
    assert up.requests[0].wait_closed()
    aborted = up.requests[0].aborted_at
    assert aborted is not None
    assert aborted - left < 1.0
    assert up.wait_idle()
    assert up.wait_disconnected()


def test_a_reader_that_stops_stalls_the_stream(up: Upstream) -> None:
    up.script = [stream_bytes(total=64 << 20)]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up))
        assert up.wait_requests(1)
        request = up.requests[0]
        sent = -1
        while sent != request.bytes_sent:
            sent = request.bytes_sent
            request.wait_over(0.3)
        assert 0 < sent < 32 << 20
    assert request.wait_closed()


def test_a_long_stream_is_whole(up: Upstream, client: Client) -> None:
    up.script = [stream_bytes(total=1 << 20, event_size=500)]
    _, body = client.post("/chat/completions", CHAT)
    events = events_of(body)
    assert abs(len(body) - (1 << 20)) < 2000
    assert events[-1] == "[DONE]"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert all(event["choices"][0]["delta"]["content"].strip("x") == "" for event in events[:-2])


# ===== raw sockets =====


def test_a_reset_is_a_reset(up: Upstream) -> None:
    up.script = [raw(b"HTTP/1.1 200", reset=True)]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up))
        with pytest.raises(ConnectionResetError):
            read_all(connection)
    assert up.requests[0].aborted_at is None


def test_an_early_step_answers_before_the_body(up: Upstream) -> None:
    up.script = [raw(b"HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n", reads_body=False)]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up)[:80])
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_pipelined_requests_are_answered_in_order(up: Upstream) -> None:
    up.script = [fail(500), raw(fail(501).to_bytes())]
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up) * 2)
        answer = read_all(connection)
    assert answer.index(b"HTTP/1.1 500") < answer.index(b"HTTP/1.1 501")


def test_what_is_not_http_gets_400(up: Upstream) -> None:
    with plain_socket(up) as connection:
        connection.sendall(b"EHLO example\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400")


# ===== the official SDK =====


def test_the_openai_sdk_understands_every_computed_reply(up: Upstream) -> None:
    openai = pytest.importorskip("openai")
    up.script = [fail(503), ok("hi", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})]
    with openai.OpenAI(api_key="test", base_url=up.base_url, max_retries=1) as client:
        whole = client.chat.completions.create(**CHAT)
        assert (whole.choices[0].message.content, whole.usage.total_tokens) == ("hi", 3)
        options = {"include_usage": True}
        with client.chat.completions.create(**CHAT, stream=True, stream_options=options) as chunks:
            received = list(chunks)
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in received if chunk.choices)
            == "one two three"
        )
        assert received[-1].usage.total_tokens == 6
        vectors = client.embeddings.create(model="e", input=["a", "b"], dimensions=4).data
        assert [len(vector.embedding) for vector in vectors] == [4, 4]
        assert [model.id for model in client.models.list()] == ["test-model"]
        up.script = [fail(401)]
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(**CHAT)


# ===== life =====


def test_setting_a_script_copies_it(up: Upstream, client: Client) -> None:
    steps = [ok("a"), ok("b")]
    up.script = steps
    client.chat()
    assert (len(steps), len(up.script)) == (2, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_hold_connections_open(up: Upstream) -> None:
    up.script = [ok("before"), raw(b"bye")]
    reading, writing = os.pipe()
    with plain_socket(up) as connection:
        connection.sendall(request_bytes(up))
        assert b"before" in connection.recv(65536)
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            os._exit(0)
        try:
            connection.sendall(request_bytes(up))
            assert read_all(connection) == b"bye"
        finally:
            os.write(writing, b"x")
            os.waitpid(child, 0)
            os.close(reading)
            os.close(writing)


def test_a_closed_upstream_leaves_nothing_behind() -> None:
    threads = threading.active_count()
    with Upstream() as up:
        up.reply = hang()
        waiting = [plain_socket(up) for _ in range(20)]
        for connection in waiting:
            connection.sendall(request_bytes(up))
        assert up.wait_requests(20)
    assert threading.active_count() == threads
    assert up.connections_open == 0
    for connection in waiting:
        connection.close()
    up.close()
    gc.collect()


async def use_async(up: Upstream) -> None:
    async with up:
        client = Client(up.base_url)
        client.chat()
        client.close()


def test_it_serves_asynchronous_tests_too() -> None:
    import asyncio

    up = Upstream()
    asyncio.run(use_async(up))
    assert len(up.requests) == 1


def test_an_upstream_starts_again() -> None:
    up = Upstream()
    for _ in range(2):
        with up:
            client = Client(up.base_url)
            client.chat()
            client.close()
    assert len(up.requests) == 2


def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "up.sock"
    with Upstream(unix=path) as up:
        assert up.base_url == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 200")
    assert not path.exists()


@pytest.fixture
def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and that of a client who trusts it."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


def test_it_speaks_tls_and_counts_failed_handshakes(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serving, trusting = tls_contexts
    with Upstream(tls=serving) as up:
        assert up.base_url.startswith("https://")
        client = Client(up.base_url, trusting)
        assert client.chat()["model"] == "m"
        client.close()
        stranger = Client(up.base_url, ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.chat()
        stranger.close()
        assert up.wait_handshakes_failed(1)
        assert up.connections_total == 1
        mute = plain_socket(up)
    mute.close()


def test_streams_over_tls_are_whole_and_stall_with_their_reader(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serving, trusting = tls_contexts
    with Upstream(tls=serving) as up:
        up.script = [
            stream(["word "] * 500),
            stream_bytes(4 << 20),
            ok("x").sliced(1),
            stream_bytes(64 << 20),
        ]
        client = Client(up.base_url, trusting)
        assert len(events_of(client.post("/chat/completions", CHAT)[1])) == 503
        assert events_of(client.post("/chat/completions", CHAT)[1])[-1] == "[DONE]"
        assert client.chat()["choices"][0]["message"]["content"] == "x"
        client.connection.request("POST", "/v1/chat/completions", json.dumps(CHAT))
        assert up.wait_requests(4)
        assert not up.requests[3].wait_over(0.5)
        client.close()
        assert up.requests[3].wait_closed()


def test_a_reset_over_tls_is_a_reset_of_the_connection(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serving, trusting = tls_contexts
    with Upstream(tls=serving) as up:
        up.script = [raw(b"HTTP/1.1 200", reset=True)]
        with trusting.wrap_socket(plain_socket(up), server_hostname=up.host) as secured:
            secured.sendall(request_bytes(up))
            assert up.wait_requests(1)
            assert up.wait_disconnected()
            beneath = socket.socket(fileno=os.dup(secured.fileno()))
            with beneath, pytest.raises(ConnectionResetError):
                read_all(beneath)


def test_two_thousand_connections_at_once() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2000
    needed = 2 * wanted + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} file descriptors, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        with Upstream() as up:
            up.reply = ok("x", delay=0.2)
            waiting = [plain_socket(up) for _ in range(wanted)]
            for connection in waiting:
                connection.sendall(request_bytes(up))
            assert up.wait_requests(wanted, 30)
            assert all(connection.recv(20).startswith(b"HTTP/1.1 200") for connection in waiting)
            assert up.connections_open == wanted
            for connection in waiting:
                connection.close()
            assert up.wait_disconnected(30)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
