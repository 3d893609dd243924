"""Reply objects: lazily read, frozen, and at home wherever replies are used."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from typing import Any

import fairlead
import pytest
from fairlead.types import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    Choice,
    CompletionUsage,
    Embedding,
    ModelPage,
)

REPLY = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": "\\n"}'}}
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5},
    "provider_says": {"deep": [1, 2]},
}


@pytest.fixture
def reply() -> ChatCompletion:
    return ChatCompletion.model_validate_json(json.dumps(REPLY, indent=2))


def test_attributes_are_members_in_their_classes(reply: ChatCompletion) -> None:
    choice = reply.choices[0]
    assert isinstance(choice, Choice)
    assert isinstance(choice.message, ChatCompletionMessage)
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].function.arguments == '{"a": "\\n"}'
    assert reply.usage is not None
    assert reply.usage.total_tokens == 3
    assert isinstance(reply.usage, CompletionUsage)


def test_what_was_not_received_reads_as_none(reply: ChatCompletion) -> None:
    assert reply.system_fingerprint is None
    assert reply.choices[0].logprobs is None
    assert reply.choices[0].message.refusal is None


def test_what_is_not_declared_is_an_attribute_all_the_same(reply: ChatCompletion) -> None:
    assert reply.provider_says == {"deep": [1, 2]}
    assert reply.choices[0].message.reasoning_content == "hm"
    assert reply.model_extra == {"provider_says": {"deep": [1, 2]}}
    assert reply.usage is not None
    assert reply.usage.model_extra == {"cost": 0.5}
    with pytest.raises(AttributeError, match="'ChatCompletion' object has no attribute 'nothing'"):
        _ = reply.nothing


def test_a_second_read_gives_the_same_object(reply: ChatCompletion) -> None:
    assert reply.choices is reply.choices
    assert reply.choices[0].message is reply.choices[0].message
    assert "choices" in vars(reply)


def test_dumps_equal_what_was_received(reply: ChatCompletion) -> None:
    assert reply.model_dump() == REPLY
    assert reply.to_dict() == REPLY
    assert json.loads(reply.model_dump_json()) == REPLY
    assert json.loads(reply.to_json()) == REPLY
    assert reply.to_json().startswith('{\n  "id"')
    assert list(reply.model_dump()) == list(REPLY)
    assert reply.model_fields_set == set(REPLY)


def test_dumps_leave_out_what_is_asked(reply: ChatCompletion) -> None:
    assert "content" not in reply.model_dump(exclude_none=True)["choices"][0]["message"]
    assert "content" not in json.loads(reply.to_json(exclude_none=True))["choices"][0]["message"]
    assert set(reply.model_dump(include={"id", "model"})) == {"id", "model"}
    assert "usage" not in reply.model_dump(exclude={"usage"})


def test_replies_cannot_be_changed_only_copied(reply: ChatCompletion) -> None:
    with pytest.raises(AttributeError, match=r"model_copy\(update="):
        reply.id = "other"
    with pytest.raises(AttributeError, match="model_copy"):
        del reply.id
    changed = reply.model_copy(update={"id": "other", "choices": []})
    assert (changed.id, changed.choices, changed.model) == ("other", [], "m")
    assert reply.id == "c1"
    assert type(changed) is ChatCompletion


def test_copies_and_pickles_are_equal_and_independent(reply: ChatCompletion) -> None:
    for twin in (copy.copy(reply), copy.deepcopy(reply), pickle.loads(pickle.dumps(reply))):
        assert twin == reply
        assert type(twin) is ChatCompletion
        assert twin.choices is not reply.choices
    assert pickle.loads(pickle.dumps(reply.choices[0])) == reply.choices[0]
    assert reply != reply.model_copy(update={"id": "other"})
    assert reply != REPLY
    assert reply.choices[0].message != reply


def test_items_membership_and_get(reply: ChatCompletion) -> None:
    assert reply["id"] == "c1"
    assert reply["choices"] is reply.choices
    assert "usage" in reply
    assert "nothing" not in reply
    assert reply.get("nothing", 7) == 7
    assert reply.get("model") == "m"
    with pytest.raises(KeyError, match="nothing"):
        reply["nothing"]


def test_repr_shows_members(reply: ChatCompletion) -> None:
    assert repr(reply).startswith(
        "ChatCompletion(id='c1', object='chat.completion', created=1, model='m', choices=[Choice("
    )


def test_keywords_make_an_object() -> None:
    message = ChatCompletionMessage(role="assistant", content="hi", tool_calls=[])
    assert message.content == "hi"
    assert message.model_dump() == {"role": "assistant", "content": "hi", "tool_calls": []}


@pytest.mark.parametrize(
    "text",
    ['{"choices": 5}', '{"choices": [1, null, {}]}', '{"choices": {"index": 1}}', '{"usage": "many"}', "{}"],
)
def test_reading_never_fails_whatever_the_types_are(text: str) -> None:
    reply = ChatCompletion.model_validate_json(text)
    assert repr(reply)
    assert {name: getattr(reply, name) for name in ChatCompletion.__fields__}


def test_of_duplicate_members_the_last_counts() -> None:
    reply = ChatCompletion.model_validate_json('{"id": "a", "\\u0069d": "b"}')
    assert reply.id == reply.model_dump()["id"] == "b"


def test_surrogates_without_a_partner_survive() -> None:
    text = '{"id": "x\\ud83d", "\\ud800": "\\udc00\\n"}'
    assert ChatCompletion.model_validate_json(text).model_dump() == json.loads(text)
    assert ChatCompletion.model_validate_json(text).id == "x\ud83d"


def test_chunks_read_like_replies() -> None:
    chunk = ChatCompletionChunk.model_validate_json(
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}'
    )
    calls = chunk.choices[0].delta.tool_calls
    assert calls is not None
    assert calls[0].function is not None
    assert calls[0].function.arguments == "{"


def test_vectors_decode() -> None:
    vector = Embedding.model_validate_json('{"index":0,"embedding":"AACAPwAAAMA="}')
    assert vector.embedding == [1.0, -2.0]
    assert vector.model_dump()["embedding"] == [1.0, -2.0]
    assert json.loads(vector.to_json())["embedding"] == [1.0, -2.0]
    assert vector.buffer.tolist() == [1.0, -2.0]
    assert Embedding.model_validate_json('{"embedding":[0.1]}').embedding == [0.1]


def test_pages_iterate_over_their_models() -> None:
    page = ModelPage.model_validate_json('{"data":[{"id":"a"},{"id":"b"}],"object":"list"}')
    assert [model.id for model in page] == ["a", "b"]
    assert len(page) == 2


def test_replies_can_be_collected(reply: ChatCompletion) -> None:
    _ = reply.choices[0].message
    reference = weakref.ref(reply)
    del reply
    gc.collect()
    # The fixture holds one more; a copy is enough to see collection work.
    twin: Any = reference()
    own = weakref.ref(copy.copy(twin))
    gc.collect()
    assert own() is None


def test_fastapi_returns_replies(reply: ChatCompletion) -> None:
    encoders = pytest.importorskip("fastapi.encoders")
    assert encoders.jsonable_encoder(reply) == REPLY


def test_pydantic_takes_and_writes_replies(reply: ChatCompletion) -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(ChatCompletion)
    assert adapter.validate_python(reply) is reply
    assert adapter.validate_python(REPLY) == reply
    assert json.loads(adapter.dump_json(reply)) == REPLY
    assert adapter.json_schema()["type"] == "object"


def test_dir_and_all_agree() -> None:
    assert len(fairlead.__all__) == len(set(fairlead.__all__))
    for name in fairlead.__all__:
        assert getattr(fairlead, name) is not None
    assert set(dir(fairlead)) == set(fairlead.__all__)
