"""`ChatFairlead` by itself: what is sent, what comes back, and what LangChain is told."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import threading
import uuid
from typing import Any, TypedDict

import fairlead
import httpx
import pytest

pytest.importorskip("langchain_core")

from fairlead.langchain import ChatFairlead, FairleadEmbeddings
from fairlead.testing import Upstream, fail, hang, ok, sse, stream, tool_call
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.exceptions import ModelError, ModelRefusalError
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import collect_runs
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from pydantic import BaseModel, SecretStr, ValidationError

BETA = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")


def chat(up: Upstream, **arguments: Any) -> ChatFairlead:
    return ChatFairlead(**{"model": "m", "api_key": "test", "base_url": up.base_url, **arguments})


def merged(chunks: Any) -> Any:
    pieces = list(chunks)
    return sum(pieces[1:], pieces[0])


def delta(fields: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice], **members}


class Weather(BaseModel):
    """How it is outside."""

    place: str
    degrees: int


class Seen(BaseCallbackHandler):
    """What callbacks are told."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.options: list[Any] = []
        self.params: list[Any] = []
        self.tokens: list[str] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **told: Any) -> None:
        self.runs.append("start")
        self.options.append(told["options"])
        self.params.append(told["invocation_params"])

    def on_llm_new_token(self, token: str, **told: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: Any, **told: Any) -> None:
        self.runs.append("end")

    def on_llm_error(self, error: BaseException, **told: Any) -> None:
        self.runs.append(type(error).__name__)


# ===== what is sent =====


def test_arguments_of_the_model_the_binding_and_the_call_are_sent(up: Upstream) -> None:
    model = chat(
        up,
        temperature=0.5,
        max_tokens=9,
        stop=["END"],
        model_kwargs={"user": "u", "extra_headers": {"x-more": "d"}},
        default_headers={"x-team": "a", "x-kind": "b"},
    )
    model.bind(seed=7).invoke("Hi", model="other", extra_headers={"x-kind": "c"}, stop=["NOW"])
    [request] = up.requests
    body = request.json()
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    kept = ("model", "temperature", "max_tokens", "user", "seed", "stop")
    assert {name: body[name] for name in kept} == {
        "model": "other",
        "temperature": 0.5,
        "max_tokens": 9,
        "user": "u",
        "seed": 7,
        "stop": ["NOW"],
    }
    assert [request.headers[name] for name in ("x-team", "x-kind", "x-more")] == ["a", "c", "d"]


def test_unknown_arguments_of_the_constructor_are_sent_with_a_warning(up: Upstream) -> None:
    with pytest.warns(UserWarning, match="verbosity"):
        model = chat(up, verbosity="low")
    model.invoke("Hi")
    assert up.requests[0].json()["verbosity"] == "low"


def test_the_names_of_chat_openai_are_ours_too(up: Upstream) -> None:
    model = ChatFairlead(
        model_name="m", openai_api_key="sk-of-openai", openai_api_base=up.base_url, request_timeout=7
    )
    assert (model.model_name, model.base_url, model.timeout) == ("m", up.base_url, 7)
    model.invoke("Hi")
    [request] = up.requests
    assert request.headers["authorization"] == "Bearer sk-of-openai"
    assert request.json() == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    assert "sk-of-openai" not in repr(model) + json.dumps(dumpd(model))
    embeddings = FairleadEmbeddings(
        model_name="e", openai_api_key="sk-of-openai", openai_api_base=up.base_url
    )
    embeddings.embed_query("Hi")
    assert up.requests[1].headers["authorization"] == "Bearer sk-of-openai"
    assert "sk-of-openai" not in repr(embeddings)


@pytest.mark.parametrize("made", [ChatFairlead, FairleadEmbeddings])
def test_an_argument_is_given_under_one_name(made: Any) -> None:
    with pytest.raises(TypeError, match="`openai_api_key` is another name of `api_key`") as caught:
        made(model="m", api_key="sk-one", openai_api_key="sk-two")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("name", ["mistral_api_key", "azure_ad_token", "client_secret", "password", "apiKey"])
@pytest.mark.parametrize("made", [ChatFairlead, FairleadEmbeddings])
def test_an_unknown_secret_is_refused_and_not_shown(made: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"`{name}` is unknown") as caught:
        made(model="m", **{name: "sk-secret"})
    assert "sk-secret" not in str(caught.value)
    with pytest.raises(TypeError, match=f"`{name}` is unknown"):
        made(model="m", model_kwargs={name: "sk-secret"})


