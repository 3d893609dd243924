"""Failures through the SDK: its own classes, the engine's story, no second round of retries."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import fairlead
import openai
import pytest
from fairlead import errors
from fairlead.openai import AsyncOpenAI, OpenAI, failure, receipt
from fairlead.testing import Upstream, fail, faults, hang, ok, raw, stream
from fault_table import ROWS, Row, config
from openai_twin import MESSAGES, Twin, text_of

CASES = [
    pytest.param(row, form, id=f"{row.fault}-{'stream' if form else 'whole'}")
    for row in ROWS
    for form in row.forms
]


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


def expected(kind: type[fairlead.FairleadError]) -> type[openai.APIError]:
    """The SDK's class for one of fairlead's: that of the same name, nearest first."""
    if issubclass(kind, errors.APIResponseValidationError | errors.UnexpectedRedirect):
        return openai.InternalServerError  # what a gateway says of an upstream that gives no answer
    names = [parent.__name__ for parent in kind.__mro__]
    found: type[openai.APIError] = next(
        getattr(openai, name) for name in names if hasattr(openai, name) and name != "ConnectError"
    )
    return found


@pytest.mark.parametrize(("row", "streamed"), CASES)
def test_every_fault_ends_in_the_sdks_class(up: Upstream, row: Row, streamed: bool) -> None:
    up.reply = row.make()
    client = OpenAI(row.config(up.base_url))
    text: list[str] = []

    def ask() -> None:
        reply: Any = client.chat.completions.create(model="m", messages=MESSAGES, stream=streamed)
        if not streamed:
            text.append(reply.choices[0].message.content or "")
            return
        for chunk in reply:
            text.append(text_of([chunk]))

    if row.raises is None:
        ask()
        assert row.text is None or "".join(text) == row.text
    else:
        with pytest.raises(openai.APIError) as caught:
            ask()
        told = failure(caught.value)
        kind = getattr(errors, row.raises)
        assert type(told).__name__ == row.raises
        assert row.says in str(told)
        if text:
            assert type(caught.value) is openai.APIError
            assert told is not None
            assert told.partial.startswith("".join(text))
        else:
            assert type(caught.value) is expected(kind)
            assert len(told.attempts) == len(up.requests)
    assert len(up.requests) == row.requests
    client.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_statuses_bring_the_providers_words(
    up: Upstream, twin: Twin, status: int, kind: type[openai.APIStatusError]
) -> None:
    up.reply = fail(status, "because", headers={"x-request-id": "r9", "x-own": "1"})
    client = twin.client(up, max_retries=0)
    with pytest.raises(kind) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    error = caught.value
    assert error.status_code == status
    assert error.request_id == "r9"
    assert error.response.headers["x-should-retry"] == "false"
    assert error.response.headers["x-fairlead-deployment"] == "openai/m"
    assert error.body == {**error.body, "message": "because"}
    assert len(up.requests) == 1


def test_retries_are_the_engines_and_are_not_multiplied(up: Upstream, twin: Twin) -> None:
    up.reply = fail(500)
    client = twin.make(config(up.base_url))
    with pytest.raises(openai.InternalServerError) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert caught.value.response.headers["x-fairlead-attempts"] == "3"
    assert len(up.requests) == 3
    fewer = client.with_options(max_retries=0)
    with pytest.raises(openai.InternalServerError):
        twin.do(lambda: fewer.chat.completions.create(model="m", messages=MESSAGES))
    assert len(up.requests) == 4


def test_a_second_deployment_saves_the_call(up: Upstream, twin: Twin) -> None:
    up.at("sick").reply = fail(500)
    up.at("well").reply = ok("well")
    client = twin.make(config(up.url("sick"), up.url("well")))
    answer = twin.do(lambda: client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES))
    assert answer.parse().choices[0].message.content == "well"
    assert answer.headers["x-fairlead-deployment"] == "openai/up-1"
    assert [line.error for line in receipt(answer).attempts] == ["InternalServerError", None]


def test_a_wait_is_told_in_both_headers(up: Upstream, twin: Twin) -> None:
    up.reply = fail(429, retry_after=100)
    client = twin.client(up)
    with pytest.raises(openai.RateLimitError) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert caught.value.response.headers["retry-after"] == "100"
    assert caught.value.response.headers["retry-after-ms"] == "100000"
    assert failure(caught.value).retry_after == 100


def test_limits_of_our_own_look_like_a_providers(up: Upstream, twin: Twin) -> None:
    limited = {**config(up.base_url), "limits": {"global": {"requests_per_minute": 1}}}
    limited["stages"] = {}
    limited["queue"] = {"wait": 0}
    client = twin.make(limited)

    def ask() -> Any:
        return client.chat.completions.create(model="m", messages=MESSAGES)

    twin.do(ask)
    with pytest.raises(openai.RateLimitError) as caught:
        twin.do(ask)
    told = failure(caught.value)
    assert isinstance(told, errors.RateLimitError)
    assert caught.value.type == "rate_limit_error"
    assert told.message in caught.value.message
    assert float(caught.value.response.headers["retry-after-ms"]) > 1000
    assert len(up.requests) == 1


def test_a_budget_that_is_spent_is_a_quota(up: Upstream) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    with fairlead.scope(budget=0), pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert caught.value.code == "insufficient_quota"
    assert isinstance(failure(caught.value), errors.BudgetExceeded)
    assert up.requests == []


def test_an_open_breaker_is_a_503(up: Upstream) -> None:
    up.reply = fail(500)
    sensitive = {**config(up.base_url), "breaker": {"consecutive": 1}}
    sensitive["retry"] = {"max_retries": 0}
    client = OpenAI(sensitive)
    seen = []
    for _ in range(3):
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="m", messages=MESSAGES)
        seen.append(caught.value)
    assert seen[-1].status_code == 503
    assert isinstance(failure(seen[-1]), errors.NoHealthyDeployment)
    assert seen[-1].code == "no_healthy_deployment"
    assert len(up.requests) < 3


@pytest.mark.parametrize("seconds", [0.2, openai.Timeout(0.2, connect=5)])
def test_a_timeout_is_the_sdks(up: Upstream, twin: Twin, seconds: Any) -> None:
    up.reply = hang()
    client = twin.client(up, max_retries=0)
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES, timeout=seconds))
    assert time.monotonic() - began < 5
    assert isinstance(failure(caught.value), errors.AttemptTimeout)
    assert up.wait_disconnected()


def test_a_deadline_of_a_scope_is_a_timeout(up: Upstream, twin: Twin) -> None:
    up.reply = hang()
    client = twin.client(up)
    with fairlead.scope(deadline=0.2), pytest.raises(openai.APITimeoutError) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert isinstance(failure(caught.value), errors.DeadlineExceeded)


def test_nobody_listening_is_a_connection_error(twin: Twin) -> None:
    with Upstream() as gone:
        address = gone.base_url
    client = twin.make(api_key="test", base_url=address, max_retries=0)
    with pytest.raises(openai.APIConnectionError) as caught:
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert type(caught.value) is openai.APIConnectionError
    assert isinstance(failure(caught.value), errors.ConnectError)


def test_a_prompt_that_is_too_long_has_the_code_that_langchain_looks_for(up: Upstream) -> None:
    up.reply = fail(400, "This model's maximum context length is 8192 tokens", code=None)
    client = OpenAI(api_key="test", base_url=up.base_url)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert caught.value.code == "context_length_exceeded"


def test_what_was_wrong_with_the_call_is_a_400(up: Upstream) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    with pytest.raises(openai.BadRequestError, match=r"fairlead\.tenent"):
        client.chat.completions.create(model="m", messages=MESSAGES, extra_body={"fairlead": {"tenent": "x"}})
    with pytest.raises(openai.BadRequestError, match="expected a mapping"):
        client.chat.completions.create(model="m", messages=MESSAGES, extra_body={"fairlead": 7})
    assert up.requests == []


def test_an_unknown_model_is_not_found_and_named(up: Upstream) -> None:
    client = OpenAI(config(up.base_url))
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="mm/x", messages=MESSAGES)
    assert caught.value.code == "model_not_found"
    assert up.requests == []


def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client = OpenAI({})
    with pytest.raises(openai.BadRequestError, match="OPENAI_API_KEY"):
        client.chat.completions.create(model="openai/gpt-4o", messages=MESSAGES)


@pytest.mark.parametrize(
    "broken",
    [
        stream("a b c", finish=None, done=False, end="reset"),
        stream("a b c", finish=None, done=False),
        faults.error_in_stream(),
        stream("a b c", finish=None, done=False, end="cut"),
    ],
)
def test_a_stream_that_breaks_never_looks_complete(up: Upstream, twin: Twin, broken: Any) -> None:
    up.reply = broken
    client = twin.client(up)
    seen: list[Any] = []

    def ask() -> Any:
        return client.chat.completions.create(model="m", messages=MESSAGES, stream=True)

    def read() -> None:
        if twin.kind == "sync":
            seen.extend(ask())
            return

        async def main() -> None:
            async for chunk in await ask():
                seen.append(chunk)

        asyncio.run(main())

    with pytest.raises(openai.APIError) as caught:
        read()
    told = failure(caught.value)
    assert isinstance(told, errors.StreamInterrupted | errors.StreamTruncated)
    assert caught.value.message == told.message
    assert caught.value.code in ("stream_interrupted", "stream_truncated", told.code)


def test_the_bytes_of_a_broken_stream_end_in_an_error(up: Upstream) -> None:
    up.reply = stream("a b c", finish=None, done=False)
    client = OpenAI(api_key="test", base_url=up.base_url)
    create = client.chat.completions.with_streaming_response.create
    with create(model="m", messages=MESSAGES, stream=True) as events:
        body = events.read()
    last = body.split(b"\n\n")[-2]
    assert last.startswith(b'data: {"error": ')
    assert b"data: [DONE]" not in body


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda client: client.audio.transcriptions.create(model="m", file=b"x"), "its body is no JSON"),
        (lambda client: client.audio.speech.create(model="m", input="x", voice="v"), "its answer is no JSON"),
        (lambda client: client.responses.create(model="m", input="x", stream=True), "its answer is a stream"),
        (lambda client: client.files.content("f1"), "its answer is no JSON"),
    ],
)
def test_what_is_not_served_is_told_and_not_sent(up: Upstream, call: Any, why: str) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    with pytest.raises(openai.NotFoundError, match=why) as caught:
        call(client)
    assert caught.value.code == "not_served"
    assert up.requests == []


def test_other_whole_json_goes_to_one_deployment_as_it_is(up: Upstream, twin: Twin) -> None:
    answer = b'{"id": "modr-1", "model": "m", "results": []}'
    up.on(
        "/moderations",
        raw(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
            + answer
        ),
    )
    client = twin.client(up)
    reply = twin.do(lambda: client.moderations.create(input="x"))
    assert reply.id == "modr-1"
    assert [(request.path, request.json()) for request in up.requests] == [
        ("/v1/moderations", {"input": "x"})
    ]


def test_websockets_are_never_opened_past_the_engine() -> None:
    client = OpenAI(api_key="test", base_url="http://127.0.0.1:9/v1")
    assert str(client.websocket_base_url).endswith(".invalid/v1")
    assert str(client.with_options(timeout=1).websocket_base_url).endswith(".invalid/v1")


def test_an_asynchronous_client_never_calls_past_the_engine_either(up: Upstream) -> None:
    async def main() -> None:
        client = AsyncOpenAI(api_key="test", base_url=up.base_url)
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="m", input="x", stream=True)

    asyncio.run(main())
    assert up.requests == []
