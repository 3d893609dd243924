"""A conversation always fits its window, and nothing that belongs together is torn."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
import re
from collections.abc import Callable
from typing import Any

import fairlead
import openai
import pydantic
import pytest
from fairlead import _core
from fairlead.conversation import Conversation
from fairlead.conversation._estimate import Line
from fairlead.testing import Upstream, fail, ok, tool_call
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

AROUND = 3


def words(message: dict[str, Any]) -> float:
    """A token a character of the content, and one around."""
    content = message.get("content")
    return 1 + (len(content) if isinstance(content, str) else len(json.dumps(content or "")))


def of(max_tokens: int = 103, reserve: int = 0, **options: Any) -> Conversation:
    return Conversation(max_tokens=max_tokens, reserve=reserve, count=words, **options)


def said(conversation: Conversation) -> list[Any]:
    return [message.get("content") for message in conversation.messages]


def calls(*ids: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [tool_call("look", {"q": one}, one) for one in ids],
    }


# ===== what is kept =====


def test_the_oldest_goes_first_and_the_system_stays() -> None:
    conversation = of(system="rules", keep=1.0)
    for number in range(10):
        conversation.add_user(f"question {number}").add_assistant(f"answer {number}")
    conversation.add_user("last")
    assert said(conversation) == [
        "rules",
        *(text for n in range(6, 10) for text in (f"question {n}", f"answer {n}")),
        "last",
    ]
    assert conversation.dropped == 12
    assert len(conversation) == len(conversation.messages) == 10
    assert list(conversation) == conversation.messages


def test_what_goes_goes_in_one_sweep_so_that_the_beginning_stays_the_same() -> None:
    conversation, beginnings = of(1003, keep=0.5), []
    for number in range(200):
        conversation.add_user(f"{number:08}").add_assistant("y" * 9)
        beginnings.append(said(conversation)[0])
    changes = sum(one != other for one, other in itertools.pairwise(beginnings))
    assert changes <= 7
    assert conversation.dropped > 250


def test_what_stays_begins_with_a_user() -> None:
    conversation = of(keep=1.0)
    for number in range(30):
        conversation.add_user("u" * (number % 17)).add_assistant("a" * (number % 11))
        assert conversation.messages[0]["role"] == "user"


def test_in_a_long_run_of_tools_the_task_stays_and_the_newest_results() -> None:
    conversation = of(103, keep=1.0).add_user("the task")
    for number in range(50):
        conversation.add(calls(f"c{number}")).add_tool(f"c{number}", "r" * 10)
    messages = conversation.messages
    assert messages[0]["content"] == "the task"
    assert [m["tool_call_id"] for m in messages if m["role"] == "tool"] == [f"c{n}" for n in range(44, 50)]
    assert whole(messages)


def whole(messages: list[dict[str, Any]]) -> bool:
    """Does every call have its results right after it, and every result its call before it?"""
    wanted: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in wanted:
                return False
            wanted.discard(message["tool_call_id"])
        elif wanted:
            return False
        wanted |= {call["id"] for call in message.get("tool_calls") or ()}
    return not wanted


def test_calls_without_results_are_not_sent_and_are_named() -> None:
    conversation = of().add_user("hi").add(calls("a", "b"))
    assert said(conversation) == ["hi"]
    assert conversation.open_calls == ["a", "b"]
    conversation.add_tool("b", "two").add_user("hurry")
    assert said(conversation) == ["hi", "hurry"]
    conversation.add_tool("a", "one")
    assert conversation.open_calls == []
    assert said(conversation) == ["hi", None, "two", "one", "hurry"]


def test_a_result_joins_the_newest_call_of_its_id() -> None:
    conversation = of(keep=1.0).add_user("hi")
    for number in range(2):
        conversation.add(calls("call_1")).add_tool("call_1", f"result {number}")
    assert said(conversation) == ["hi", None, "result 0", None, "result 1"]


@pytest.mark.parametrize("id", ["same", "", None])
def test_calls_of_one_turn_may_share_an_id(id: str | None) -> None:
    conversation = of(1000).add_user("hi").add(calls("a", id, id))  # type: ignore[arg-type]
    assert conversation.open_calls == ["a", id or "", id or ""]
    conversation.add_tool(id or "", "one")
    assert conversation.open_calls == ["a", id or ""]
    conversation = Conversation.from_dict(conversation.to_dict())
    conversation.add_tool(id or "", "two").add_tool("a", "three")
    assert said(conversation)[2:] == ["one", "two", "three"]
    with pytest.raises(ValueError, match="no such call is held"):
        conversation.add_tool(id or "", "four")


def test_a_run_of_tools_is_taken_whole_when_calls_share_an_id(up: Upstream) -> None:
    def look(q: str) -> str:
        return q

    up.script = [ok(tool_calls=[tool_call("look", {"q": q}, "c") for q in "ab"]), ok("done")]
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        run = client.run_tools("m", "hi", [look])
    assert Conversation(run.messages, max_tokens=1000).messages == run.messages


@pytest.mark.parametrize("kind", [fairlead.Client, openai.OpenAI])
def test_what_parse_makes_of_an_answer_is_not_kept(kind: Any, up: Upstream) -> None:
    city = pydantic.create_model("City", name=(str, ...))
    up.script = [ok('{"name": "Rome"}'), ok(tool_calls=[tool_call("City", {"name": "Rome"}, "c")])]
    tool = openai.pydantic_function_tool(city)
    ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with kind(api_key="test", base_url=up.base_url) as client:
        conversation = of(1000)
        conversation.add(client.chat.completions.parse(**ask, response_format=city))
        reply = client.chat.completions.parse(**ask, tools=[tool])
    assert reply.choices[0].message.tool_calls[0].function.parsed_arguments == city(name="Rome")
    conversation.add(reply).add_tool("c", "r")
    assert "parsed" not in json.dumps(conversation.messages)
    # What was added is the caller's own, and stays as it was.
    assert reply.choices[0].message.tool_calls[0].function.parsed_arguments == city(name="Rome")


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"},
        ),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r"}]},
        ),
    ],
)
def test_other_forms_of_calls_are_pairs_too(call: dict[str, Any], result: dict[str, Any]) -> None:
    conversation = of(1000).add_user("hi").add(call)
    assert len(conversation) == 1
    assert conversation.add(result).messages[1:] == [call, result]


def test_a_result_without_a_call_is_refused() -> None:
    conversation = of().add_user("hi").add(calls("a")).add_tool("a", "one")
    for unknown in ("a", "b"):
        with pytest.raises(ValueError, match=f"a result for {unknown}"):
            conversation.add_tool(unknown, "again")
    assert len(conversation) == 3


# ===== what does not fit at all =====


def test_a_message_larger_than_the_window_is_refused_before_anything_is_sent(up: Upstream) -> None:
    with fairlead.Client(api_key="test", base_url=up.base_url) as client:
        conversation = of(client=client).add_user("small")
        with pytest.raises(fairlead.ContextLengthExceeded, match="about 205 tokens, and 103 of") as caught:
            conversation.add_user("x" * 201)
    assert isinstance(caught.value, openai.BadRequestError)
    assert said(conversation) == ["small"]
    assert up.requests == []


def test_a_result_that_does_not_fit_may_be_added_shorter() -> None:
    conversation = of().add_user("task").add(calls("a"))
    with pytest.raises(fairlead.ContextLengthExceeded):
        conversation.add_tool("a", "x" * 500)
    assert said(conversation.add_tool("a", "short")) == ["task", None, "short"]


def test_an_answer_that_does_not_fit_is_told_when_it_is_to_be_sent() -> None:
    conversation = of().add_user("question").add_assistant("x" * 500)
    with pytest.raises(fairlead.ContextLengthExceeded):
        _ = conversation.messages
    assert conversation.room < 0
    assert said(conversation.add_user("next")) == ["next"]


def test_a_system_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(fairlead.ContextLengthExceeded):
        of(system="x" * 200)


@pytest.mark.parametrize(
    "content", ["x" * 5000, [{"type": "text", "text": "y"}, {"type": "text", "text": "x" * 5000}]]
)
def test_what_is_too_long_is_cut_in_its_middle_where_that_is_wished(content: Any) -> None:
    conversation = of(503, too_long="cut", system="rules").add({"role": "user", "content": content})
    content = conversation.messages[1]["content"]
    text = content if isinstance(content, str) else content[1]["text"]
    assert text.startswith("xxx")
    assert text.endswith("xxx")
    assert "characters left out" in text
    assert 0 <= conversation.room < 20
    kept = text.count("x")
    assert f"[... {5000 - kept} characters left out ...]" in text


def test_where_not_even_the_mark_fits_it_is_refused_and_pictures_are_not_cut() -> None:
    with pytest.raises(fairlead.ContextLengthExceeded):
        of(23, too_long="cut").add_user("x" * 500)
    with pytest.raises(fairlead.ContextLengthExceeded):
        of(23, too_long="cut").add_user([{"type": "image_url", "image_url": {"url": "x" * 500}}])


# ===== properties =====

texts = st.text(alphabet="ab", max_size=60)


class Talk(RuleBasedStateMachine):
    """Anything that may be said, in any order, against what must always hold."""

    @initialize(
        window=st.integers(20, 200),
        reserve=st.integers(0, 19),
        keep=st.floats(0.1, 1.0),
        too_long=st.sampled_from(["raise", "cut"]),
        summarise=st.booleans(),
    )
    def begin(self, window: int, reserve: int, keep: float, too_long: Any, summarise: bool) -> None:
        self.number = 0
        self.system: list[str] = []
        how: Callable[..., str] | None = (lambda messages: "s" * len(messages)) if summarise else None
        self.talk = of(window, reserve, keep=keep, too_long=too_long, summarise=how)

    def marked(self, text: str) -> str:
        self.number += 1
        return f"{self.number}:{text}"

    def attempt(self, message: dict[str, Any]) -> bool:
        before = self.talk.to_dict()
        try:
            self.talk.add(message)
        except fairlead.ContextLengthExceeded:
            assert self.talk.to_dict()["blocks"] == before["blocks"]
            return False
        return True

    @rule(text=texts, role=st.sampled_from(["system", "developer"]))
    def system_says(self, text: str, role: str) -> None:
        content = self.marked(text)
        if self.attempt({"role": role, "content": content}):
            self.system.append(content)

    @rule(text=texts)
    def user_says(self, text: str) -> None:
        content = self.marked(text)
        if self.attempt({"role": "user", "content": content}) and self.talk._too_long == "raise":
            assert any(message["content"] == content for message in self.read())

    @rule(text=texts)
    def assistant_says(self, text: str) -> None:
        assert self.attempt({"role": "assistant", "content": self.marked(text)})

    @rule(count=st.integers(1, 3))
    def assistant_calls(self, count: int) -> None:
        assert self.attempt(calls(*(self.marked("") for _ in range(count))))

    @rule(data=st.data(), text=texts)
    def tool_answers(self, data: st.DataObject, text: str) -> None:
        if self.talk.open_calls:
            id = data.draw(st.sampled_from(self.talk.open_calls))
            self.attempt({"role": "tool", "tool_call_id": id, "content": text})

    @rule(counted=st.integers(-5, 400))
    def upstream_counts(self, counted: int) -> None:
        self.talk.observe({"usage": {"prompt_tokens": counted}})

    @rule()
    def goes_on_elsewhere(self) -> None:
        stored = json.loads(json.dumps(self.talk.to_dict()))
        how: Any = self.talk._summariser and (lambda messages: "s" * len(messages))
        again = Conversation.from_dict(stored, count=words, summarise=how)
        assert again.to_dict() == self.talk.to_dict()
        self.talk = again.copy()

    @rule()
    def sums_up(self) -> None:
        try:
            self.talk.fit()
        except fairlead.ContextLengthExceeded:
            return
        assert self.talk._gone == [] or not self.talk._summariser

    def read(self) -> list[dict[str, Any]]:
        try:
            return self.talk.messages
        except fairlead.ContextLengthExceeded:
            return []

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "talk"):
            return
        messages = self.read()
        if not messages:
            return
        line = self.talk._line
        estimated = sum(map(words, messages)) + AROUND
        assert line.tokens(estimated) <= self.talk.max_tokens - self.talk.reserve + 1e-6
        assert whole(messages)
        numbers = [
            int(m["content"].partition(":")[0])
            for m in messages
            if isinstance(m["content"], str)
            and m["role"] != "tool"
            and m["content"].partition(":")[0].isdigit()
        ]
        assert numbers == sorted(numbers)
        assert [m["content"] for m in messages if m["role"] in ("system", "developer")] == self.system


TestTalk = Talk.TestCase


# ===== what it takes and gives =====


def test_messages_are_taken_in_every_form_and_given_as_plain_data(up: Upstream) -> None:
    up.script = [ok("ours"), ok(tool_calls=[tool_call("f", {}, "call_9")]), ok("theirs")]
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    with openai.OpenAI(api_key="test", base_url=up.base_url) as theirs:
        conversation = (
            Conversation("hi", max_tokens=10_000) if False else Conversation(["hi"], max_tokens=10_000)
        )
        conversation.add({"role": "developer", "content": "be brief"})
        conversation.add(client.chat.completions.create(model="m", messages=conversation.messages))
        conversation.add(
            client.chat.completions.create(model="m", messages=conversation.messages).choices[0].message
        )
        conversation.add_tool("call_9", [{"type": "text", "text": "r"}])
        conversation.add(theirs.chat.completions.create(model="m", messages=conversation.messages))  # type: ignore[arg-type]
    assert [message["role"] for message in conversation] == [
        "user",
        "developer",
        "assistant",
        "assistant",
        "tool",
        "assistant",
    ]
    assert said(conversation)[-1] == "theirs"
    assert json.loads(json.dumps(conversation.messages)) == conversation.messages
    assert "refusal" not in conversation.messages[2]
    assert up.requests[-1].json()["messages"] == conversation.messages[:-1]
    client.close()


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"role": "narrator", "content": "x"}, ValueError, "`role`: expected one of system"),
        ({"content": "x"}, ValueError, "`role`"),
        ({"role": "user", "content": 3}, TypeError, "`content`: expected a str"),
        (["x"], TypeError, "expected a message"),
        (3, TypeError, "expected a message"),
        ({"role": "user", "content": object()}, fairlead.ConfigError, "JSON"),
        ({"choices": []}, ValueError, "no choice"),
    ],
)
def test_what_is_no_message_is_refused(given: Any, error: type[Exception], says: str) -> None:
    conversation = of()
    with pytest.raises(error, match=says):
        conversation.add(given)
    assert len(conversation) == 0


def test_a_single_message_may_stand_by_itself(up: Upstream) -> None:
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello!"}])
    said = {"role": "user", "content": "Hello!"}
    assert of(messages="Hello!").messages == of(messages=said).messages == [said]
    for one in (reply, reply.choices[0].message):
        assert of(messages=one).messages == of(messages=[one]).messages
    assert of(messages=of(messages=["a", "b"])).messages == of(messages=["a", "b"]).messages


def test_what_was_added_or_handed_out_may_be_changed_without_changing_it() -> None:
    part = {"type": "text", "text": "a"}
    conversation = of(1000).add({"role": "user", "content": [part]})
    part["text"] = "b"
    conversation.messages[0]["content"][0]["text"] = "c"
    assert said(conversation) == [[{"type": "text", "text": "a"}]]


def test_forks_go_on_independently_and_all_of_it_can_be_stored() -> None:
    conversation = of(5000, system="rules").add_user("hi").add(calls("a", "b")).add_tool("a", "one")
    fork = conversation.fork()
    fork.add_tool("b", "two").add_user("more").observe({"usage": {"prompt_tokens": 50}})
    assert conversation.open_calls == ["b"]
    assert said(conversation) == ["rules", "hi"]
    assert fork.tokens != conversation.tokens
    again = Conversation.from_dict(json.loads(json.dumps(fork.to_dict())), count=words)
    assert again.messages == fork.messages
    assert again.tokens == fork.tokens
    plain = pickle.loads(pickle.dumps(Conversation(["hi"], max_tokens=100)))
    assert plain.messages == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("stored", [{}, {"version": 2}, {"version": 1}])
def test_what_is_no_stored_conversation_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no stored conversation"):
        Conversation.from_dict(stored)


# ===== windows and sizes =====


def test_the_window_is_the_smallest_that_is_known_of_the_model() -> None:
    assert Conversation(model="openai/gpt-4o").max_tokens == 128_000
    assert Conversation(model="openai/gpt-4o").reserve == 4096
    deployments = [{"provider": "openai", "model": name} for name in ("gpt-4.1", "gpt-4o")]
    config = {"providers": {"openai": {"api_key": "k"}}, "models": {"smart": {"deployments": deployments}}}
    with fairlead.Client(config) as client:
        assert Conversation(model="smart", client=client).max_tokens == 128_000
        with pytest.raises(fairlead.ConfigError, match="the window of `nowhere` is not known"):
            Conversation(model="nowhere", client=client)
    with pytest.raises(fairlead.ConfigError, match="say how many tokens"):
        Conversation()
    assert Conversation(max_tokens=100).reserve == 25


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 0},
        {"max_tokens": 10, "reserve": 10},
        {"max_tokens": 10, "reserve": -1},
        {"max_tokens": 10, "keep": 0.0},
        {"max_tokens": 10, "keep": 1.5},
        {"max_tokens": 10, "too_long": "maybe"},
        {"max_tokens": 10, "summarise": "a-model"},
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`"):
        Conversation(**options)


def test_sizes_are_those_that_the_engine_estimates(up: Upstream) -> None:
    """The engine refuses what comes to twice a window, and says how many tokens it takes it for."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are terse. " * 9},
        {"role": "user", "content": "Привет, 世界! " * 40},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 99}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x" * 4000}}]},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    for model in ("gpt-4o-mini", "claude-x", "gemini-x", "other"):
        deployment = {"provider": "openai", "model": model, "context_window": 1, "base_url": up.base_url}
        config = {"providers": {"openai": {"api_key": "k"}}, "models": {"m": {"deployments": [deployment]}}}
        with (
            fairlead.Client(config) as client,
            pytest.raises(fairlead.ContextLengthExceeded) as caught,
        ):
            client.chat.completions.create(model="m", messages=messages, tools=tools)
        ours = AROUND + sum(_core._estimate(model, messages)) + _core._estimate_tools(model, tools)
        told = re.search(r"about (\d+)|(\d+) tokens", str(caught.value))
        assert told is not None, caught.value
        assert int(told[1] or told[2]) == pytest.approx(ours, abs=2)
    assert up.requests == []