def test_a_secret_of_a_call_is_refused_and_not_sent(up: Upstream) -> None:
    model = chat(up)
    for ask in (
        lambda: model.invoke("Hi", api_key="sk-1"),
        lambda: [*model.bind(api_key="sk-1").stream("Hi")],
    ):
        with pytest.raises(TypeError, match="`api_key` is unknown") as caught:
            ask()
        assert "sk-1" not in str(caught.value)
    assert up.requests == []
    model.invoke("Hi", prompt_cache_key="greetings", fairlead={"api_key": "sk-1"})
    assert up.requests[0].headers["authorization"] == "Bearer sk-1"
    assert up.requests[0].json()["prompt_cache_key"] == "greetings"


@pytest.mark.parametrize("made", [ChatFairlead, FairleadEmbeddings])
def test_no_key_is_shown_by_an_argument_that_is_wrong(made: Any) -> None:
    with pytest.raises(ValidationError, match="timeout") as caught:
        made(model="m", api_key="sk-secret", timeout="long", default_headers={"x": 1})
    assert "sk-secret" not in str(caught.value)


def test_the_model_kwargs_of_the_caller_stay_as_they_are(up: Upstream) -> None:
    own: dict[str, Any] = {"user": "u"}
    with pytest.warns(UserWarning, match="verbosity"):
        chat(up, verbosity="low", model_kwargs=own)
    assert own == {"user": "u"}


