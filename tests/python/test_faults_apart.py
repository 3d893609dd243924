"""Faults that need more than one step of a script: addresses, reuse, uploads, TLS, waits and sizes."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fairlead
import pytest
import trustme
from fairlead.testing import Step, Upstream, faults, hang, ok, raw
from fairlead.testing.faults import answer
from fault_table import config
from faulty import Outcome, call, client, once

FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="stream")]
WELL = "well"
SLACK = 2.0
"""Seconds that a busy machine may take longer than the limit says."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def raised(outcome: Outcome, name: str, *, retryable: bool | None = None) -> Any:
    """The error, which is exactly of the class `name`."""
    assert type(outcome.error).__name__ == name, repr(outcome.error)
    if retryable is not None:
        assert outcome.error.is_retryable is retryable
    return outcome.error


def saved(up: Upstream, sick: str, **changes: Any) -> Outcome:
    """The outcome with a healthy deployment behind the sick one."""
    up.at("well").reply = ok(WELL)
    outcome = once(config(sick, up.url("well"), **changes))
    assert outcome.error is None, repr(outcome.error)
    assert outcome.text == WELL
    return outcome


# ===== connecting =====


@pytest.mark.parametrize("stream", FORMS)
def test_f01_a_refused_connection_is_told_at_once_and_costs_no_attempt(up: Upstream, stream: bool) -> None:
    with faults.refused() as nobody:
        error = raised(once(config(nobody), stream=stream), "ConnectError", retryable=True)
        assert [attempt.error for attempt in error.attempts] == ["ConnectError"] * 3
        assert min(attempt.duration for attempt in error.attempts) < 0.05
        attempts = saved(up, nobody).receipt.attempts
    assert [attempt.counted for attempt in attempts] == [False, True]


@on_linux
@pytest.mark.parametrize("stream", FORMS)
def test_f02_a_black_hole_ends_at_the_connect_limit(up: Upstream, stream: bool) -> None:
    limits = {"connect": 0.2}
    with faults.black_hole() as nobody:
        error = raised(once(config(nobody, timeouts=limits), stream=stream), "ConnectTimeout", retryable=True)
        assert len(error.attempts) == 3
        assert all(0.2 <= attempt.duration < 0.2 + SLACK for attempt in error.attempts)
        assert "timeouts.connect" in str(error)
        saved(up, nobody, timeouts=limits)


def test_f03_a_name_that_does_not_exist_is_an_error_of_its_own(up: Upstream) -> None:
    nowhere = "http://nowhere.invalid/v1"
    error = raised(once(config(nowhere)), "DnsError", retryable=True)
    assert "nowhere.invalid" in str(error)
    saved(up, nowhere)


def test_f05_a_name_with_a_dead_address_is_served_by_the_other(up: Upstream) -> None:
    up.reply = ok(WELL)
    outcome = once(config(f"http://localhost:{up.port}/v1"))
    assert outcome.text == WELL
    assert outcome.receipt.timings.connect < 0.3 + SLACK


@pytest.mark.parametrize("stream", FORMS)
def test_f21_a_waiter_for_a_full_pool_gives_up_and_is_forgotten(up: Upstream, stream: bool) -> None:
    up.script = [hang()]
    limits = {"pool": 0.1, "first_token": 1.5, "attempt": 1.5}
    pooled = config(up.base_url, timeouts=limits, pool={"max_connections": 1}, retry={"max_retries": 0})
    with client(pooled) as made:
        held = threading.Thread(target=call, args=(made,))
        held.start()
        assert up.wait_requests(1)
        error = raised(call(made, stream=stream), "PoolTimeout", retryable=True)
        assert "timeouts.pool" in str(error)
        assert made.stats()["input_tokens"] == 0
        held.join()
        assert call(made, stream=stream).text == "hi"


# ===== TLS =====


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def bundle(authority: trustme.CA, folder: Path, name: str = "bundle.pem") -> str:
    path = folder / name
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def trusting(base_url: str, ca: str | None, *others: str) -> dict[str, Any]:
    made = config(base_url, *others)
    made["models"]["m"]["deployments"][0]["ca"] = ca
    return made


def refused_handshake(certificate: trustme.LeafCert, ca: str | None, well: Upstream) -> str:
    """What is said of a certificate that no attempt accepts, and that another deployment makes good."""
    with Upstream(tls=serving(certificate)) as up:
        error = raised(once(trusting(up.base_url, ca)), "TLSError")
        assert len(error.attempts) == 1
        assert up.requests == []
        well.at("well").reply = ok(WELL)
        assert once(trusting(up.base_url, ca, well.url("well"))).text == WELL
    return str(error)


