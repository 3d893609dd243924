"""Each fault of the catalogue puts on the wire what its name says."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from fairlead.testing import Step, Upstream, faults, ok
from fairlead.testing.faults.bodies import brotli, packed, zstandard

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

ENDLESS = {"F13", "F14", "F15", "F15/stream", "F19", "F77"}
"""Faults during which the upstream waits until the client leaves."""

RESETS = {"F06", "F08", "F09", "F10"}

LARGE = {"F61", "F62", "F80"}


@pytest.fixture
def up() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream
        assert upstream.errors == []


def request_bytes(stream: bool = False, close: bool = True) -> bytes:
    body = json.dumps({**CHAT, "stream": stream}).encode()
    fields = f"host: x\r\ncontent-length: {len(body)}\r\n" + "connection: close\r\n" * close
    return f"POST /v1/chat/completions HTTP/1.1\r\n{fields}\r\n".encode() + body


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def wire(up: Upstream, step: Step, *, stream: bool = False) -> bytes:
    """Every byte that the step sends on a connection used once."""
    up.script = [step]
    with socket.create_connection((up.host, up.port), timeout=20) as connection:
        connection.sendall(request_bytes(stream))
        return read_all(connection)


def split(data: bytes) -> tuple[bytes, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return head.lower(), body


def answer(up: Upstream, step: Step, *, stream: bool = False) -> tuple[int, dict[str, str], bytes]:
    """The reply as a forgiving client reads it."""
    up.script = [step]
    connection = http.client.HTTPConnection(up.host, up.port, timeout=20)
    connection.request("POST", "/v1/chat/completions", json.dumps({**CHAT, "stream": stream}))
    try:
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


def text_of(body: bytes) -> str:
    text = json.loads(body)["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def payloads(body: bytes) -> list[Any]:
    """The data of each event, joined and parsed as the standard says."""
    lines = re.split(rb"\r\n|\r|\n", body)
    events, data = [], []
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            events.append(b"\n".join(data))
            data = []
    return [event.decode() if event == b"[DONE]" else json.loads(event) for event in events]


def streamed(up: Upstream, step: Step) -> list[Any]:
    return payloads(answer(up, step, stream=True)[2])


def streamed_text(events: list[Any]) -> str:
    choices = [choice for event in events if isinstance(event, dict) for choice in event.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def finishes(events: list[Any]) -> list[str]:
    choices = [choice for event in events if isinstance(event, dict) for choice in event.get("choices", [])]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


# ===== the catalogue =====


@pytest.mark.parametrize("name", sorted(set(faults.CATALOGUE) - ENDLESS - LARGE - RESETS))
def test_every_fault_that_ends_ends_by_itself(up: Upstream, name: str) -> None:
    step = faults.late_bytes(0.02) if name == "F16" else faults.CATALOGUE[name]()
    data = wire(up, step, stream=name in faults.STREAMED)
    assert data
    assert up.requests[0].wait_over()
    assert up.requests[0].aborted_at is None


@pytest.mark.parametrize("name", sorted(RESETS))
def test_every_reset_is_a_reset(up: Upstream, name: str) -> None:
    with pytest.raises(ConnectionResetError):
        wire(up, faults.CATALOGUE[name](), stream=name in faults.STREAMED)


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_every_endless_fault_ends_when_the_client_leaves(up: Upstream, name: str) -> None:
    up.script = [faults.CATALOGUE[name]()]
    with socket.create_connection((up.host, up.port), timeout=10) as connection:
        connection.sendall(request_bytes(name in faults.STREAMED))
        assert up.wait_requests(1)
        assert not up.requests[0].wait_over(0.1)
    assert up.requests[0].wait_closed()
    assert up.wait_disconnected()


@pytest.mark.parametrize("name", sorted(faults.CATALOGUE))
def test_every_constructor_says_which_fault_it_is(name: str) -> None:
    constructor = faults.CATALOGUE[name]
    documented = getattr(constructor, "func", constructor).__doc__
    assert documented is not None
    assert name.partition("/")[0] in documented


def test_streamed_names_are_in_the_catalogue() -> None:
    assert set(faults.CATALOGUE) >= faults.STREAMED
    assert {"F10", "F72", "F92"} <= faults.STREAMED
    assert not {"F06", "F57", "F71", "F93", "F9"} & faults.STREAMED


# ===== transport =====


def connect(base_url: str, timeout: float) -> socket.socket:
    parts = urlsplit(base_url)
    return socket.create_connection((parts.hostname, parts.port), timeout=timeout)


def test_addresses_where_nobody_answers() -> None:
    with faults.refused() as base_url, pytest.raises(ConnectionRefusedError):
        connect(base_url, 5)
    with faults.silent() as base_url, connect(base_url, 0.2) as connection:
        assert base_url.startswith("https://")
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the queue is full")
def test_a_black_hole_swallows_connections() -> None:
    with faults.black_hole() as base_url, pytest.raises(TimeoutError):
        connect(base_url, 0.3)


def test_reuse_faults_spare_a_fresh_connection(up: Upstream) -> None:
    for step in (faults.reset_when_reused(ok("first")), faults.close_when_reused(ok("first"))):
        up.script = [step, step]
        with socket.create_connection((up.host, up.port), timeout=10) as connection:
            connection.sendall(request_bytes(close=False))
            assert b"first" in connection.recv(65536)
            connection.sendall(request_bytes(close=False))
            try:
                assert connection.recv(100) == b""
                assert not step.reset
            except ConnectionResetError:
                assert step.reset


def test_a_half_closed_reply_is_whole(up: Upstream) -> None:
    assert text_of(answer(up, faults.half_close_after_reply())[2]) == faults.TEXT


@pytest.mark.parametrize(
    "step", [faults.close_in_body(), faults.length_too_long(), faults.missing_last_chunk()]
)
def test_truncated_bodies_are_incomplete(up: Upstream, step: Step) -> None:
    with pytest.raises(http.client.IncompleteRead):
        answer(up, step)


def test_late_sliced_and_narrow_replies_are_whole(up: Upstream) -> None:
    before = time.monotonic()
    assert text_of(answer(up, faults.late_bytes(0.05))[2]) == faults.TEXT
    assert time.monotonic() - before >= 0.1
    assert text_of(answer(up, faults.sliced())[2]) == faults.TEXT
    assert text_of(answer(up, faults.narrow_band(20_000))[2]) == faults.TEXT
    assert streamed_text(streamed(up, faults.sliced())) == faults.TEXT


def test_a_body_that_is_never_read_fills_the_sockets() -> None:
    with Upstream(receive_buffer=4096) as up:
        up.script = [faults.never_reads()]
        with socket.create_connection((up.host, up.port), timeout=10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 9999999\r\n\r\n")
            assert up.wait_requests(1)
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.sendall(b"x" * 9_999_999)


def test_an_early_refusal_is_readable_while_uploading(up: Upstream) -> None:
    up.script = [faults.early_refusal()]
    with socket.create_connection((up.host, up.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 9999999\r\n\r\n")
        connection.sendall(b"x" * 9_999_999)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


# ===== framing =====


def test_framing_faults_are_on_the_wire(up: Upstream) -> None:
    head, _ = split(wire(up, faults.two_lengths()))
    assert len(set(re.findall(rb"content-length: (\d+)", head))) == 2
    head, body = split(wire(up, faults.length_and_chunked()))
    assert b"content-length: 5" in head
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"}")
    assert faults.CANARY.encode() in body
    assert b"\r\nZZZ\r\n" in wire(up, faults.bad_chunk_size())
    assert b"\r\nZZZ\r\n" in wire(up, faults.bad_chunk_size_in_stream(), stream=True)
    assert b"x=" + b"e" * (1 << 20) in wire(up, faults.huge_chunk_extension())


def test_header_faults_are_on_the_wire(up: Upstream) -> None:
    assert split(wire(up, faults.many_headers()))[0].count(b"\r\n") > 5000
    assert len(split(wire(up, faults.huge_headers()))[0]) > 5 << 20
    assert max(map(len, split(wire(up, faults.one_huge_header()))[0].split(b"\r\n"))) > 5 << 20
    assert b"a\0b" in wire(up, faults.nul_in_header())
    assert b"a\rb" in wire(up, faults.bare_cr_in_header())
    assert b"a\r\n b" in wire(up, faults.folded_header())
    assert wire(up, faults.early_hints()).count(b"HTTP/1.1 103 Early Hints\r\n") == 1000


@pytest.mark.parametrize("status", [0, 999, 204, 304])
def test_odd_statuses_are_on_the_wire(up: Upstream, status: int) -> None:
    step = faults.no_content(status) if status in (204, 304) else faults.odd_status(status)
    assert wire(up, step).startswith(f"HTTP/1.1 {status:03} ".encode())


def test_an_extra_reply_follows_the_good_one(up: Upstream) -> None:
    data = wire(up, faults.extra_reply())
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.index(faults.TEXT.encode()) < data.index(faults.CANARY.encode())


# ===== bodies =====


def test_bodies_that_are_no_json(up: Upstream) -> None:
    for step in (faults.truncated_json(), faults.html(), faults.empty(), faults.invalid_utf8()):
        with pytest.raises(ValueError):  # noqa: PT011 - both kinds are wanted
            json.loads(answer(up, step)[2].decode("utf-8"))
    with pytest.raises(RecursionError):
        json.loads(answer(up, faults.deep_nesting(200_000))[2])
    assert json.loads(answer(up, faults.number_literal("Infinity"))[2])["created"] == float("inf")


def test_bodies_that_are_odd_json(up: Upstream) -> None:
    body = answer(up, faults.duplicate_keys())[2]
    assert (body.count(b'"content":'), text_of(body)) == (2, faults.TEXT)
    assert text_of(answer(up, faults.byte_order_mark())[2].removeprefix(b"\xef\xbb\xbf")) == faults.TEXT
    assert text_of(answer(up, faults.lone_surrogate())[2]) == "half \ud800 pair"
    assert "choices" not in json.loads(answer(up, faults.choices_missing())[2])
    assert json.loads(answer(up, faults.choices_null())[2])["choices"] is None
    assert json.loads(answer(up, faults.choices_empty())[2])["choices"] == []
    assert json.loads(answer(up, faults.content_null())[2])["choices"][0]["message"]["content"] is None


def test_large_bodies_are_valid(up: Upstream) -> None:
    assert len(text_of(answer(up, faults.huge_body(3 << 20))[2])) == 3 << 20
    squeezed = answer(up, faults.gzip_bomb(8 << 20))[2]
    assert len(squeezed) < (8 << 20) / 500
    assert len(text_of(gzip.decompress(squeezed))) == 8 << 20
    events = streamed(up, faults.huge_event(2 << 20))
    assert len(events[0]["choices"][0]["delta"]["content"]) == 2 << 20
    assert events[-1] == "[DONE]"


def test_compressed_bodies_unpack_and_truncated_ones_do_not(up: Upstream) -> None:
    assert text_of(gzip.decompress(answer(up, faults.compressed("gzip"))[2])) == faults.TEXT
    assert text_of(zlib.decompress(answer(up, faults.compressed("deflate"))[2])) == faults.TEXT
    _, headers, body = answer(up, faults.truncated_compression())
    assert headers["content-encoding"] == "gzip"
    with pytest.raises(EOFError):
        gzip.decompress(body)
    assert text_of(answer(up, faults.lying_encoding())[2]) == faults.TEXT


def test_brotli_and_zstandard_frames_are_valid() -> None:
    data = packed("gzip") * 4
    assert pytest.importorskip("brotli").decompress(brotli(data)) == data
    assert pytest.importorskip("zstandard").ZstdDecompressor().decompress(zstandard(data)) == data


# ===== events =====


@pytest.mark.parametrize(
    ("step", "finish", "done"),
    [
        (faults.no_end(), [], 0),
        (faults.finish_without_done(), ["stop"], 0),
        (faults.done_without_finish(), [], 1),
        (faults.duplicate_done(), ["stop"], 2),
        (faults.events_without_data(), ["stop"], 1),
        (faults.mixed_line_ends(), ["stop"], 1),
        (faults.multi_line_data(), ["stop"], 1),
        (faults.error_after_finish(), ["stop"], 0),
        (faults.two_finishes(), ["stop", "length"], 1),
        (faults.usage_twice(), ["stop"], 1),
        (faults.usage_missing(), ["stop"], 1),
        (faults.usage_null(), ["stop"], 1),
        (faults.bad_usage(), ["stop"], 1),
        (faults.model_changes(), ["stop"], 1),
    ],
)
def test_streams_with_odd_ends_carry_the_text(up: Upstream, step: Step, finish: list[str], done: int) -> None:
    events = streamed(up, step)
    assert streamed_text(events) == faults.TEXT
    assert finishes(events) == finish
    assert events.count("[DONE]") == done


def test_stream_faults_have_their_oddity(up: Upstream) -> None:
    assert streamed_text(streamed(up, faults.data_after_done())).endswith(faults.CANARY)
    assert "error" in streamed(up, faults.error_first())[0]
    events = streamed(up, faults.error_in_stream())
    assert (len(events), "error" in events[-1]) == (4, True)
    assert "error" in json.loads(answer(up, faults.error_as_json(), stream=True)[2])
    usages = [event["usage"] for event in streamed(up, faults.usage_twice()) if "usage" in event]
    assert usages == [usages[0], faults.USAGE]
    assert usages[0] != faults.USAGE
    assert {event["model"] for event in streamed(up, faults.model_changes())[:-1]} == {
        "test-model",
        "another-model",
    }
    odd = [event for event in streamed(up, faults.bad_usage(1.5)) if "usage" in event]
    assert odd[0]["usage"]["total_tokens"] == 1.5


def test_interleaved_calls_and_split_characters_come_together(up: Upstream) -> None:
    assert "世".encode() not in wire(up, faults.interleaved(), stream=True)
    events = streamed(up, faults.interleaved())
    assert streamed_text(events) == faults.SPLIT_TEXT
    arguments = {0: "", 1: ""}
    for event in events[:-1]:
        for call in event["choices"][0]["delta"].get("tool_calls", []):
            arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == {0: '{"a":1}', 1: '{"b":2}'}


def test_anthropic_streams_are_named_events(up: Upstream) -> None:
    body = answer(up, faults.anthropic_unknown_events(), stream=True)[2]
    assert body.startswith(b"event: message_start\ndata: ")
    assert b"event: moon_phase\n" in body
    assert not answer(up, faults.anthropic_delta_first(), stream=True)[2].startswith(b"event: message_start")


# ===== statuses =====


def test_throttling_says_when(up: Upstream) -> None:
    assert "retry-after" not in answer(up, faults.throttled())[1]
    for name, value in (("F94", "100000"), ("F94/inf", "inf"), ("F95", "-5"), ("F95/junk", "soon")):
        assert answer(up, faults.CATALOGUE[name]())[1]["retry-after"] == value
    headers = answer(up, faults.throttled_until(30, skew=3600))[1]
    wait = parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])
    assert 29 <= wait.total_seconds() <= 31


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("F93", 429),
        ("F97", 429),
        ("F97/spend", 429),
        ("F97/zero", 429),
        ("F98", 529),
        ("F98/503", 503),
        ("F99", 500),
        ("F101", 401),
        ("F102", 404),
        ("F102/region", 403),
        ("F20", 413),
        ("F103", 307),
    ],
)
def test_failures_have_their_status(up: Upstream, name: str, status: int) -> None:
    found, headers, body = answer(up, faults.CATALOGUE[name]())
    assert found == status
    assert headers.get("location") if status == 307 else json.loads(body)["error"]["message"]


def test_a_redirect_loop_leads_back(up: Upstream) -> None:
    assert answer(up, faults.redirect_loop())[1]["location"] == "/v1/chat/completions"
