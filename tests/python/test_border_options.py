"""What goes with every call of a client: read, changed in copies, and written into URLs."""

from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import fairlead
import pytest
from client_twin import Twin
from fairlead.testing import Upstream, fail

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


def test_with_options_shares_connections_unless_it_cannot(up: Upstream) -> None:
    client = fairlead.Client(api_key="test", base_url=up.base_url, default_headers={"x-a": "1", "x-b": "1"})
    client.with_options(default_headers={"x-b": "2"}, default_query={"v": 1}).generate("m", "hi")
    assert up.requests[0].headers["x-a"] == "1"
    assert up.requests[0].headers["x-b"] == "2"
    assert "v=1" in up.requests[0].target
    client.copy(set_default_headers={"x-c": "3"}).generate("m", "hi")
    assert "x-a" not in up.requests[1].headers
    assert client.stats()["calls"] == 2
    other = client.with_options(api_key="other")
    other.generate("m", "hi")
    assert up.requests[2].headers["authorization"] == "Bearer other"
    assert up.requests[2].headers["x-a"] == "1"
    assert client.stats()["calls"] == 2
    with pytest.raises(TypeError, match="nonsense"):
        client.with_options(nonsense=1)


def test_what_a_client_was_given_can_be_read_and_its_key_cannot(up: Upstream, twin: Twin) -> None:
    client = twin.client(
        up, timeout=9, default_headers={"x-a": "1"}, organization="o", default_query={"v": 1}
    )
    assert (client.base_url, client.timeout, client.max_retries) == (up.base_url, 9, None)
    assert (client.organization, client.project, client.default_query) == ("o", None, {"v": 1})
    assert client.default_headers == {"OpenAI-Organization": "o", "x-a": "1"}
    copied = client.with_options(max_retries=0, default_headers={"X-A": "2"}, set_default_query={"w": 2})
    assert (copied.timeout, copied.max_retries, copied.default_query) == (9, 0, {"w": 2})
    assert copied.default_headers == {"OpenAI-Organization": "o", "X-A": "2"}
    assert (client.max_retries, client.default_headers["x-a"]) == (None, "1")
    assert twin.client(up).timeout is fairlead.NOT_GIVEN
    with pytest.raises(AttributeError, match="does not show its keys"):
        _ = client.api_key
    with pytest.raises(AttributeError):
        client.timeout = 3


def test_a_copy_with_connections_of_its_own_keeps_what_copies_before_it_changed(up: Upstream) -> None:
    client = fairlead.Client(
        api_key="test", base_url=up.base_url, organization="a", default_headers={"x": "1"}
    )
    changed = client.with_options(max_retries=0, set_default_headers={"y": "2"})
    other = changed.with_options(api_key="other", organization="b", timeout=8)
    assert (other.max_retries, other.timeout, other.organization) == (0, 8, "b")
    up.script = [fail(500)]
    with pytest.raises(fairlead.InternalServerError):
        other.generate("m", "hi")
    headers = up.requests[-1].headers
    assert len(up.requests) == 1
    assert (headers["authorization"], headers["openai-organization"]) == ("Bearer other", "b")
    assert headers["y"] == "2"
    assert "x" not in headers


QUERIES: list[tuple[dict[str, Any], str]] = [
    ({"q": "a b&c", "n": 1.5, "yes": True, "no": False}, "q=a b&c|n=1.5|yes=true|no=false"),
    ({"ids": [1, 2], "pair": ("a", True)}, "ids[]=1|ids[]=2|pair[]=a|pair[]=true"),
    ({"filter": {"after": 1, "by": {"name": "x"}}}, "filter[after]=1|filter[by][name]=x"),
    (
        {"deep": [{"a": [1, [2]]}], "none": None, "nones": [None, {"a": None}]},
        "deep[][a][]=1|deep[][a][][]=2",
    ),
    ({"empty": [], "also": {}}, ""),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_a_query_is_written_as_the_openai_sdk_writes_it(
    query: dict[str, Any], expected: str, up: Upstream
) -> None:
    def sent() -> str:
        return "|".join(
            f"{name}={value}" for name, value in parse_qsl(urlsplit(up.requests[-1].target).query)
        )

    client = fairlead.Client(api_key="test", base_url=up.base_url)
    client.chat.completions.create(model="m", messages=MESSAGES, extra_query=query)
    assert sent() == expected
    client.with_options(default_query=query).generate("m", "hi")
    assert sent() == expected
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key="test", base_url=up.base_url) as sdk:
        sdk.chat.completions.create(model="m", messages=MESSAGES, extra_query=query)
    assert sent() == expected


def test_a_query_replaces_what_the_client_says_under_its_names(up: Upstream) -> None:
    client = fairlead.Client(
        api_key="test", base_url=up.base_url, default_query={"ids": [1, 2], "id": 3, "gone": {"a": 1}}
    )
    client.generate("m", "hi", extra_query={"ids": [4], "gone": None})
    assert parse_qsl(urlsplit(up.requests[0].target).query) == [("id", "3"), ("ids[]", "4")]


def test_a_query_that_contains_itself_is_refused(up: Upstream) -> None:
    query: dict[str, Any] = {}
    query["a"] = query
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    with pytest.raises(fairlead.ConfigError, match="contains itself"):
        client.generate("m", "hi", extra_query=query)
    pairs: Any = [("a", 1)]
    with pytest.raises(fairlead.ConfigError, match="`extra_query`: expected a mapping"):
        client.generate("m", "hi", extra_query=pairs)


def test_signatures_name_the_arguments(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    chat, vectors = client.chat.completions, client.embeddings
    for call in (chat.create, chat.with_raw_response.create):
        shown = inspect.signature(call)
        assert {"messages", "model", "stream", "temperature", "top_k", "extra_body"} <= {*shown.parameters}
        assert shown.parameters["messages"].default is inspect.Parameter.empty
        shown.bind(messages=MESSAGES, model="m", of_a_provider=1)
        with pytest.raises(TypeError, match="messages"):
            shown.bind(model="m")
    for call in (chat.parse, chat.stream):
        assert {"messages", "response_format", "tools"} <= {*inspect.signature(call).parameters}
    assert "input" in inspect.signature(vectors.create).parameters
    assert [*inspect.signature(client.generate).parameters][:2] == ["model", "messages"]
    assert "max_tokens" in inspect.signature(client.stream).parameters