def test_tls_with_a_trusted_authority_is_served(authority: trustme.CA, tmp_path: Path) -> None:
    with Upstream(tls=serving(authority.issue_cert("127.0.0.1"))) as up:
        up.reply = ok(WELL)
        assert once(trusting(up.base_url, bundle(authority, tmp_path))).text == WELL


def test_f25_an_expired_certificate_is_called_expired(
    authority: trustme.CA, tmp_path: Path, up: Upstream
) -> None:
    now = datetime.now(UTC)
    expired = authority.issue_cert(
        "127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
    )
    assert "expired" in refused_handshake(expired, bundle(authority, tmp_path), up)


def test_f26_a_certificate_for_another_host_is_called_so(
    authority: trustme.CA, tmp_path: Path, up: Upstream
) -> None:
    other = authority.issue_cert("other.example.org")
    assert "hostname" in refused_handshake(other, bundle(authority, tmp_path), up)


def test_f27_an_authority_nobody_knows_is_an_unknown_issuer(authority: trustme.CA, up: Upstream) -> None:
    assert "unknown_issuer" in refused_handshake(authority.issue_cert("127.0.0.1"), None, up)


def test_f28_an_authority_that_the_bundle_lacks_names_the_bundle(
    authority: trustme.CA, tmp_path: Path, up: Upstream
) -> None:
    path = bundle(trustme.CA(), tmp_path)
    said = refused_handshake(authority.issue_cert("127.0.0.1"), path, up)
    assert "unknown_issuer" in said
    assert path in said


def test_f03_f27_f28_are_told_apart_over_http2_too(authority: trustme.CA, tmp_path: Path) -> None:
    path = bundle(trustme.CA(), tmp_path)
    with Upstream(tls=serving(authority.issue_cert("127.0.0.1"))) as up:
        modern = trusting(up.base_url, path)
        modern["models"]["m"]["deployments"][0]["http2"] = True
        said = str(raised(once(modern), "TLSError"))
    assert "unknown_issuer" in said
    assert path in said
    modern["models"]["m"]["deployments"][0]["base_url"] = "https://nowhere.invalid/v1"
    raised(once(modern), "DnsError", retryable=True)


def test_a_bundle_that_cannot_be_read_is_named_before_any_network(tmp_path: Path) -> None:
    path = str(tmp_path / "missing.pem")
    with pytest.raises(fairlead.ConfigError, match=path):
        once(trusting("https://127.0.0.1:1/v1", path))


def test_f30_a_handshake_that_stalls_ends_at_the_connect_limit(up: Upstream) -> None:
    with faults.silent() as nobody:
        with client(config(nobody, timeouts={"connect": 0.2})) as made:
            error = raised(call(made), "ConnectTimeout", retryable=True)
            stats = made.stats()
        assert len(error.attempts) == 3
        assert (stats["settled"], stats["input_tokens"]) == (3, 0)
        saved(up, nobody, timeouts={"connect": 0.2})


# ===== reuse =====


@pytest.mark.parametrize("stream", FORMS)
@pytest.mark.parametrize("name", ["F07", "F07/closed"])
def test_f07_n1_a_dead_reused_connection_is_replaced_and_not_charged(
    up: Upstream, name: str, stream: bool
) -> None:
    up.reply = faults.CATALOGUE[name]()
    with client(config(up.base_url, retry={"max_retries": 0})) as made:
        assert call(made, stream=stream).text == "hi"
        second = call(made, stream=stream)
        assert second.text == "hi"
        assert len(second.receipt.attempts) == 1
        assert second.receipt.transparent_retries == made.stats()["transparent_retries"]
    assert up.connections_total == 2


def test_n1_a_second_death_on_a_fresh_connection_is_an_attempt(up: Upstream) -> None:
    up.script = [ok("hi"), *[faults.reset_before_reply()] * 2]
    with client(config(up.base_url, retry={"max_retries": 0})) as made:
        assert call(made).text == "hi"
        error = raised(call(made), "ConnectionReset")
    assert len(error.attempts) == 1
    assert len(up.requests) == 3


def test_n3_a_fresh_connection_that_dies_is_an_attempt(up: Upstream) -> None:
    up.reply = faults.reset_before_reply()
    error = raised(once(config(up.base_url, retry={"max_retries": 0})), "ConnectionReset")
    assert (len(error.attempts), len(up.requests)) == (1, 1)


@pytest.mark.parametrize("name", ["F35", "F45", "F75", "F75/data"])
def test_f35_f45_s4_what_nobody_asked_for_reaches_nobody(up: Upstream, name: str) -> None:
    stream = name in faults.STREAMED
    up.script = [faults.CATALOGUE[name](), ok("mine")]
    with client(config(up.base_url)) as made:
        first, second = call(made, stream=stream), call(made)
    assert (first.text, second.text) == (faults.TEXT, "mine")
    assert faults.CANARY not in repr(first.chunks)
    assert up.connections_total == 2


# ===== uploads =====

