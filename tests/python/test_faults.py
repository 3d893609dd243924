"""The fault matrix: each row of the table, whole and streamed, alone and beside a healthy deployment."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import fairlead
import pytest
import trustme
from fairlead.testing import Upstream, faults, ok
from fault_table import APART, FRAMING, ROWS, TRANSPORT, Row
from faulty import Outcome, acall, async_client, once

CASES = [
    pytest.param(row, form, id=f"{row.fault}-{'stream' if form else 'whole'}")
    for row in ROWS
    for form in row.forms
]
FAILURES = [case for case in CASES if case.values[0].raises]
PROXIED = [row for row in (*TRANSPORT, *FRAMING) if row.over_proxy]
WELL = "well"


def check_failure(row: Row, outcome: Outcome) -> None:
    error = outcome.error
    assert type(error).__name__ == row.raises, repr(error)
    assert isinstance(error, fairlead.FairleadError)
    assert row.says in str(error)
    assert "sk-test" not in str(error)
    if row.retryable is not None:
        assert error.is_retryable is row.retryable
    if outcome.text is not None:
        assert outcome.text.strip() == row.text
        assert error.partial == outcome.text


def check_success(row: Row, outcome: Outcome) -> None:
    assert outcome.error is None, repr(outcome.error)
    if row.text is not None:
        assert outcome.text == row.text
    if row.warns is not None:
        assert row.warns in outcome.receipt.warnings


def check_alone(row: Row, outcome: Outcome, up: Upstream) -> None:
    if row.raises is None:
        check_success(row, outcome)
    else:
        check_failure(row, outcome)
        assert len(outcome.error.attempts) == len(up.requests)
    assert len(up.requests) == row.requests


@pytest.mark.parametrize(("row", "stream"), CASES)
def test_a_lone_deployment_ends_in_the_stated_class(up: Upstream, row: Row, stream: bool) -> None:
    up.reply = row.make()
    check_alone(row, once(row.config(up.base_url), stream=stream), up)


@pytest.mark.parametrize(("row", "stream"), CASES)
def test_the_asynchronous_client_ends_alike(up: Upstream, row: Row, stream: bool) -> None:
    async def run() -> Outcome:
        async with async_client(row.config(up.base_url)) as made:
            return await acall(made, stream=stream)

    up.reply = row.make()
    check_alone(row, asyncio.run(run()), up)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Upstream]:
    """An upstream behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Upstream(tls=context) as up:
        yield up


@pytest.mark.parametrize(("row", "stream"), [case for case in CASES if case.values[0].over_tls])
def test_tls_changes_nothing(
    secure: Upstream, authority: trustme.CA, tmp_path: Path, row: Row, stream: bool
) -> None:
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    secure.reply = row.make()
    trusting = row.config(secure.base_url)
    trusting["models"]["m"]["deployments"][0]["ca"] = str(bundle)
    check_alone(row, once(trusting, stream=stream), secure)


@pytest.mark.parametrize(("row", "stream"), [case for case in CASES if case.values[0] in PROXIED])
def test_a_proxy_changes_nothing(up: Upstream, row: Row, stream: bool) -> None:
    up.reply = row.make()
    proxied = row.config("http://behind.invalid/v1")
    proxied["models"]["m"]["deployments"][0]["proxy"] = up.base_url.removesuffix("/v1")
    check_alone(row, once(proxied, stream=stream), up)


@pytest.mark.parametrize(("row", "stream"), FAILURES)
def test_a_healthy_deployment_saves_every_call_that_may_be_saved(
    up: Upstream, row: Row, stream: bool
) -> None:
    up.at("sick").reply = row.make()
    up.at("well").reply = ok(WELL)
    outcome = once(row.config(up.url("sick"), up.url("well")), stream=stream)
    assert len(up.at("sick").requests) == 1
    if row.fails_over:
        assert outcome.error is None, repr(outcome.error)
        assert outcome.text == WELL
        assert [attempt.error is None for attempt in outcome.receipt.attempts] == [False, True]
    else:
        check_failure(row, outcome)
        assert up.at("well").requests == []


def test_every_fault_of_the_catalogue_is_tested() -> None:
    assert set(faults.CATALOGUE) - {row.fault for row in ROWS} == APART