def test_tools_are_taken_in_every_form_and_given_as_they_are_sent(up: Upstream) -> None:
    @fairlead.tool
    def rope(length: int) -> str:
        """A rope."""
        return "rope" * length

    sent = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    conversation = Conversation(["Hello!"], max_tokens=1000, tools=[rope, sent])
    assert conversation.tools == [rope.model_dump(), sent]
    assert conversation.tokens > Conversation(["Hello!"], max_tokens=1000, tools=[sent]).tokens
    assert Conversation.from_dict(conversation.to_dict()).tools == conversation.tools
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        client.chat.completions.create(model="m", messages=conversation.messages, tools=conversation.tools)
    assert up.requests[0].json()["tools"] == conversation.tools
    for single in (rope, sent):
        assert (
            Conversation(max_tokens=1000, tools=single).tools
            == Conversation(max_tokens=1000, tools=[single]).tools
        )


@pytest.mark.parametrize("tools", ["f", ["f"], [[]], 3, [object()], object(), [NotImplemented]])
def test_what_is_no_tool_is_told(tools: Any) -> None:
    with pytest.raises(fairlead.ConfigError, match=r"tools\[0\]|no JSON form"):
        Conversation(max_tokens=1000, tools=tools)


def test_replies_teach_what_messages_come_to() -> None:
    conversation = Conversation(max_tokens=100_000, model="gpt-5", system="x" * 4000)
    for turn in range(6):
        conversation.add_user("word " * 400)
        before = conversation.tokens
        sent = conversation.messages
        counted = 500 + round(1.3 * sum(_core._estimate("gpt-5", sent)))
        if turn > 1:
            assert abs(before - counted) / counted < 0.1
        conversation.add(
            {
                "choices": [{"message": {"role": "assistant", "content": "ok"}}],
                "usage": {"prompt_tokens": counted},
            }
        )
    assert abs(conversation._line.slope - 1.3) < 0.1


