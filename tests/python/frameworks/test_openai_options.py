"""What goes with a call: sentinels, headers, queries, timeouts, and the options that are fairlead's."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import fairlead
import openai
import pytest
from fairlead.openai import AsyncOpenAI, OpenAI
from fairlead.testing import Upstream, ok
from fault_table import config
from openai_twin import MESSAGES, Twin


@pytest.fixture(params=["sync", "async"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


def heard(up: Upstream) -> Any:
    return up.requests[-1]


@pytest.mark.parametrize("sentinel", [openai.NOT_GIVEN, getattr(openai, "omit", openai.NOT_GIVEN)])
def test_sentinels_leave_a_member_out_and_none_is_null(up: Upstream, twin: Twin, sentinel: Any) -> None:
    client = twin.client(up)
    create = client.chat.completions.create
    twin.do(lambda: create(model="m", messages=MESSAGES, seed=sentinel, temperature=None))
    assert heard(up).json() == {"model": "m", "messages": MESSAGES, "temperature": None}


def test_replies_go_back_into_messages(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    reply = twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    history = [*MESSAGES, reply.choices[0].message]
    twin.do(lambda: client.chat.completions.create(model="m", messages=history))
    assert heard(up).json()["messages"][1]["content"] == "hi"


def test_options_of_fairlead_are_heard_and_never_sent(up: Upstream, twin: Twin) -> None:
    seen: list[Any] = []

    def rule(call: Any) -> bool:
        seen.append(call)
        return True

    client = twin.make({**config(up.base_url), "rules": [{"name": "r", "when": rule, "model": "m"}]})
    options = {"tenant": "acme", "metadata": {"a": 1}, "priority": "high", "session": "s1"}
    create = client.chat.completions.create
    twin.do(
        lambda: create(model="m", messages=MESSAGES, extra_body={"top_k": 7, "fairlead": options}, user="u")
    )
    assert heard(up).json() == {"model": "up-0", "messages": MESSAGES, "top_k": 7, "user": "u"}
    assert seen[0]["fairlead"]["tenant"] == "acme"
    assert seen[0]["fairlead"]["metadata"] == {"a": "1"}
    assert seen[0]["messages"] == MESSAGES
    assert seen[0]["top_k"] == 7


def test_a_prompt_that_speaks_of_fairlead_is_left_alone(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    said: Any = [{"role": "user", "content": 'the "fairlead" member', "name": "fairlead"}]
    twin.do(lambda: client.chat.completions.create(model="m", messages=said))
    assert heard(up).json() == {"model": "m", "messages": said}


def test_a_scope_around_a_call_counts(up: Upstream, twin: Twin) -> None:
    priced = config(up.base_url)
    priced["models"]["m"]["deployments"][0]["price"] = {"input": 1.0, "output": 3.0}
    purse = fairlead.Purse(1.0)
    client = twin.make(priced)
    with fairlead.scope(budget=purse, tenant="acme"):
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert purse.spent == pytest.approx(4e-6)


def test_the_callers_headers_go_out_and_the_sdks_description_of_itself_does_not(
    up: Upstream, twin: Twin
) -> None:
    client = twin.client(up, default_headers={"x-team": "search"}, organization="org", project="p")
    create = client.chat.completions.create
    twin.do(lambda: create(model="m", messages=MESSAGES, extra_headers={"x-trace": "1"}))
    headers = heard(up).headers
    assert (headers["x-team"], headers["x-trace"]) == ("search", "1")
    assert (headers["openai-organization"], headers["openai-project"]) == ("org", "p")
    assert headers["user-agent"].startswith("fairlead/")
    assert [name for name, _ in headers.fields if name.lower().startswith("x-stainless")] == []
    assert [name for name, _ in headers.fields].count("authorization") == 1
    assert headers["authorization"] == "Bearer test"


def test_a_key_of_one_request_replaces_the_clients(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    create = client.chat.completions.create
    twin.do(lambda: create(model="m", messages=MESSAGES, extra_headers={"Authorization": "Bearer other"}))
    assert heard(up).headers["authorization"] == "Bearer other"
    twin.do(lambda: create(model="m", messages=MESSAGES, extra_body={"fairlead": {"api_key": "third"}}))
    assert heard(up).headers["authorization"] == "Bearer third"


def test_a_priority_in_a_header_is_heard_and_not_sent(up: Upstream) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    create = client.chat.completions.create
    create(model="m", messages=MESSAGES, extra_headers={"x-fairlead-priority": "low"})
    assert "x-fairlead-priority" not in heard(up).headers
    with pytest.raises(openai.BadRequestError, match="x-fairlead-priority"):
        create(model="m", messages=MESSAGES, extra_headers={"x-fairlead-priority": "lowest"})


def test_queries_go_out(up: Upstream, twin: Twin) -> None:
    client = twin.client(up, default_query={"a": "b c"})
    create = client.chat.completions.create
    twin.do(lambda: create(model="m", messages=MESSAGES, extra_query={"d": ["1", "2"]}))
    assert parse_qsl(urlsplit(heard(up).target).query) == [("a", "b c"), ("d[]", "1"), ("d[]", "2")]


def test_copies_share_connections_and_change_what_they_say(up: Upstream) -> None:
    client = OpenAI(api_key="test", base_url=up.base_url)
    copied = client.with_options(default_headers={"x-a": "1"}, timeout=7, max_retries=5).copy()
    assert isinstance(copied, OpenAI)
    assert copied.max_retries == 0
    assert copied.timeout == 7
    for one in (client, copied):
        one.chat.completions.create(model="m", messages=MESSAGES)
    assert heard(up).headers["x-a"] == "1"
    assert up.connections_total == 1
    assert copied.fairlead.stats()["total_requests"] == 2


def test_copies_with_another_key_or_address_use_it(up: Upstream, twin: Twin) -> None:
    client = twin.client(up)
    rekeyed = client.with_options(api_key="other")
    twin.do(lambda: rekeyed.chat.completions.create(model="m", messages=MESSAGES))
    assert heard(up).headers["authorization"] == "Bearer other"
    moved = client.copy(base_url=up.url("there"))
    twin.do(lambda: moved.chat.completions.create(model="m", messages=MESSAGES))
    assert len(up.at("there").requests) == 1
    assert str(moved.base_url) == up.url("there") + "/"


def test_retries_of_a_shared_client_can_be_changed_alone(up: Upstream) -> None:
    shared = fairlead.Client(api_key="test", base_url=up.base_url)
    with OpenAI(client=shared, max_retries=0).with_options(max_retries=1) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert not shared.is_closed()


def test_the_key_is_out_of_sight(up: Upstream) -> None:
    client = OpenAI(api_key="sk-test-f00d", base_url=up.base_url)
    client.chat.completions.create(model="m", messages=MESSAGES)
    assert heard(up).headers["authorization"] == "Bearer sk-test-f00d"
    assert "f00d" not in repr(vars(client)) + client.api_key


def test_keys_may_be_callables_of_either_kind(up: Upstream, twin: Twin) -> None:
    async def fresh() -> str:
        return "k2"

    for key, sent in ((lambda: "k1", "k1"), (fresh, "k2")):
        client = twin.make(api_key=key, base_url=up.base_url)
        twin.do(lambda client=client: client.chat.completions.create(model="m", messages=MESSAGES))
        assert heard(up).headers["authorization"] == f"Bearer {sent}"


def test_no_key_is_needed_where_fairlead_knows_it(
    up: Upstream, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    client = twin.make(config(up.base_url))
    twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))
    assert heard(up).headers["authorization"] == "Bearer sk-test-0"


@pytest.mark.parametrize("given", [{}, {"timeout": None}])
def test_a_timeout_that_nobody_chose_leaves_the_configuration_in_charge(
    up: Upstream, twin: Twin, given: Any
) -> None:
    up.reply = ok(delay=3)
    client = twin.make(
        {**config(up.base_url, timeouts={"attempt": 0.2}), "retry": {"max_retries": 0}}, **given
    )
    with pytest.raises(openai.APITimeoutError):
        twin.do(lambda: client.chat.completions.create(model="m", messages=MESSAGES))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"http_client": object(), "api_key": "k"}, "http_client"),
        ({"client": fairlead.Client(api_key="k"), "api_key": "k"}, "api_key"),
        ({"client": object()}, "client"),
        ({"config": {"modles": {}}}, "modles"),
    ],
)
def test_wrong_arguments_are_named(arguments: Any, named: str) -> None:
    for kind in (OpenAI, AsyncOpenAI):
        with pytest.raises(fairlead.ConfigError, match=named):
            kind(**arguments)
    with pytest.raises(fairlead.ConfigError, match="http_client"):
        OpenAI(api_key="k").with_options(http_client=object())
