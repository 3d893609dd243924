"""Faults between a call and its upstream: descriptors, ports, proxies, handshakes, files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fairlead
import pytest
import trustme
from fairlead.testing import Upstream, fail, faults, ok
from fault_table import config
from faulty import Outcome, acall, async_client, call, client, once
from patience import until

resource = pytest.importorskip("resource")

WELL = "well"
FORMS = [pytest.param(False, id="whole"), pytest.param(True, id="stream")]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def raised(outcome: Outcome, name: str, *, retryable: bool) -> Any:
    """The error, which is exactly of the class `name`."""
    assert type(outcome.error).__name__ == name, repr(outcome.error)
    assert outcome.error.is_retryable is retryable
    return outcome.error


def settled(made: Any) -> tuple[int, int]:
    """Attempts that were settled, and the tokens they used."""
    stats = made.stats()
    return stats["settled"], stats["input_tokens"] + stats["output_tokens"]


# ===== descriptors and ports =====


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Opening anything fails with EMFILE."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, before[1]))
    held: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for number in held:
            os.close(number)


@on_linux
@pytest.mark.parametrize("stream", FORMS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("http2", [False, True])
def test_f22_without_a_descriptor_a_call_fails_at_once_and_the_next_one_succeeds(
    up: Upstream, stream: bool, host: str, http2: bool
) -> None:
    up.at("well").reply = ok(WELL)
    both = config(f"http://{host}:{up.port}/v1", up.url("well"))
    both["models"]["m"]["deployments"][0]["http2"] = http2
    up.reply = ok("hi")
    with Upstream() as other, client(config(other.base_url)) as warm, client(both) as made:
        assert call(warm).text
        with no_descriptor_left():
            outcome = call(made, stream=stream)
            assert call(warm).text, "an open connection serves on"
        error = raised(outcome, "LocalResourceError", retryable=True)
        assert "descriptor" in str(error)
        assert [(attempt.error, attempt.counted) for attempt in error.attempts] == [
            ("LocalResourceError", False)
        ]
        assert settled(made) == (1, 0)
        assert up.requests == []
        if not http2:
            assert call(made, stream=stream).text == "hi"


@on_linux
def test_f22_a_loop_that_gets_no_descriptor_says_so_and_recovers(up: Upstream) -> None:
    async def run() -> None:
        async with async_client(config(up.base_url)) as made:
            with no_descriptor_left(), pytest.raises(fairlead.LocalResourceError):
                await made.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
            assert (await acall(made)).text == "hi"

    up.reply = ok("hi")
    asyncio.run(run())


def can_have_a_network() -> bool:
    """Only root may have a network namespace."""
    if sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0


def test_f23_without_a_port_to_connect_from_the_error_is_local_and_retried() -> None:
    if not can_have_a_network():
        pytest.skip("ports of our own need root and a network namespace")
    script = Path(__file__).with_name("ports_apart.py")
    command = ["unshare", "-n", sys.executable, "-W", "error", str(script)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert finished.returncode == 0, finished.stderr


# ===== proxies =====


def behind(proxy: Upstream, base_url: str, *others: str) -> dict[str, Any]:
    """The first deployment goes through `proxy`."""
    made = config(base_url, *others)
    made["models"]["m"]["deployments"][0]["proxy"] = proxy.base_url.removesuffix("/v1")
    return made


@contextlib.contextmanager
def tunnels(status: bytes) -> Iterator[tuple[str, list[int]]]:
    """A proxy that answers every request for a tunnel with `status`, and how many there were."""
    asked: list[int] = []

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                asked.append(1)
                accepted.recv(65536)
                accepted.sendall(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("stream", FORMS)
def test_f24_a_proxy_that_wants_credentials_is_an_error_of_its_own(up: Upstream, stream: bool) -> None:
    up.reply = fail(407, headers={"proxy-authenticate": "Basic"})
    up.at("well").reply = ok(WELL)
    with client(behind(up, "http://behind.invalid/v1", up.url("well"))) as made:
        error = raised(call(made, stream=stream), "ProxyError", retryable=False)
        assert (len(error.attempts), len(up.requests), settled(made)) == (1, 1, (1, 0))
        assert not error.attempts[0].counted


def test_f24_a_proxy_that_wants_credentials_for_a_tunnel_is_the_same() -> None:
    with tunnels(b"407 Proxy Authentication Required") as (proxy, asked):
        made = config("https://behind.invalid/v1")
        made["models"]["m"]["deployments"][0]["proxy"] = proxy
        error = raised(once(made), "ProxyError", retryable=False)
    assert (len(error.attempts), len(asked)) == (1, 1)


def test_f24_a_proxy_that_gets_no_tunnel_is_tried_again(up: Upstream) -> None:
    with tunnels(b"502 Bad Gateway") as (proxy, asked):
        made = config("https://behind.invalid/v1")
        made["models"]["m"]["deployments"][0]["proxy"] = proxy
        error = raised(once(made), "ConnectError", retryable=True)
        assert (len(error.attempts), len(asked)) == (3, 3)
        up.reply = ok(WELL)
        both = config("https://behind.invalid/v1", up.base_url)
        both["models"]["m"]["deployments"][0]["proxy"] = proxy
        with client(both) as made:
            assert call(made).text == WELL


def test_f24_a_proxy_that_answers_for_the_upstream_is_as_the_upstream(up: Upstream) -> None:
    up.reply = fail(502)
    up.at("well").reply = ok(WELL)
    with client(behind(up, "http://behind.invalid/v1")) as made:
        error = raised(call(made), "InternalServerError", retryable=True)
        assert (len(error.attempts), settled(made)) == (3, (3, 0))
    assert once(behind(up, "http://behind.invalid/v1", up.url("well"))).text == WELL


def test_f19_an_upload_through_a_proxy_has_the_same_limit() -> None:
    with Upstream(receive_buffer=4096) as up:
        up.reply = faults.never_reads()
        made = behind(up, "http://behind.invalid/v1")
        made["timeouts"]["write"] = 0.3
        large = [{"role": "user", "content": "x" * (8 << 20)}]
        with client(made) as held:
            error = raised(call(held, messages=large), "WriteTimeout", retryable=True)
            assert (len(error.attempts), settled(held)) == (3, (3, 0))


# ===== handshakes =====


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA, folder: Path, base_url: str, *others: str) -> dict[str, Any]:
    path = folder / "bundle.pem"
    authority.cert_pem.write_to_path(str(path))
    made = config(base_url, *others)
    made["models"]["m"]["deployments"][0]["ca"] = str(path)
    return made


@contextlib.contextmanager
def handshakes(answer: bytes, *, reset: bool = False) -> Iterator[tuple[str, list[int]]]:
    """A TLS address that reads the first words of each handshake, says `answer` and leaves."""
    met: list[int] = []

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                met.append(1)
                accepted.recv(65536)
                accepted.sendall(answer)
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                else:
                    accepted.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1", met
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


PROTOCOL_VERSION = bytes([21, 3, 1, 0, 2, 2, 70])
"""The alert of a server that has nothing newer than TLS 1.0 (RFC 5246, section 7.2.2)."""

OLD_HELLO = bytes([22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1, *[7] * 32, 0, 0, 47, 0])
"""The hello of a server that speaks TLS 1.0 whatever it was offered (RFC 2246, section 7.4.1.3)."""


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("answer", [PROTOCOL_VERSION, OLD_HELLO], ids=["alert", "hello"])
def test_f29_a_server_of_tls_1_0_is_told_by_its_version(up: Upstream, answer: bytes, http2: bool) -> None:
    with handshakes(answer) as (base_url, met):
        old = config(base_url)
        old["models"]["m"]["deployments"][0]["http2"] = http2
        with client(old) as made:
            error = raised(call(made), "TLSError", retryable=True)
            assert "version" in str(error)
            assert (len(error.attempts), len(met), settled(made)) == (1, 1, (1, 0))
        up.reply = ok(WELL)
        outcome = once(config(base_url, up.base_url))
    assert outcome.text == WELL
    assert [attempt.counted for attempt in outcome.receipt.attempts] == [False, True]


@pytest.mark.parametrize("http2", [False, True])
def test_f31_a_reset_inside_the_handshake_is_no_connection(up: Upstream, http2: bool) -> None:
    with handshakes(b"", reset=True) as (base_url, met):
        broken = config(base_url)
        broken["models"]["m"]["deployments"][0]["http2"] = http2
        with client(broken) as made:
            error = raised(call(made), "ConnectError", retryable=True)
            assert (len(error.attempts), len(met), settled(made)) == (3, 3, (3, 0))
        up.reply = ok(WELL)
        assert once(config(base_url, up.base_url)).text == WELL


def test_f32_a_certificate_that_is_changed_fails_no_call(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = serving(authority.issue_cert("127.0.0.1"))
    with Upstream(tls=context) as up:
        up.reply = ok(WELL).after(0.2)
        with client(trusting(authority, tmp_path, up.base_url)) as made:
            assert call(made).text == WELL
            authority.issue_cert("127.0.0.1").configure_cert(context)
            texts: list[str | None] = []
            threads = [threading.Thread(target=lambda: texts.append(call(made).text)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert texts == [WELL] * 4
        assert up.connections_total > 1, "old and new certificate both served"
        assert len(up.requests) == 5


# ===== the configuration's file =====


@pytest.fixture
def path(up: Upstream, tmp_path: Path) -> Path:
    path = tmp_path / "fairlead.toml"
    path.write_text(text(up, "one"), encoding="utf-8")
    path.chmod(0o600)
    return path


def text(up: Upstream, model: str, key: str = "sk-test-inline", more: str = "") -> str:
    return (
        f"{more}\n[[models.m.deployments]]\nprovider = 'openai'\nmodel = '{model}'\n"
        f"base_url = '{up.base_url}'\napi_key = '{key}'\n"
    )


@pytest.mark.parametrize("fault", ["half-written", "invalid", "deleted", "a folder"])
def test_f116_a_configuration_that_breaks_leaves_the_last_good_one(
    up: Upstream, path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = path.read_text(encoding="utf-8")
    with caplog.at_level(logging.INFO, "fairlead"), fairlead.Client(path, watch=0.02) as made:
        assert call(made).text
        if fault == "half-written":
            path.write_text(whole[: len(whole) // 2] + "'", encoding="utf-8")
        elif fault == "invalid":
            path.write_text(whole.replace("provider", "provieder"), encoding="utf-8")
        else:
            path.unlink()
        if fault == "a folder":
            path.mkdir()
        until(lambda: made.stats()["config"]["problem"])
        outcome = call(made)
        assert outcome.receipt.deployment == "openai/one"
        assert made.stats()["config"]["version"] == 1
        if fault == "a folder":
            path.rmdir()
        path.write_text(text(up, "two"), encoding="utf-8")
        until(lambda: made.stats()["config"]["version"] == 2)
        assert made.stats()["config"]["problem"] is None
        assert call(made).receipt.deployment == "openai/two"
        told = "the last good configuration stays"
        until(lambda: any(record.message.startswith(told) for record in caplog.records))
    assert "sk-test-inline" not in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
@pytest.mark.parametrize("mode", [0o666, 0o644, 0o640, 0o602])
def test_f117_a_key_in_a_file_that_others_may_read_or_change_is_a_warning(
    path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    path.chmod(mode)
    with caplog.at_level(logging.WARNING, "fairlead"), fairlead.Client(path) as made:
        assert made.stats()["config"]["warnings"] == 1
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert f"{path}:6:" in record.message
    assert "models.m.deployments[0].api_key" in record.message
    assert f"(mode {mode:04o})" in record.message
    assert "sk-test-inline" not in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_f117_the_same_is_an_error_where_warnings_are(up: Upstream, path: Path) -> None:
    path.write_text(text(up, "one", more="strict = true"), encoding="utf-8")
    path.chmod(0o666)
    with pytest.raises(fairlead.ConfigError, match="others may read or change") as caught:
        fairlead.Client(path)
    assert "sk-test-inline" not in str(caught.value)
    path.chmod(0o600)
    with fairlead.Client(path) as made:
        assert made.stats()["config"]["warnings"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_f117_a_file_that_only_refers_to_keys_may_be_open(
    up: Upstream, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-test-inline")
    path.write_text(text(up, "one", key="${SOME_KEY}", more="strict = true"), encoding="utf-8")
    path.chmod(0o666)
    with fairlead.Client(path) as made:
        assert made.stats()["config"]["warnings"] == 0
        assert call(made).text