def test_pictures_and_odd_counts_teach_nothing() -> None:
    conversation = Conversation(["hi"], max_tokens=2000)
    before = conversation.tokens
    for counted in (0, -3, None, True, "9"):
        conversation.observe({"usage": {"prompt_tokens": counted}})
    conversation.observe({}).observe({"usage": None})
    assert conversation.tokens == before
    conversation.add_user([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}])
    before = conversation.tokens
    assert conversation.observe({"usage": {"prompt_tokens": 9}}).tokens == before


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(-10, 1e7)), max_size=20),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
)
def test_whatever_is_counted_more_text_is_more_tokens(
    counts: list[tuple[float, float]], one: float, other: float
) -> None:
    line = Line()
    for estimated, counted in counts:
        line.learn(estimated, counted)
    less, more = sorted((one, other))
    assert line.tokens(less) <= line.tokens(more)
    assert line.tokens(0) >= 0
    assert 0.25 <= line.slope <= 4.0
    assert line.estimate(line.tokens(one)) == pytest.approx(one, rel=1e-6, abs=1e-3)


# ===== summaries =====


def talk(**options: Any) -> Conversation:
    conversation = of(803, keep=0.3, **options)
    for number in range(20):
        conversation.add_user(f"question {number} " + "x" * 20).add_assistant(f"answer {number} " + "y" * 20)
    return conversation.add_user("now?")


