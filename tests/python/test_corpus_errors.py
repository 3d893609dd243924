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
    "auth": ("AuthenticationError",),
    "permission": ("PermissionDeniedError",),
    "not_found": ("NotFoundError",),
    "bad_request": ("BadRequestError", "UnprocessableEntityError", "APIStatusError"),
    "context_length": ("ContextLengthExceeded",),
    "content_filter": ("ContentFiltered",),
    "rate_limit": ("RateLimitError",),
    "quota": ("QuotaExceeded",),
    "overloaded": ("OverloadedError",),
    "server": ("InternalServerError", "ConflictError"),
    "timeout": ("InternalServerError",),
}
"""The names in `fairlead.errors` for each class of the corpus; a gateway's timeout is a server's failure."""

WITHOUT_WORDS = {
    "err-deepseek-200-empty-lines": "MalformedResponse",
    "err-deepseek-200-keepalive-stream": "StreamTruncated",
}
"""Answers with nothing in them: the corpus judges by what it knows of the host, a caller hears what came."""

REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "x-debug-trace-id")

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
    return {
        "models": {"m": {"deployments": deployments}},
        "retry": {"base": 0.001, "throttled_base": 0.001, **retry},
    }


def ask(made: fairlead.Client, item: Item, *, stream: bool, split: str = "whole") -> str:
    """What the answer says; raises what goes wrong on the way."""
    extra = {ITEM: item.id, SPLIT: split}
    if item.api == "openai.embeddings":
        return str(made.embeddings.create(model="m", input="hi", extra_headers=extra).data[0].embedding)
    answer = made.chat.completions.create(model="m", messages=MESSAGES, stream=stream, extra_headers=extra)
    return said(list(answer)) if stream else answer.choices[0].message.content or ""


def refused(item: Item, up: Upstream, *, stream: bool, split: str = "whole") -> Any:
    """The error of a call that is tried once."""
    with client(config(item, up.url("sick"), max_retries=0)) as made:
        with pytest.raises(fairlead.FairleadError) as raised:
            ask(made, item, stream=stream, split=split)
        assert len(up.at("sick").requests) == 1
    return raised.value


# ===== what an error must say =====


def allowed(item: Item) -> list[str]:
    """The classes it may have: that of the corpus, or where it calls itself arguable another one."""
    if item.id in WITHOUT_WORDS:
        return [WITHOUT_WORDS[item.id]]
    return [name for known in (item.expect["class"], *item.expect["also_ok"]) for name in CLASSES[known]]


def document(item: Item) -> Any:
    """The body as JSON, an array around it taken off; text where it is none."""
    try:
        read = json.loads(item.body)
    except ValueError:
        return item.body.decode() or None
    return read[0] if isinstance(read, list) else read


def inner(item: Item) -> Any:
    """The error object."""
    read = document(item)
    return read.get("error", read) if isinstance(read, dict) else read


def cause(item: Item) -> Any:
    """The error object of the upstream's upstream."""
    metadata = inner(item).get("metadata") or {} if isinstance(inner(item), dict) else {}
    try:
        return json.loads(metadata.get("raw") or "null")["error"]
    except (ValueError, TypeError, KeyError):
        return None


def member(item: Item, *names: str) -> str | None:
    """A member of the error object, else of what is around or inside it; an empty one says nothing."""
    for place in (inner(item), document(item), cause(item)):
        for name in names:
            if isinstance(place, dict) and place.get(name) not in (None, ""):
                return str(place[name])
    return None


def request_id(item: Item) -> str | None:
    """Where providers write it: in a header, else in the body."""
    sent = (item.headers[name] for name in REQUEST_IDS if name in item.headers)
    return next(sent, None) or member(item, "request_id")


def check(item: Item, error: Any) -> None:
    assert type(error).__name__ in allowed(item), repr(error)
    assert error.status_code == item.status
    assert error.body == inner(item)
    assert error.code == member(item, "code")
    assert error.type == member(item, "type", "error_type")
    assert error.param == member(item, "param")
    assert error.request_id == request_id(item)
    assert error.response.status_code == item.status
    assert error.response.content == item.body
    assert [attempt.status_code for attempt in error.attempts] == [item.status]
    assert "sk-test" not in repr(vars(error)) + str(error)
    if "retry_after_s" in item.expect:
        assert error.retry_after == pytest.approx(item.expect["retry_after_s"])


@pytest.mark.parametrize("item", named([item for item in BEFORE_CONTENT if item.status >= 400]))
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_raises_its_class_and_says_what_it_said(up: Upstream, item: Item, stream: bool) -> None:
    check(item, refused(item, up, stream=stream))


@pytest.mark.parametrize("item", named(ELSEWHERE))
def test_an_error_of_another_dialect_is_understood_all_the_same(up: Upstream, item: Item) -> None:
    check(item, refused(item, up, stream=False))


# ===== after HTTP 200 =====


def payloads(item: Item) -> list[Any]:
    """The events of a stream, or the one document."""
    if not item.streaming:
        return [document(item)]
    lines = [line for line in item.body.splitlines() if line.startswith(b"data:")]
    return [json.loads(line[5:]) for line in lines if line[5:].strip() != b"[DONE]"]


def text_before(item: Item) -> str:
    """What the events said before the error."""
    events = [event for event in payloads(item) if "error" not in event]
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("item", named([item for item in BEFORE_CONTENT if item.status < 400]))
def test_an_answer_without_content_raises_at_the_call(up: Upstream, item: Item) -> None:
    error = refused(item, up, stream=item.streaming)
    assert type(error).__name__ in allowed(item), repr(error)
    assert error.retry_denied == "attempts"
    if item.id not in WITHOUT_WORDS:
        assert error.body == inner(item)


@pytest.mark.parametrize("item", named(MID_STREAM))
@pytest.mark.parametrize("split", ["event", "byte"])
def test_an_error_after_content_interrupts_the_stream(up: Upstream, item: Item, split: str) -> None:
    error = refused(item, up, stream=True, split=split)
    assert type(error).__name__ == "StreamInterrupted", repr(error)
    told = next(event["error"] for event in payloads(item) if event.get("error"))
    assert error.body == told
    assert error.code == str(told["code"])
    assert told["message"] in str(error)
    assert error.partial == text_before(item)
    assert error.retry_denied == "commit"


@pytest.mark.parametrize("item", named(MID_STREAM))
def test_an_error_after_content_is_not_retried_elsewhere(up: Upstream, item: Item) -> None:
    with client(config(item, up.url("sick"), up.url("well"))) as made:
        with pytest.raises(fairlead.StreamInterrupted):
            ask(made, item, stream=True, split="byte")
        assert up.at("well").requests == []


# ===== beside a healthy deployment =====

MOVE_ON = ("other_deployment", "retry_same")


def may_move_on(item: Item) -> bool:
    """Is the healthy deployment asked? Where the corpus calls itself arguable, the class decides."""
    return item.expect["action"] in MOVE_ON


@pytest.mark.parametrize("item", named(BEFORE_CONTENT + ELSEWHERE))
def test_a_healthy_deployment_is_asked_where_that_helps(up: Upstream, item: Item) -> None:
    if item.api == "openai.embeddings":
        up.at("well").reply = None
    with client(config(item, up.url("sick"), up.url("well"))) as made:
        if may_move_on(item):
            assert ask(made, item, stream=item.streaming)
        else:
            with pytest.raises(fairlead.FairleadError) as raised:
                ask(made, item, stream=item.streaming)
            assert type(raised.value).__name__ in allowed(item)
    assert len(up.at("sick").requests) == 1
    assert len(up.at("well").requests) == may_move_on(item)