LARGE = [{"role": "user", "content": "x" * (8 << 20)}]


def test_f19_an_upstream_that_does_not_read_ends_at_the_write_limit() -> None:
    limits = {"write": 0.3}
    with Upstream(receive_buffer=4096) as up:
        up.at("sick").reply = faults.never_reads()
        up.at("well").reply = ok(WELL)
        with client(config(up.url("sick"), timeouts=limits)) as made:
            error = raised(call(made, messages=LARGE), "WriteTimeout", retryable=True)
        assert len(error.attempts) == 3
        assert "timeouts.write" in str(error)
        with client(config(up.url("sick"), up.url("well"), timeouts=limits)) as made:
            assert call(made, messages=LARGE).text == WELL
        assert up.at("well").requests[0].json()["messages"] == LARGE


@contextlib.contextmanager
def slow_reader(pause: float) -> Iterator[str]:
    """A base URL where a request of 16 MiB is read 256 KiB at a time with pauses, and then answered."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            read = 0
            while read < 16 << 20 and (part := accepted.recv(256 << 10)):
                read += len(part)
                time.sleep(pause)
            with contextlib.suppress(OSError):
                accepted.sendall(answer.reply(answer.body(WELL)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
        reader = threading.Thread(target=serve)
        reader.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        reader.join()


def test_f19_an_upload_that_moves_is_not_blocked_however_long_it_takes() -> None:
    limits = {"write": 1.0}
    messages = [{"role": "user", "content": "x" * (16 << 20)}]
    with slow_reader(0.05) as base_url, client(config(base_url, timeouts=limits)) as made:
        outcome = call(made, messages=messages)
    assert outcome.text == WELL, repr(outcome.error)
    assert outcome.receipt.timings.first_byte > 1.5


@pytest.mark.parametrize(
    ("name", "status", "raises"),
    [
        ("F20", 413, "APIStatusError"),
        ("F20/400", 400, "BadRequestError"),
        ("F20/abrupt", 413, "APIStatusError"),
    ],
)
def test_f20_a_refusal_during_the_upload_is_read(up: Upstream, name: str, status: int, raises: str) -> None:
    up.reply = faults.CATALOGUE[name]()
    with client(config(up.base_url)) as made:
        error = raised(call(made, messages=LARGE), raises, retryable=False)
    assert error.status_code == status
    assert len(up.requests) == 1


# ===== time =====


def test_f14_d1_a_body_that_trickles_ends_at_the_deadline(up: Upstream) -> None:
    up.reply = faults.trickle_body(0.05)
    limits = {"total": 1.0, "idle": 0.4}
    began = time.monotonic()
    error = raised(once(config(up.base_url, timeouts=limits)), "DeadlineExceeded", retryable=False)
    assert 1.0 <= time.monotonic() - began < 1.0 + SLACK
    assert error.retry_denied == "deadline"
    assert {attempt.error for attempt in error.attempts} <= {"AttemptTimeout", "DeadlineExceeded"}


@pytest.mark.parametrize("stream", FORMS)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(hang(), id="hang"),
        pytest.param(faults.trickle_headers(0.02), id="headers"),
        pytest.param(faults.stall_in_body(), id="body"),
        pytest.param(faults.pings_only(), id="pings"),
        pytest.param(faults.trickle_body(0.02).after(0.3), id="late"),
    ],
)
def test_d1_the_deadline_holds_for_every_pattern_of_bytes(up: Upstream, step: Step, stream: bool) -> None:
    up.reply = step
    began = time.monotonic()
    outcome = once(config(up.base_url, timeouts={"headers": 20}), stream=stream, fairlead={"deadline": 0.5})
    raised(outcome, "DeadlineExceeded", retryable=False)
    assert 0.5 <= time.monotonic() - began < 0.5 + SLACK


def test_d2_the_deadline_covers_backoff_and_every_attempt(up: Upstream) -> None:
    up.reply = faults.server_error().after(0.4)
    began = time.monotonic()
    error = raised(once(config(up.base_url), fairlead={"deadline": 1.0}), "InternalServerError")
    assert time.monotonic() - began < 1.0 + SLACK
    assert (len(error.attempts), error.retry_denied) == (2, "deadline")


def test_d4_whitespace_before_a_slow_answer_is_life(up: Upstream) -> None:
    """Providers send the head and white space early and then think: only silence is idle."""
    content = answer.body("thought")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    up.reply = raw([head, *([b" \n", 0.1] * 8), content])
    assert once(config(up.base_url, timeouts={"idle": 0.5})).text == "thought"


def test_f96_a_date_is_waited_for_by_the_upstreams_clock(up: Upstream) -> None:
    for skew in (0.0, 3600.0, -3600.0):
        up.script = [faults.throttled_until(2, skew=skew), ok(WELL)]
        began = time.monotonic()
        assert once(config(up.base_url)).text == WELL
        # A date has whole seconds: two seconds from now are between one and two.
        assert 0.9 <= time.monotonic() - began < 2.2 + SLACK
        up.reset()


def test_f94_a_wait_that_is_too_long_is_raised_at_once_with_its_length(up: Upstream) -> None:
    up.reply = faults.throttled(100_000)
    began = time.monotonic()
    error = raised(once(config(up.base_url)), "RateLimitError", retryable=True)
    assert error.retry_after == 100_000
    assert time.monotonic() - began < SLACK
    up.reply = faults.throttled("10h17m")
    assert raised(once(config(up.base_url)), "RateLimitError").retry_after == 10 * 3600 + 17 * 60


def test_f94_a_throttled_deployment_is_asked_last_for_a_while(up: Upstream) -> None:
    up.at("sick").script = [faults.throttled(100_000)]
    up.at("well").reply = ok(WELL)
    with client(config(up.url("sick"), up.url("well"))) as made:
        assert [call(made).text for _ in range(3)] == [WELL] * 3
    assert len(up.at("sick").requests) == 1


# ===== redirects =====


def test_f103_a_redirect_is_not_followed_and_the_key_stays_home(up: Upstream) -> None:
    with Upstream() as stranger:
        for status in (301, 302, 303, 307, 308):
            up.reply = faults.redirect(stranger.base_url + "/chat/completions", status)
            error = raised(once(config(up.base_url)), "UnexpectedRedirect", retryable=False)
            assert error.status_code == status
        assert (stranger.requests, stranger.connections_total) == ([], 0)
    assert len(up.requests) == 5


# ===== sizes =====


def peak() -> int:
    """The most memory this process has held since `forget_peak`, in bytes."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) << 10