def test_what_went_is_summed_up_by_a_function_once() -> None:
    seen: list[list[str]] = []

    def summarise(messages: list[dict[str, Any]]) -> str:
        seen.append([message["content"] for message in messages])
        return f"{len(messages)} messages"

    conversation = talk(summarise=summarise, system="rules")
    before = conversation.messages
    messages = conversation.fit()
    assert conversation.fit() == messages
    assert len(seen) == 1
    assert seen[0][0].startswith("question 0")
    assert messages[0] == before[0]
    assert messages[1]["role"] == "user"
    assert messages[1]["content"].endswith(f"\n{conversation.dropped} messages")
    assert messages[2:] == before[1:]
    for number in range(20):
        conversation.add_user("z" * 30).add_assistant(f"{number}")
    conversation.add_user("end").fit()
    assert "messages" in seen[1][0], "the summary before is summed up as well"
    assert conversation.room >= 0


def test_a_function_may_be_asynchronous() -> None:
    async def summarise(messages: list[dict[str, Any]]) -> str:
        await asyncio.sleep(0)
        return "short"

    conversation = talk(summarise=summarise)
    with pytest.raises(TypeError, match="afit"):
        conversation.fit()
    assert asyncio.run(conversation.afit())[0]["content"].endswith("short")


def test_a_summary_that_is_too_long_is_cut() -> None:
    conversation = talk(summarise=lambda messages: "s" * 9000)
    messages = conversation.fit()
    assert "characters left out" in messages[0]["content"]
    assert words(messages[0]) <= 100
    assert conversation.room >= 0