BASE64 = "aGk="
PARTS = {
    "text": ({"type": "text", "text": "a", "id": "x"}, {"type": "text", "text": "a"}),
    "openai image": (
        {"type": "image_url", "image_url": {"url": "http://h/i.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "http://h/i.png", "detail": "low"}},
    ),
    "v1 image url": (
        {"type": "image", "url": "http://h/i.png"},
        {"type": "image_url", "image_url": {"url": "http://h/i.png"}},
    ),
    "v1 image data": (
        {"type": "image", "base64": BASE64, "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
    ),
    "v0 image data": (
        {"type": "image", "source_type": "base64", "data": BASE64, "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
    ),
    "anthropic image": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
    ),
    "anthropic document": (
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": BASE64},
        },
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{BASE64}"}},
    ),
    "v1 file": (
        {"type": "file", "base64": BASE64, "mime_type": "application/pdf", "filename": "b.pdf"},
        {"type": "file", "file": {"filename": "b.pdf", "file_data": f"data:application/pdf;base64,{BASE64}"}},
    ),
    "v1 file without a name": (
        {"type": "file", "base64": BASE64, "mime_type": "application/pdf"},
        {
            "type": "file",
            "file": {"filename": "file.pdf", "file_data": f"data:application/pdf;base64,{BASE64}"},
        },
    ),
    "v1 file url": (
        {"type": "file", "url": "http://h/a.pdf", "mime_type": "application/pdf"},
        {"type": "file", "file": {"filename": "file.pdf", "file_data": "http://h/a.pdf"}},
    ),
    "file id": ({"type": "file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
    "v1 audio": (
        {"type": "audio", "base64": BASE64, "mime_type": "audio/wav"},
        {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
    ),
    "openai audio": (
        {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
    ),
    "video": (
        {"type": "video", "base64": BASE64, "mime_type": "video/mp4"},
        {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{BASE64}"}},
    ),
    "plain text": ({"type": "text-plain", "text": "a"}, {"type": "text", "text": "a"}),
    "plain text data": (
        {"type": "text-plain", "base64": BASE64, "mime_type": "text/plain"},
        {"type": "text", "text": "hi"},
    ),
    "plain text id": ({"type": "text-plain", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
    "anthropic document id": (
        {"type": "document", "source": {"type": "file", "file_id": "f1"}},
        {"type": "file", "file": {"file_id": "f1"}},
    ),
    "anthropic document content": (
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "text", "text": part} for part in "ab"]},
        },
        {"type": "text", "text": "ab"},
    ),
    "anthropic result": (
        {
            "type": "tool_result",
            "tool_use_id": "c1",
            "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        },
        {"type": "text", "text": "a"},
    ),
    "anthropic result of nothing": (
        {"type": "tool_result", "tool_use_id": "c1"},
        {"type": "text", "text": ""},
    ),
    **{
        f"audio of {kind}": (
            {"type": "audio", "base64": BASE64, "mime_type": f"audio/{kind}"},
            {"type": "input_audio", "input_audio": {"data": BASE64, "format": known}},
        )
        for kind, known in {"mpeg": "mp3", "mp3": "mp3", "x-wav": "wav", "wave": "wav", "ogg": "ogg"}.items()
    },
}


@pytest.mark.parametrize("name", PARTS)
def test_content_blocks_of_every_origin_reach_the_wire(name: str, up: Upstream) -> None:
    given, wire = PARTS[name]
    chat(up).invoke([HumanMessage([given])])
    assert up.requests[0].json()["messages"][0]["content"] == [wire]


@pytest.mark.parametrize("kind", ["audio", "file", "image"])
@pytest.mark.parametrize("data", [{"base64": BASE64}, {"source_type": "base64", "data": BASE64}])
def test_a_block_that_does_not_say_what_its_data_is_is_told_so(
    kind: str, data: dict[str, str], up: Upstream
) -> None:
    with pytest.raises(ValueError, match="mime_type") as caught:
        chat(up).invoke([HumanMessage([{"type": kind, **data}])])
    assert len(str(caught.value)) > len("'mime_type'")
    assert up.requests == []


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"type": "text-plain", "url": "http://h/a.txt"}, "`text-plain` .* neither `text` nor `base64`"),
        ({"type": "text-plain", "base64": "/w=="}, "`text-plain` .* no text in UTF-8"),
        ({"type": "text-plain", "base64": "?"}, "`text-plain` .* no text in UTF-8"),
        ({"type": "document", "source": {"type": "other"}}, "`document` .* type `other`"),
        (
            {"type": "document", "source": {"type": "content", "content": [PARTS["anthropic image"][0]]}},
            "`document` .* not text alone",
        ),
        (
            {"type": "tool_result", "tool_use_id": "c1", "content": [PARTS["anthropic image"][0]]},
            "`tool_result` .* not text alone",
        ),
        ({"type": "image", "source": {"type": "file", "file_id": "f1"}}, "`image` .* type `file`"),
    ],
)
def test_a_block_that_cannot_be_said_is_refused(block: dict[str, Any], says: str, up: Upstream) -> None:
    with pytest.raises(ValueError, match=says):
        chat(up).invoke([HumanMessage([{"type": "text", "text": "Read."}, block])])
    assert up.requests == []


def test_a_history_of_tools_is_sent_in_openais_form(up: Upstream) -> None:
    call = {"type": "tool_call", "id": "c1", "name": "look", "args": {"at": "你好"}}
    broken = {"type": "invalid_tool_call", "id": "c2", "name": "look", "args": "{", "error": None}
    chat(up).invoke(
        [
            SystemMessage([{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]),
            AIMessage(
                [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {}},
                ],
                tool_calls=[call],
                invalid_tool_calls=[broken],
            ),
            ToolMessage(
                [{"type": "text", "text": "nothing"}], tool_call_id="c1", name="look", status="error"
            ),
            HumanMessage("And?", name="ann"),
        ]
    )
    system, assistant, tool, user = up.requests[0].json()["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert assistant["content"] == "I look."
    assert [one["function"]["arguments"] for one in assistant["tool_calls"]] == ['{"at": "你好"}', "{"]
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "nothing"}
    assert user == {"role": "user", "content": "And?", "name": "ann"}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_tracers_and_routing_are_told_is_never_sent(streamed: bool, up: Upstream) -> None:
    up.reply = ok('{"place": "here", "degrees": 3}')
    seen = Seen()
    model = chat(up, stream_usage=False).with_structured_output(Weather)
    config: Any = {"callbacks": [seen], "tags": ["t"], "configurable": {"thread_id": "x"}}
    found = list(model.stream("?", config))[-1] if streamed else model.invoke("?", config)
    assert found == Weather(place="here", degrees=3)
    body = up.requests[0].json()
    assert {*body} - {"stream", "stream_options"} == {"model", "messages", "response_format"}
    assert seen.options[0]["ls_structured_output_format"]["schema"]["title"] == "Weather"
    assert "fairlead_scope" not in seen.params[0]


PLAIN = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("where", ["call", "binding", "model"])
def test_options_of_the_engine_are_never_sent(where: str, up: Upstream) -> None:
    given: dict[str, Any] = {
        "key": "team",
        "deadline": 20,
        "priority": "high",
        "tenant": "acme",
        "session": "s",
        "budget": None,
        "request_timeout": 9,
    }
    if where == "call":
        chat(up).invoke("Hi", **given)
    elif where == "binding":
        chat(up).bind(**given).invoke("Hi")
    else:
        chat(up, model_kwargs=given).invoke("Hi")
    assert up.requests[0].json() == PLAIN


def test_options_of_a_call_hold_for_it(up: Upstream) -> None:
    model = chat(up, base_url=None, model="openai/m", config=named(up), max_retries=3)
    up.reply = fail(500)
    for ask in (lambda: model.invoke("Hi", max_retries=0), lambda: list(model.stream("Hi", max_retries=0))):
        with pytest.raises(fairlead.InternalServerError):
            ask()
    assert len(up.requests) == 2
    up.reply = hang()
    with pytest.raises(fairlead.DeadlineExceeded):
        model.invoke("Hi", deadline=0.2)
    with pytest.raises(fairlead.DeadlineExceeded):
        model.invoke("Hi", deadline=20, fairlead={"deadline": 0.2})
    with Upstream() as other:
        model.invoke("Hi", base_url=other.base_url)
        assert len(other.requests) == 1


def test_the_key_of_a_call_is_not_told_to_tracers(up: Upstream) -> None:
    seen = Seen()
    options = {"api_key": "sk-of-the-call", "tenant": "acme"}
    model = chat(up, cache=InMemoryCache())
    model.invoke("Hi", {"callbacks": [seen]}, fairlead=options)
    assert up.requests[0].headers["authorization"] == "Bearer sk-of-the-call"
    assert seen.params[0]["fairlead"] == {"tenant": "acme"}
    assert "sk-of-the-call" not in repr(model.cache._cache)  # type: ignore[union-attr]


# ===== what comes back =====


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_reply_tells_who_served_it_in_plain_json(streamed: bool, up: Upstream) -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    up.reply = ok("Well.", usage=usage)
    model = chat(up, model="gpt-4o-mini", base_url=None, config=priced(up))
    reply = merged(model.stream("Hi")) if streamed else model.invoke("Hi")
    told = reply.response_metadata
    assert json.loads(json.dumps(told)) == told
    assert (told["model_name"], told["model_provider"], told["finish_reason"]) == (
        "gpt-4o-mini",
        "fairlead",
        "stop",
    )
    assert (told["provider"], told["deployment"], told["attempts"]) == ("openai", "openai/gpt-4o-mini", 1)
    assert told["cost_usd"] == pytest.approx(9e-6 + 4 * 2e-6)
    assert isinstance(told["id"], str)
    assert reply.usage_metadata == {
        "input_tokens": 9,
        "output_tokens": 4,
        "total_tokens": 13,
        "input_token_details": {"cache_read": 5},
        "output_token_details": {"reasoning": 2},
    }


def priced(up: Upstream) -> dict[str, Any]:
    price = {"input": 1, "output": 2, "cache_read": 1}
    deployment = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "base_url": up.base_url,
        "api_key": "k",
        "price": price,
    }
    return {"models": {"gpt-4o-mini": {"deployments": [deployment]}}}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tracers_learn_which_provider_and_model_served(streamed: bool, up: Upstream) -> None:
    collector = RunCollectorCallbackHandler()
    model, config = ChatFairlead(model="openai/gpt-4o-mini", config=named(up)), {"callbacks": [collector]}
    reply = merged(model.stream("?", config)) if streamed else model.invoke("?", config)
    [run] = collector.traced_runs
    assert run.extra["metadata"]["ls_gateway_info"] == {"provider": "openai", "model": "gpt-4o-mini"}
    assert run.extra["metadata"]["ls_model_name"] == "gpt-4o-mini"
    assert "lc_gateway_metadata" not in reply.response_metadata


def named(up: Upstream) -> dict[str, Any]:
    return {"providers": {"openai": {"base_url": up.base_url, "api_key": "k"}}}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_messages_are_as_if_langchain_had_made_them(streamed: bool, up: Upstream) -> None:
    up.reply = ok("Well.", tool_calls=[tool_call("look", {"at": 1})])
    pieces = list(chat(up)._stream([HumanMessage("?")])) if streamed else []
    generation: Any = pieces[0] if pieces else chat(up)._generate([HumanMessage("?")]).generations[0]
    message = generation.message
    for built in (message, generation):
        fields = {name: getattr(built, name) for name in type(built).model_fields}
        made = type(built)(**fields)
        assert built == made
        assert vars(built) == vars(made)
        assert dumpd(built) == dumpd(made)
        assert repr(built) == repr(made)
        assert pickle.loads(pickle.dumps(built)) == made
        assert built.model_copy(deep=True) == made
    message.additional_kwargs["own"] = message.response_metadata["own"] = 1
    assert "own" not in chat(up).invoke("?").additional_kwargs


THOUGHTS = [
    {"type": "reasoning.text", "text": "Hm, ", "index": 0, "format": "f"},
    {"type": "reasoning.text", "text": "yes.", "index": 0, "format": "f", "signature": "s"},
]
WHOLE_THOUGHT = [{"type": "reasoning.text", "text": "Hm, yes.", "index": 0, "format": "f", "signature": "s"}]


def test_thoughts_come_and_go_back(up: Upstream) -> None:
    events = [
        delta({"role": "assistant", "content": "", "reasoning": "Hm, ", "reasoning_details": THOUGHTS[:1]}),
        delta({"reasoning": "yes.", "reasoning_details": THOUGHTS[1:]}),
        delta({"content": "Yes."}),
        delta({}, "stop"),
    ]
    up.script = [sse([json.dumps(event) for event in events] + ["[DONE]"])]
    model = chat(up)
    reply = merged(model.stream("?"))
    assert [block["type"] for block in reply.content_blocks] == ["reasoning", "text"]
    assert reply.content_blocks[0]["reasoning"] == "Hm, yes."
    assert reply.additional_kwargs["reasoning_details"] == WHOLE_THOUGHT
    model.invoke([HumanMessage("?"), reply, HumanMessage("Sure?")])
    back = up.requests[1].json()["messages"][1]
    assert back == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Hm, yes.",
        "reasoning_details": WHOLE_THOUGHT,
    }


