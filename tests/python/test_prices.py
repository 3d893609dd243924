"""What a call cost, as the receipt and the totals tell it; names that lead nowhere."""

from __future__ import annotations

import json

import fairlead
import openai
import pytest
from fairlead.testing import Upstream, fail, ok, stream
from fairlead.types import Receipt

MESSAGES = [{"role": "user", "content": "one two three"}]


def client(up: Upstream, **price: float) -> fairlead.Client:
    """A client with one model of a known provider at the local upstream."""
    deployment = {"provider": "openai", "model": "gpt-4o-mini", "base_url": up.base_url, "api_key": "k"}
    return fairlead.Client({"models": {"m": {"deployments": [{**deployment, "price": price or None}]}}})


def test_a_receipt_tells_the_cost_and_the_totals_add_it_up(up: Upstream) -> None:
    up.script = [ok("four five"), ok("four five")]
    with client(up) as known:
        receipts = [known.chat.completions.create(model="m", messages=MESSAGES).fairlead for _ in range(2)]
        # Three tokens at $0.15 and two at $0.60 a million.
        assert [(receipt.cost_usd, receipt.cost_estimated) for receipt in receipts] == [(1.65e-06, False)] * 2
        stats = known.stats()
    assert (stats["cost_nanos"], stats["unpriced"]) == (3300, 0)


def test_a_stream_tells_its_cost_at_its_end(up: Upstream) -> None:
    up.script = [stream(["four", " five"])]
    with (
        client(up) as known,
        known.chat.completions.create(model="m", messages=MESSAGES, stream=True) as chunks,
    ):
        assert list(chunks)
        assert chunks.fairlead.cost_usd == pytest.approx(1.65e-06)


def test_a_configured_price_is_exact(up: Upstream) -> None:
    up.script = [ok("four five")]
    with client(up, input=0.1, output=0.2, per_request=0.01) as own:
        receipt = own.chat.completions.create(model="m", messages=MESSAGES).fairlead
    assert receipt.cost_usd == 0.0100007


def test_an_unknown_price_is_none_and_counted(up: Upstream) -> None:
    with fairlead.Client(api_key="k", base_url=up.base_url) as unknown:
        receipt = unknown.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES).fairlead
        assert receipt.cost_usd is None
        assert (unknown.stats()["cost_nanos"], unknown.stats()["unpriced"]) == (0, 1)
        unknown.models.list()
        assert unknown.stats()["unpriced"] == 1, "a list of models is no answer"


def test_the_receipt_has_what_the_engine_tells(up: Upstream) -> None:
    with client(up) as known:
        reply = known.chat.completions.create(model="m", messages=MESSAGES)
    told = json.loads(reply.fairlead.to_json())
    assert set(told) == set(Receipt.__annotations__)
    assert set(told["usage"]) == set(fairlead.types.ReceiptUsage.__annotations__)
    assert told["usage"]["service"] == "standard"


def test_a_name_that_leads_nowhere_is_told_with_the_nearest(up: Upstream) -> None:
    with (
        client(up) as known,
        pytest.raises(fairlead.ModelNotFound, match="did you mean `openai/gpt-4o-mini`") as caught,
    ):
        known.chat.completions.create(model="gpt-4o-mni", messages=MESSAGES)
    assert isinstance(caught.value, fairlead.NotFoundError)
    assert isinstance(caught.value, openai.NotFoundError)
    assert caught.value.attempts == ()
    assert up.requests == []


def test_what_the_provider_refuses_is_not_that(up: Upstream) -> None:
    up.script = [fail(404)] * 3
    with client(up) as known, pytest.raises(fairlead.NotFoundError) as caught:
        known.chat.completions.create(model="m", messages=MESSAGES)
    assert not isinstance(caught.value, fairlead.ModelNotFound)