@pytest.mark.parametrize(("found", "error"), [("", ValueError), (3, TypeError)])
def test_a_summary_that_fails_changes_nothing_and_is_tried_again(found: Any, error: type[Exception]) -> None:
    answers = [found, "now it works"]
    conversation = talk(summarise=lambda messages: answers.pop(0))
    before = conversation.messages
    with pytest.raises(error):
        conversation.fit()
    assert conversation.messages == before
    assert conversation.fit()[0]["content"].endswith("now it works")


def test_a_model_sums_up_through_a_client_of_either_kind(up: Upstream) -> None:
    up.reply = ok("They talked.")
    config = {"providers": {"openai": {"api_key": "k", "base_url": up.base_url}}}
    for client in (fairlead.Client(config), fairlead.AsyncClient(config)):
        conversation = talk(summarise="openai/small", client=client)
        assert conversation.fit()[0]["content"].endswith("They talked.")
        conversation = talk(summarise=True, model="openai/large", client=client)
        assert asyncio.run(conversation.afit())[0]["content"].endswith("They talked.")
        client._engine.close()
    assert [request.model for request in up.requests][:2] == ["small", "large"]
    task, prompt = up.requests[0].json()["messages"]
    assert "never an instruction" in task["content"]
    assert prompt["content"].startswith("user: question 0")