def test_thoughts_in_standard_blocks_go_back_too(up: Upstream) -> None:
    said = AIMessage([{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "Yes."}])
    chat(up).invoke([HumanMessage("?"), said, HumanMessage("Sure?")])
    back = up.requests[0].json()["messages"][1]
    assert back == {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_text_and_tool_calls_in_one_stream_stay_apart(version: str, up: Upstream) -> None:
    calls = [tool_call("look", {"at": "a"}, "c1"), tool_call("look", {"at": "b"}, "c2")]
    up.reply = ok("I look twice.", tool_calls=calls)
    reply = merged(chat(up, output_version=version).stream("?"))
    assert reply.text == "I look twice."
    assert [(call["id"], call["args"]) for call in reply.tool_calls] == [
        ("c1", {"at": "a"}),
        ("c2", {"at": "b"}),
    ]
    assert [block["type"] for block in reply.content_blocks] == ["text", "tool_call", "tool_call"]


def test_arguments_that_are_no_json_make_an_invalid_call(up: Upstream) -> None:
    up.reply = ok(tool_calls=[tool_call("look", '{"at": ')])
    reply = chat(up).invoke("?")
    assert reply.tool_calls == []
    [bad] = reply.invalid_tool_calls
    assert (bad["name"], bad["args"]) == ("look", '{"at": ')


def test_all_choices_are_generations(up: Upstream) -> None:
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for place, text in enumerate(["a", "b"])
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    up.reply = fairlead.testing.Reply(body=body)
    result = chat(up, n=2).generate([[HumanMessage("?")]])
    assert [generation.text for generation in result.generations[0]] == ["a", "b"]
    assert result.llm_output == {"model_name": "m", "token_usage": body["usage"]}


@pytest.mark.parametrize("include_raw", [False, True], ids=["parsed", "raw"])
def test_a_refusal_is_an_error_of_structured_output_alone(include_raw: bool, up: Upstream) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    up.reply = fairlead.testing.Reply(body=body)
    model = chat(up)
    assert model.invoke("?").content_blocks == [{"type": "refusal", "refusal": "I will not."}]
    asked = model.with_structured_output(Weather, include_raw=include_raw)
    if include_raw:
        assert isinstance(asked.invoke("?")["parsing_error"], ModelRefusalError)
    else:
        with pytest.raises(ModelRefusalError, match="I will not"):
            asked.invoke("?")


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_with_the_raw_answer_and_its_fault(method: str, up: Upstream) -> None:
    bad = '{"place": "here"}'
    up.reply = ok(tool_calls=[tool_call("Weather", bad)]) if method == "function_calling" else ok(bad)
    found = chat(up).with_structured_output(Weather, method=method, include_raw=True).invoke("?")
    assert found["parsed"] is None
    assert isinstance(found["raw"], AIMessage)
    assert "degrees" in str(found["parsing_error"])


class Sky(TypedDict):
    """How it is above."""

    place: str


SCHEMAS: list[Any] = [Weather, Sky, {"title": "Weather", **Weather.model_json_schema()}]
CUT = '{"place": "here", "degrees": 1'
"""Parsers of LangChain would make a whole object of it."""


def cut_off(method: str, schema: Any, streamed: bool) -> Any:
    """An answer that its length limit cut off."""
    if method != "function_calling":
        return (
            sse([delta({"content": CUT}), delta({}, "length")])
            if streamed
            else ok(CUT, finish_reason="length")
        )
    name = "Sky" if schema is Sky else "Weather"
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": CUT}}
    if streamed:
        return sse([delta({"tool_calls": [call]}), delta({}, "length")])
    return ok(tool_calls=[tool_call(name, CUT)], finish_reason="length")


@pytest.mark.parametrize("schema", SCHEMAS, ids=["pydantic", "typed dict", "json schema"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_an_answer_that_was_cut_off_is_no_object(method: str, schema: Any, up: Upstream) -> None:
    model = chat(up)
    asked = model.with_structured_output(schema, method=method)
    up.reply = cut_off(method, schema, streamed=False)
    with pytest.raises(fairlead.LengthFinishReasonError, match="cut off") as caught:
        asked.invoke("?")
    assert isinstance(caught.value, ModelError)
    assert (caught.value.is_retryable, type(caught.value.completion)) == (False, AIMessage)
    with pytest.raises(fairlead.LengthFinishReasonError):
        asyncio.run(asked.ainvoke("?"))
    up.reply = cut_off(method, schema, streamed=True)
    with pytest.raises(fairlead.LengthFinishReasonError):
        list(asked.stream("?"))


@pytest.mark.parametrize("schema", SCHEMAS, ids=["pydantic", "typed dict", "json schema"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_an_answer_that_was_cut_off_is_a_parsing_error_beside_the_raw_one(
    method: str, schema: Any, up: Upstream
) -> None:
    asked = chat(up).with_structured_output(schema, method=method, include_raw=True)
    up.reply = cut_off(method, schema, streamed=False)
    found = [asked.invoke("?"), asyncio.run(asked.ainvoke("?"))]
    up.reply = cut_off(method, schema, streamed=True)
    found.append(merged(asked.stream("?")))
    found.append(asyncio.run(gathered(asked.astream("?"))))
    for one in found:
        assert one["parsed"] is None
        assert isinstance(one["raw"], AIMessage)
        assert isinstance(one["parsing_error"], fairlead.LengthFinishReasonError)


async def gathered(chunks: Any) -> Any:
    return merged([chunk async for chunk in chunks])


def test_objects_grow_in_a_stream_of_structured_output(up: Upstream) -> None:
    up.reply = stream(['{"place": "he', 're"', "}"])
    assert [*chat(up).with_structured_output(Sky).stream("?")] == [{"place": "he"}, {"place": "here"}]
    found = merged(chat(up).with_structured_output(Sky, include_raw=True).stream("?"))
    assert (found["raw"].text, found["parsed"], found["parsing_error"]) == (
        '{"place": "here"}',
        {"place": "here"},
        None,
    )


# ===== the protocol of events =====


@BETA
def test_events_of_a_stream_with_thoughts_text_and_calls(up: Upstream) -> None:
    events = [
        delta({"role": "assistant", "reasoning_content": "Hm."}),
        delta({"content": "I "}),
        delta({"content": "look."}),
        delta({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look", "arguments": ""}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"at": 1}'}}]}),
        delta({}, "tool_calls", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    ]
    up.reply = sse([json.dumps(event) for event in events] + ["[DONE]"])
    seen = Seen()
    run = chat(up).stream_events("?", {"callbacks": [seen]}, version="v3")
    told = list(run)
    assert_valid_event_stream(told)
    kinds = [event["content"]["type"] for event in told if event["event"] == "content-block-finish"]
    assert kinds == ["reasoning", "text", "tool_call"]
    assert told[0]["metadata"] == {"provider": "fairlead", "model": "m"}
    assert run.output.tool_calls[0]["args"] == {"at": 1}
    assert run.output.usage_metadata["total_tokens"] == 3
    assert run.output.response_metadata["deployment"] == "openai/m"
    assert "".join(seen.tokens) == "I look."
    assert seen.runs == ["start", "end"]


# ===== LangChain's own services around a call =====


async def test_an_answer_is_the_same_whether_or_not_somebody_watches(up: Upstream) -> None:
    up.reply = ok("Well.", tool_calls=[tool_call("look", {"at": 1})], model="m-1")
    model, run = chat(up), uuid.uuid4()
    config: Any = {"run_id": run, "configurable": {"thread_id": "t"}}
    alone = await model.ainvoke("?", config)
    watched = await model.ainvoke("?", {**config, "callbacks": [Seen()]})
    assert alone.id == watched.id == f"lc_run--{run}-0"
    assert (await model.ainvoke("?")).id.startswith("lc_run--")
    for message in (alone, watched):
        for name in ("id", "created"):
            del message.response_metadata[name]
    assert vars(alone) == vars(watched)


async def test_whoever_watches_from_afar_sees_the_run(up: Upstream) -> None:
    model = chat(up)
    with get_usage_metadata_callback() as usage:
        await model.ainvoke("Hi")
    assert usage.usage_metadata["m"]["total_tokens"] == 2
    seen = Seen()

    async def inside(it: str) -> Any:
        return await model.ainvoke(it)

    await RunnableLambda(inside).ainvoke("Hi", {"callbacks": [seen]})
    await chat(up, callbacks=[seen]).ainvoke("Hi")
    assert seen.runs == ["start", "end"] * 2
    with collect_runs() as collected:
        await model.ainvoke("Hi")
    assert len(collected.traced_runs) == 1


async def test_a_subclass_that_replaces_a_step_is_asked(up: Upstream) -> None:
    class Loud(ChatFairlead):
        async def agenerate(self, *args: Any, **kwargs: Any) -> Any:
            loud.append(1)
            return await super().agenerate(*args, **kwargs)

    loud: list[int] = []
    await Loud(model="m", api_key="test", base_url=up.base_url).ainvoke("Hi")
    assert loud == [1]


async def test_caches_and_missing_caches_hold_for_awaited_calls(up: Upstream) -> None:
    model = chat(up, cache=InMemoryCache())
    await model.ainvoke("Hi")
    await model.ainvoke("Hi")
    assert len(up.requests) == 1
    set_llm_cache(InMemoryCache())
    try:
        await chat(up).ainvoke("Hi")
        await chat(up).ainvoke("Hi")
        await chat(up, cache=False).ainvoke("Hi")
    finally:
        set_llm_cache(None)
    assert len(up.requests) == 3
    with pytest.raises(ValueError, match="no cache found"):
        await chat(up, cache=True).ainvoke("Hi")


def test_langchains_cache_does_not_tell_callers_apart(up: Upstream) -> None:
    model = chat(up, cache=InMemoryCache())
    first = model.invoke("Hi", {"configurable": {"thread_id": "a"}})
    again = model.invoke("Hi", {"configurable": {"thread_id": "b"}, "tags": ["t"]})
    assert again.content == first.content
    assert len(up.requests) == 1


def test_langchains_cache_tells_configurations_apart(up: Upstream) -> None:
    cache = InMemoryCache()
    up.reply = lambda request: ok(request.model)
    for name in ("a", "b", "a"):
        deployment = {"provider": "openai", "model": name, "base_url": up.base_url, "api_key": "k"}
        config = {"models": {"m": {"deployments": [deployment]}}}
        assert ChatFairlead(model="m", config=config, cache=cache).invoke("?").text == name
        with fairlead.Client(config) as client:
            assert ChatFairlead(model="m", client=client, cache=cache).invoke("?").text == name
    assert len(up.requests) == 2


def test_no_key_and_no_configuration_with_keys_is_written_out(up: Upstream) -> None:
    config = {"providers": {"openai": {"api_key": "sk-in-the-config", "base_url": up.base_url}}}
    model = ChatFairlead(
        model="openai/m", api_key="sk-of-the-model", config=config, default_headers={"x": "sk-in-a-header"}
    )
    written = (
        json.dumps(dumpd(model))
        + repr(model)
        + str(model.asdict())
        + json.dumps(model.model_dump(), default=str)
    )
    for secret in ("sk-of-the-model", "sk-in-a-header"):
        assert secret not in written.replace(repr(model), "")
    assert "sk-in-the-config" not in json.dumps(dumpd(model))


def test_a_model_can_be_copied_and_pickled(up: Upstream) -> None:
    model = chat(up)
    model.invoke("Hi")
    assert copy.deepcopy(model).invoke("Hi").text == "Hi"
    assert pickle.loads(pickle.dumps(model)).invoke("Hi").text == "Hi"
    embeddings = FairleadEmbeddings(
        model="e", api_key="test", base_url=up.base_url, timeout=fairlead.Timeout(9)
    )
    vector = embeddings.embed_query("Hi")
    assert copy.deepcopy(embeddings).embed_query("Hi") == vector
    assert pickle.loads(pickle.dumps(embeddings)).embed_query("Hi") == vector


@BETA
@pytest.mark.parametrize("kind", [fairlead.Timeout, httpx.Timeout])
def test_a_timeout_is_seconds_or_limits_and_is_written_out_in_plain_types(kind: Any, up: Upstream) -> None:
    up.reply = hang()
    limits = {"connect": 2.0, "read": 0.1, "write": 30.0, "pool": 30.0}
    given = kind(30, connect=2, read=0.1)
    model = chat(up, timeout=given, max_retries=0)
    embeddings = FairleadEmbeddings(
        model="e", api_key="k", base_url=up.base_url, timeout=given, max_retries=0
    )
    loaded = load(
        dumpd(model),
        allowed_objects="all",
        valid_namespaces=["fairlead"],
        secrets_map={"FAIRLEAD_API_KEY": "k"},
    )
    for ask in (model.invoke, embeddings.embed_query, loaded.invoke):
        with pytest.raises(fairlead.APITimeoutError):
            ask("Hi")
    assert model.model_dump()["timeout"] == embeddings.model_dump()["timeout"] == limits
    assert model._get_invocation_params()["timeout"] == limits
    assert FairleadEmbeddings(**embeddings.model_dump()).model_dump()["timeout"] == limits
    assert chat(up, timeout=7).model_dump()["timeout"] == 7
    for wrong in ("long", {"connect": 1}, [1, 2], object()):
        with pytest.raises(ValidationError, match="expected seconds, None or a Timeout"):
            chat(up, timeout=wrong)


def test_one_model_serves_many_event_loops_and_threads(up: Upstream) -> None:
    model = chat(up)
    said: list[str] = []

    def ask() -> None:
        said.append(asyncio.run(model.ainvoke("Hi")).text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [asyncio.run(model.ainvoke("Hi")).text for _ in range(3)] + said == ["Hi"] * 7


def test_models_of_the_same_arguments_share_an_engine_and_a_given_client_is_used(up: Upstream) -> None:
    one, other = chat(up), chat(up, temperature=1)
    assert one._engines().awaited is other._engines().awaited
    with fairlead.Client(api_key="test", base_url=up.base_url) as client:
        given = ChatFairlead(model="m", client=client)
        assert asyncio.run(given.ainvoke("Hi")).text == "Hi"
        assert client.stats()["total_requests"] == 1
    with pytest.raises(TypeError, match=r"fairlead\.Client"):
        ChatFairlead(model="m", client=object()).invoke("Hi")


def test_a_used_model_whose_arguments_change_calls_what_they_say_now(up: Upstream) -> None:
    model = chat(up)
    model.invoke("Hi")
    with Upstream() as other, fairlead.Client(api_key="of-the-client", base_url=other.base_url) as client:
        model.base_url = other.base_url
        model.invoke("Hi")
        model.model_copy(update={"api_key": SecretStr("second")}).invoke("Hi")
        model.api_key = "third"  # type: ignore[assignment]
        asyncio.run(model.ainvoke("Hi"))
        model.model_copy(update={"client": client}).invoke("Hi")
        model.config = named(other)
        model.base_url = model.api_key = None
        model.invoke("Hi", model="openai/m")
        sent = [request.headers["authorization"] for request in other.requests]
    assert sent == ["Bearer test", "Bearer second", "Bearer third", "Bearer of-the-client", "Bearer k"]
    assert len(up.requests) == 1


@pytest.mark.parametrize("change", ["assign", "copy"])
def test_a_model_that_does_not_change_keeps_its_engine(change: str, up: Upstream) -> None:
    model = ChatFairlead(model="openai/m", config=named(up))
    model.invoke("Hi")
    engine = model._engines().awaited._engine
    if change == "copy":
        model = copy.copy(model).model_copy(update={"temperature": 0.3})
    else:
        model.temperature = 0.3
        model.config = named(up)  # another dict that says the same
    model.invoke("Hi")
    assert model._engines().awaited._engine is engine


def test_a_stream_outlives_a_change_of_its_model(up: Upstream) -> None:
    up.reply = ok("one two three", interval=0.05)
    model = ChatFairlead(model="openai/m", config=named(up))
    pieces = model.stream("Hi")
    text = next(pieces).text
    with Upstream() as other:
        model.config = named(other)
        model.invoke("Hi")
        gc.collect()
        assert text + "".join(piece.text for piece in pieces) == "one two three"
        assert (len(up.requests), len(other.requests)) == (1, 1)


def test_the_key_of_the_environment_goes_to_the_base_url_alone(
    up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_API_KEY", "of-the-gateway")
    monkeypatch.setenv("OPENAI_API_KEY", "of-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", up.base_url)
    ChatFairlead(model="openai/m").invoke("Hi")
    ChatFairlead(model="m", base_url=up.base_url).invoke("Hi")
    monkeypatch.setenv("FAIRLEAD_BASE_URL", "http://127.0.0.1:9/v1")
    ChatFairlead(model="openai/m", config=named(up)).invoke("Hi")
    keys = [request.headers["authorization"] for request in up.requests]
    assert keys == ["Bearer of-openai", "Bearer of-the-gateway", "Bearer k"]


def test_the_profile_is_what_all_deployments_of_the_route_can_do() -> None:
    small = {"provider": "openai", "model": "gpt-4o-mini", "api_key": "k", "context_window": 9000}
    blind = {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "api_key": "k",
        "supports": {"vision": False},
    }
    unknown = {"provider": "openai", "model": "house-model", "api_key": "k"}
    config = {
        "models": {
            "one": {"deployments": [small]},
            "two": {"deployments": [small, blind]},
            "three": {"deployments": [small, unknown]},
        }
    }
    with fairlead.Client(config) as client:
        one, two, three = (ChatFairlead(model=name, client=client).profile for name in config["models"])
    assert one is not None
    assert two is not None
    assert (one["max_input_tokens"], one["image_inputs"], one["tool_calling"]) == (9000, True, True)
    assert (two["max_input_tokens"], two["tool_calling"]) == (9000, True)
    assert "image_inputs" not in two
    assert not {"max_input_tokens", "tool_calling"} & {*(three or {})}


async def test_whole_and_streamed_answers_are_the_same(up: Upstream) -> None:
    up.reply = stream(["Hel", "lo"])
    model = chat(up, streaming=True)
    seen = Seen()
    whole = await model.ainvoke("?", {"callbacks": [seen]})
    assert (whole.text, seen.tokens) == ("Hello", ["Hel", "lo", ""])
    pieces = [chunk.text async for chunk in model.astream("?")]
    assert pieces == ["Hel", "lo", ""]