def forget_peak() -> int:
    """Starts the peak anew; returns what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


@on_linux
@pytest.mark.parametrize(("name", "most"), [("F61", 96 << 20), ("F62", 64 << 20)])
def test_f61_f62_a_body_over_its_bound_is_refused_before_it_fills_the_memory(
    up: Upstream, name: str, most: int
) -> None:
    step = faults.CATALOGUE[name]()
    up.script = [step, step]
    with client(config(up.base_url)) as made:
        before = forget_peak()
        raised(call(made), "ResponseTooLarge", retryable=False)
        assert peak() - before < most


# ===== contents =====


def test_f59_f69_f71_odd_documents_are_read_as_they_stand(up: Upstream) -> None:
    up.script = [faults.duplicate_keys(), faults.lone_surrogate(), faults.content_null()]
    with client(config(up.base_url)) as made:
        assert call(made).text == faults.TEXT
        odd = made.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        assert odd.choices[0].message.content.startswith("half ")
        assert (
            "\\ud800" in json.dumps(odd.choices[0].message.content)
            or "\ufffd" in odd.choices[0].message.content
        )
        assert call(made).text is None


def test_f65_a_page_instead_of_an_answer_is_shown_shortened_and_without_keys(up: Upstream) -> None:
    page = b"<html>sk-proj-0123456789abcdefghijklmnop " + b"y" * 9000
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n" % len(page)
    up.reply = raw(head + page, close=False)
    said = str(raised(once(config(up.base_url, retry={"max_retries": 0})), "MalformedResponse"))
    assert "<html>" in said
    assert "0123456789abcdef" not in said
    assert len(said) < 400


def test_f85_interleaved_calls_and_split_characters_come_together(up: Upstream) -> None:
    up.reply = faults.interleaved()
    outcome = once(config(up.base_url), stream=True)
    assert outcome.text == faults.SPLIT_TEXT
    calls: dict[int, list[str]] = {}
    for chunk in outcome.chunks:
        for part in chunk.choices[0].delta.tool_calls or []:
            names = calls.setdefault(part.index, ["", ""])
            names[0] += part.function.name or ""
            names[1] += part.function.arguments or ""
    assert calls == {0: ["first", '{"a":1}'], 1: ["second", '{"b":2}']}


def test_f88_f89_f90_usage_is_the_last_one_or_an_estimate_that_says_so(up: Upstream) -> None:
    names = ["F88", "F89", "F89/null", "F90", "F90/huge", "F90/fraction", "F90/text"]
    up.script = [faults.CATALOGUE[name]() for name in names]
    with client(config(up.base_url)) as made:
        usages = [call(made, stream=True).receipt.usage for _ in names]
        stats = made.stats()
    assert (usages[0].input, usages[0].output, usages[0].estimated) == (3, 5, False)
    assert all(usage.estimated and usage.output > 0 and usage.input > 0 for usage in usages[1:])
    assert [usage.invalid for usage in usages] == [False, False, False, True, True, True, True]
    assert (stats["settled"], stats["usage_invalid"]) == (7, 4)