def test_long_beginnings_are_summed_up_in_portions(up: Upstream) -> None:
    up.reply = lambda request: ok(f"summary {len(up.requests)}")
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    conversation = of(803, summarise="m", client=client)
    for _ in range(40):
        conversation.add_user("x" * 600).add_assistant("y")
    conversation.fit()
    assert len(up.requests) > 5
    assert "summary 1" in up.requests[1].json()["messages"][1]["content"]
    assert max(len(request.body) for request in up.requests) < 5000
    client.close()


def test_a_call_that_fails_leaves_the_conversation_as_it_was(up: Upstream) -> None:
    up.script = [fail(400)]
    client = fairlead.Client(api_key="test", base_url=up.base_url)
    conversation = talk(summarise="m", client=client)
    stored = conversation.to_dict()
    with pytest.raises(fairlead.BadRequestError):
        conversation.fit()
    assert conversation.to_dict() == stored
    conversation.fit()
    assert conversation.summary
    client.close()


def test_two_summaries_at_once_lose_nothing() -> None:
    async def summarise(messages: list[dict[str, Any]]) -> str:
        await asyncio.sleep(0)
        return f"{len(messages)}"

    async def main() -> None:
        conversation = talk(summarise=summarise)
        gone = len(conversation.to_dict()["gone"])
        await asyncio.gather(conversation.afit(), conversation.afit())
        assert conversation.summary == str(gone)
        assert conversation.to_dict()["gone"] == []

    asyncio.run(main())
