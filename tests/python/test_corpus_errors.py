"""Recorded and documented errors, replayed over real sockets: each raises its class and says what it said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import fairlead
import pytest
from corpus import ITEM, SPLIT, Item, Service, errors, needs_corpus
from fairlead.testing import Upstream, ok
from faulty import MESSAGES, client, said

pytestmark = needs_corpus

OURS = ("openai.chat", "openai.embeddings")
"""The APIs that are spoken natively."""

CLASSES = {
    "auth": fairlead.AuthenticationError,
    "permission": fairlead.PermissionDeniedError,
    "not_found": fairlead.NotFoundError,
    "bad_request": fairlead.BadRequestError,
    "context_length": fairlead.ContextLengthExceeded,
    "content_filter": fairlead.ContentFiltered,
    "rate_limit": fairlead.RateLimitError,
    "quota": fairlead.QuotaExceeded,
    "overloaded": fairlead.OverloadedError,
    "server": fairlead.InternalServerError,
    "timeout": fairlead.InternalServerError,
}
"""The class of `fairlead.errors` for each class of the corpus; a gateway's timeout is a server's failure."""

WITHOUT_WORDS = {
    "err-deepseek-200-empty-lines": fairlead.MalformedResponse,
    "err-deepseek-200-keepalive-stream": fairlead.StreamTruncated,
}
"""Answers with nothing in them: the corpus judges by what it knows of the host, a caller sees what came."""

ENTRIES = [item for item in errors() if item.api in OURS]
MID_STREAM = [item for item in ENTRIES if item.expect.get("phase") == "mid_stream"]
BEFORE_CONTENT = [item for item in ENTRIES if item not in MID_STREAM]
ELSEWHERE = [item for item in errors() if item.api not in OURS and item.status >= 400]


def named(entries: list[Item]) -> list[Any]:
    return [pytest.param(item, id=item.id) for item in entries]


@pytest.fixture
def up() -> Iterator[Upstream]:
    with Upstream() as upstream:
        upstream.at("sick").reply = Service(errors())
        upstream.at("well").reply = ok("well")
        yield upstream
        assert upstream.errors == []


def config(item: Item, *places: str, **retry: float) -> dict[str, Any]:
    deployments = [item.deployment(place) for place in places]
    return {"models": {"m": {"deployments": deployments}}, "retry": {"base": 0.001, "throttled_base": 0.001, **retry}}
