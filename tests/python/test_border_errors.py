"""Errors: one tree, that is also the OpenAI SDK's when that is loaded, and never shows a key."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead import errors
from fairlead.testing import Upstream, fail, ok, raw

MESSAGES = [{"role": "user", "content": "hi"}]
KEY = "sk-secret-0123456789abcdefghijklmnop"


def failed(up: Upstream, *script: Any, **options: Any) -> fairlead.FairleadError:
    up.script = list(script)
    client = fairlead.Client(api_key=KEY, base_url=up.base_url, max_retries=0, **options)
    with pytest.raises(fairlead.FairleadError) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES)
    return caught.value


def test_r7_the_last_failure_is_the_cause_where_an_earlier_one_is_raised(up: Upstream) -> None:
    up.script = [fail(503), fail(429)]
    client = fairlead.Client({"retry": {"base": 0.001}}, api_key=KEY, base_url=up.base_url, max_retries=1)
    with pytest.raises(fairlead.InternalServerError) as caught:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert isinstance(caught.value.__cause__, fairlead.RateLimitError)
    told = [(attempt.status_code, attempt.error) for attempt in caught.value.attempts]
    assert told == [(503, "InternalServerError"), (429, "RateLimitError")]


def test_what_failed_goes_by_the_name_of_its_exception_everywhere() -> None:
    """In attempts, in the outcome of a receipt and in what a breaker says."""
    kinds = Path(__file__).parents[2] / "src/error/kind.rs"
    names = set(re.findall(r'Self::\w+ => "(\w+)"', kinds.read_text(encoding="utf-8")))
    assert len(names) > 40
    assert {name for name in names if not hasattr(fairlead, name)} == {"Superseded"}
    assert names - set(errors._CLASSES) == {"Superseded"}


def test_an_error_tells_the_whole_story(up: Upstream) -> None:
    error = failed(
        up, fail(429, "slow down", code="rate_limit_exceeded", retry_after=99, headers={"x-request-id": "r1"})
    )
    assert type(error).__name__ == "RateLimitError"
    assert isinstance(error, fairlead.RateLimitError)
    assert error.status_code == 429
    assert error.request_id == "r1"
    assert error.retry_after == 99
    assert error.is_retryable
    assert error.code == "rate_limit_exceeded"
    assert isinstance(error.body, dict)
    assert error.body["message"] == "slow down"
    assert error.response.status_code == 429
    assert error.response.headers["X-Request-Id"] == "r1"
    assert error.response.json()["error"]["message"] == "slow down"
    assert error.request.method == "POST"
    assert error.request.url.startswith("http://127.0.0.1")
    assert error.model == "m"
    assert error.provider == "openai"
    assert [attempt.status_code for attempt in error.attempts] == [429]
    assert str(error) == error.message
    assert "429" in str(error)


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_body_is_the_error_object_whether_or_not_an_array_is_around_it(
    up: Upstream, wrapped: bool
) -> None:
    told = {"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}
    error = failed(up, fail(429, body=[told] if wrapped else told))
    assert error.body == told["error"]
    assert isinstance(error, fairlead.RateLimitError)


def test_a_connection_that_fails_is_a_connection_error() -> None:
    client = fairlead.Client(api_key=KEY, base_url="http://127.0.0.1:9", max_retries=0)
    with pytest.raises(fairlead.APIConnectionError) as caught:
        client.generate("m", "hi")
    assert caught.value.response is None
    assert caught.value.status_code is None


def test_a_broken_reply_is_a_malformed_response(up: Upstream) -> None:
    error = failed(up, raw(b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"choices'))
    assert isinstance(error, fairlead.MalformedResponse)
    assert isinstance(error, fairlead.APIResponseValidationError)


def test_errors_pickle_with_their_story(up: Upstream) -> None:
    error = failed(up, fail(404, "no such model", code="model_not_found"))
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert twin.attempts == error.attempts
    assert twin.response.text == error.response.text
    assert twin.code == error.code


def test_errors_can_be_made_by_hand() -> None:
    error = fairlead.RateLimitError("mine")
    assert str(error) == "mine"
    assert error.attempts == ()
    assert str(pickle.loads(pickle.dumps(error))) == "mine"


def test_no_key_is_ever_shown(up: Upstream) -> None:
    error = failed(up, fail(401, f"Incorrect API key provided: {KEY}"))
    assert isinstance(error, fairlead.AuthenticationError)
    client = fairlead.Client({"client": {"api_key": KEY}}, api_key=KEY, base_url=up.base_url)
    up.script = [fail(400)]
    with pytest.raises(fairlead.BadRequestError) as caught:
        client.with_options(api_key=KEY).generate("m", "hi")
    seen = [
        str(error),
        repr(error),
        repr(vars(error)),
        repr(error.response.text),
        pickle.dumps(error).decode("latin-1"),
        repr(client),
        str(client),
        repr(vars(client)),
        repr(vars(client.chat.completions)),
        "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()),
    ]
    for text in seen:
        assert KEY not in text.replace(f"KEY = '{KEY}'", "")
    secret = fairlead.Secret(KEY)
    assert KEY not in f"{secret!r} {secret}"
    for hidden in (client, secret, client._engine):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(hidden)


def test_a_refused_constructor_shows_no_key() -> None:
    holds_key = {"client": {"api_key": KEY, "provider": "nowhere"}}
    with pytest.raises(fairlead.ConfigError) as caught:
        fairlead.Client(holds_key, api_key=KEY)
    assert refused(caught.value)
    with pytest.raises(fairlead.ConfigError) as caught:
        fairlead.Client(api_key="other").with_options(api_key=KEY, provider="nowhere")
    assert refused(caught.value)
    with pytest.raises(fairlead.ConfigError) as caught:
        fairlead.Client({"client": KEY})
    assert KEY not in str(caught.value)


def refused(error: BaseException) -> bool:
    """Were frames of ours in the traceback, and no key in them?"""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [line for line in shown.format() if "fairlead/client.py" in line]
    return bool(frames) and all(KEY not in line for line in frames)


def test_a_foreign_http_client_is_refused_with_a_way_out() -> None:
    with pytest.raises(fairlead.ConfigError, match=r"proxy=.*ca="):
        fairlead.Client(api_key=KEY, http_client=object())  # type: ignore[arg-type]


def test_calls_on_a_closed_client_are_refused(up: Upstream) -> None:
    async def main() -> None:
        async with fairlead.AsyncClient(api_key=KEY, base_url=up.base_url) as client:
            assert await client.generate("m", "hi") == "hi"
        assert client.is_closed()
        with pytest.raises(fairlead.ClientClosed):
            await client.generate("m", "hi")

    asyncio.run(main())


def test_every_class_of_the_table_has_its_parents() -> None:
    parents = {
        "ContextLengthExceeded": "BadRequestError",
        "ContentFiltered": "BadRequestError",
        "QuotaExceeded": "RateLimitError",
        "OverloadedError": "InternalServerError",
        "NoHealthyDeployment": "InternalServerError",
        "UnexpectedRedirect": "APIStatusError",
        "ConnectError": "APIConnectionError",
        "TLSError": "APIConnectionError",
        "ConnectTimeout": "APITimeoutError",
        "DeadlineExceeded": "APITimeoutError",
        "PoolTimeout": "APITimeoutError",
        "APITimeoutError": "APIConnectionError",
        "StreamTruncated": "APIConnectionError",
        "MalformedStream": "APIResponseValidationError",
        "ResponseTooLarge": "APIResponseValidationError",
        "BudgetExceeded": "QuotaExceeded",
        "ConfigError": "ValueError",
    }
    for name, parent in parents.items():
        assert parent in [known.__name__ for known in getattr(errors, name).__mro__]


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


RAISE = """
def caught():
    import fairlead
    from fairlead.testing import Upstream, fail
    with Upstream() as up:
        up.script = [fail(429, "slow down", retry_after=99)]
        client = fairlead.Client(api_key="test", base_url=up.base_url, max_retries=0)
        try:
            client.generate("m", "hi")
        except Exception as error:
            return error
