"""Requests become the JSON that `json.dumps` would make, and replies read as `json.loads` would."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, UserDict, namedtuple
from datetime import UTC, datetime
from typing import Any

import fairlead
import pytest
from fairlead import _core
from fairlead.types import BaseModel, ChatCompletionMessage
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
KEYS = TEXT | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=15,
)
DOCUMENTS = st.dictionaries(
    st.text(),
    st.recursive(
        SCALARS | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=15,
    ),
)


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@given(VALUES)
def test_requests_are_written_as_json_dumps_writes_them(value: Any) -> None:
    assert _core._encode(value) == dumps(value)


@given(DOCUMENTS, st.booleans())
def test_replies_read_as_json_loads_reads_them(document: Any, ascii_only: bool) -> None:
    try:
        text = json.dumps(document, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        text = json.dumps(document).encode()
    dumped = BaseModel.model_validate_json(text).model_dump()
    assert dumped == json.loads(text)
    assert repr(dumped) == repr(json.loads(text))


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Level.HIGH,
        {Level.HIGH: 1},
        Point(1, 2),
        OrderedDict(b=1, a=2),
        True,
        10**400,
        -0.0,
        1e16,
        5e-324,
    ],
)
def test_subclasses_and_edges_are_written_as_json_dumps_writes_them(value: Any) -> None:
    assert _core._encode(value) == dumps(value)


def test_iterables_and_mappings_are_accepted() -> None:
    assert _core._encode(n for n in range(3)) == b"[0,1,2]"
    assert _core._encode({"a": 1}.keys()) == b'["a"]'
    assert _core._encode(UserDict(a=[1])) == b'{"a":[1]}'


def test_moments_are_written_as_the_openai_sdk_writes_them() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    value = {"at": moment, "on": [moment.date()]}
    assert _core._encode(value) == b'{"at":"2026-01-02T03:04:05+00:00","on":["2026-01-02"]}'
    dumps = pytest.importorskip("openai._utils._json").openapi_dumps
    assert _core._encode(moment) == dumps(moment)


class Dumper:
    def model_dump(self, **options: Any) -> dict[str, Any]:
        assert options == {"mode": "json", "by_alias": True, "exclude_unset": True}
        return {"role": "user"}


def test_objects_with_model_dump_are_dumped() -> None:
    assert _core._encode([Dumper()]) == b'[{"role":"user"}]'


def test_reply_objects_are_written_as_they_were_received() -> None:
    message = ChatCompletionMessage.model_validate_json(
        '{"role": "assistant", "content": "\\ud83d\\ude00 hi"}'
    )
    assert json.loads(_core._encode([message])) == [{"role": "assistant", "content": "😀 hi"}]


class NotGiven:
    pass


class Omit:
    pass


def test_members_that_are_not_given_are_left_out_at_any_level() -> None:
    value = {"a": NotGiven(), "b": {"c": Omit(), "d": None}, "e": fairlead.NOT_GIVEN}
    assert _core._encode(value) == b'{"b":{"d":null}}'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"messages": [{}, {}, {"content": "\ud800"}]}, "`messages[2].content`"),
        ({"temperature": float("nan")}, "`temperature`"),
        ({"x": [float("inf")]}, "`x[0]`"),
        ({"x": b"bytes"}, "`x`"),
        ({"x": object()}, "`x`"),
        ({"x": {(1, 2): 3}}, "`x`"),
        ({"x": {"y": int}}, "`x.y`"),
    ],
)
def test_what_cannot_be_sent_is_named_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(fairlead.ConfigError) as caught:
        _core._encode(value)
    assert place in str(caught.value)


def test_nesting_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(fairlead.ConfigError, match="128"):
        _core._encode(endless)


def test_what_the_callers_own_code_raises_keeps_its_identity() -> None:
    raised = RuntimeError("mine")

    def items() -> Any:
        yield 1
        raise raised

    with pytest.raises(RuntimeError) as caught:
        _core._encode({"x": items()})
    assert caught.value is raised


def test_integers_of_any_readable_size_survive() -> None:
    number = 7 * 10**4000 + 1
    assert BaseModel.model_validate_json(json.dumps({"n": number})).n == number


def test_integers_that_python_refuses_do_not_make_a_reply_unreadable() -> None:
    reply = BaseModel.model_validate_json('{"n": ' + "9" * 5000 + "}")
    assert reply.n == float("inf")