"""

ORDERS = {
    "openai first": "import openai, fairlead",
    "openai last": "import fairlead; caught(); import openai",
}


@pytest.mark.parametrize("order", ORDERS)
def test_openai_classes_catch_ours(order: str) -> None:
    pytest.importorskip("openai")
    run(
        RAISE
        + ORDERS[order]
        + """
import pickle
error = caught()
assert isinstance(error, openai.RateLimitError), type(error).__mro__
assert isinstance(error, openai.OpenAIError)
assert isinstance(error, fairlead.RateLimitError)
assert (type(error).__name__, type(error).__module__) == ("RateLimitError", "fairlead.errors")
assert type(error) is type(caught())
assert error.response.status_code == 429 and error.status_code == 429 and error.code == "rate_limit_exceeded"
assert error.__reduce__()[1][0] is fairlead.RateLimitError
assert isinstance(pickle.loads(pickle.dumps(error)), openai.RateLimitError)
for name in ("ConnectTimeout", "MalformedResponse", "QuotaExceeded", "StreamTruncated"):
    leaf = getattr(fairlead, name)
    assert fairlead.errors._class_for(leaf).__mro__[1] is leaf
    assert issubclass(fairlead.errors._class_for(leaf), openai.APIError)
"""
    )


def test_openai_is_never_imported() -> None:
    run(
        RAISE
        + """
import sys, pickle
error = caught()
assert "openai" not in sys.modules and "httpx" not in sys.modules
import fairlead
assert type(error) is fairlead.RateLimitError
assert type(pickle.loads(pickle.dumps(error))) is fairlead.RateLimitError
"""
    )


def test_success_after_failure_is_no_error(up: Upstream) -> None:
    up.script = [fail(503), ok("fine")]
    client = fairlead.Client(api_key=KEY, base_url=up.base_url)
    reply = client.chat.completions.create(model="m", messages=MESSAGES)
    assert reply.choices[0].message.content == "fine"
    assert [attempt.status for attempt in reply.fairlead.attempts] == [503, 200]


@pytest.mark.parametrize(
    "key",
    [
        "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "d41d8cd98f00b204e9800998ecf8427e",
        "MyCompanyKey2024xyzXYZ",
        "mytoken12",
        'pass"word/12',
    ],
)
def test_a_key_of_any_shape_is_in_no_error(up: Upstream, key: str) -> None:
    echo = f"Incorrect API key provided: {key}"
    told = fail(401, echo, headers={"x-request-id": key})
    lines = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: %s\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    broken = lines % json.dumps({"error": {"message": echo, "code": 401}}).encode()
    plain = b"HTTP/1.1 401 Unauthorized\r\n\r\n" + echo.encode()
    up.script = [told, raw(plain), raw(head + broken)]
    client = fairlead.Client(api_key=key, base_url=up.base_url, max_retries=0)
    for stream in (False, False, True):
        with pytest.raises(fairlead.FairleadError) as caught:
            list(client.chat.completions.create(model="m", messages=MESSAGES, stream=stream))
        error = caught.value
        assert "Incorrect API key provided: ***" in str(error)
        response = getattr(error, "response", None)
        shown = [str(error), repr(error), str(getattr(error, "body", "")), str(error.request_id)]
        shown += [response.text, str(response.headers)] if response is not None else []
        written = json.dumps(key)[1:-1]
        assert not [text for text in shown if key in text or written in text]
