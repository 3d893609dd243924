"""Schemas: made strict as the OpenAI SDK makes them, and checked without any other package."""

from __future__ import annotations

import copy
import enum
import time
from typing import Any, Literal

import pytest
from fairlead.structured import schema as schemas
from fairlead.structured.check import problems, same
from fairlead.structured.target import target_of
from hypothesis import given
from hypothesis import strategies as st

pydantic = pytest.importorskip("pydantic")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Step(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    """A step."""

    text: str = pydantic.Field(description="what to do")
    minutes: float = 1.0


class Node(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str
    parent: Node | None = None
    children: list[Node] = pydantic.Field(default=[])


class Answer(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    value: int
    colour: Colour = pydantic.Field(description="which", default=Colour.RED)
    kind: Literal["a", "b"]
    steps: list[Step] = pydantic.Field(default=[])
    best: Step = pydantic.Field(description="the best of them")
    either: Step | Node | str | None = None


MODELS = [
    Step,
    Node,
    Answer,
    pydantic.create_model("Empty"),
    pydantic.create_model("M", x=(dict[str, int], {})),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_schema_is_made_strict_as_the_openai_sdk_makes_it(model: Any) -> None:
    theirs = pytest.importorskip("openai.lib._pydantic")
    given = model.model_json_schema()
    before = copy.deepcopy(given)
    assert schemas.strict(given) == theirs.to_strict_json_schema(model)
    assert given == before


def test_making_strict_twice_changes_nothing() -> None:
    once = schemas.strict(Answer.model_json_schema())
    assert schemas.strict(once) == once


def test_a_reference_that_leads_into_itself_ends() -> None:
    loop = {"$defs": {"a": {"$ref": "#/$defs/a", "description": "d"}}, "$ref": "#/$defs/a", "title": "t"}
    assert schemas.strict(loop)["$defs"]["a"] == {"$ref": "#/$defs/a"}


def test_what_strict_mode_cannot_say_is_told() -> None:
    assert schemas.is_strict(schemas.strict(Answer.model_json_schema()))
    assert schemas.is_strict(schemas.strict(Node.model_json_schema()))
    free = pydantic.create_model("Free", scores=(dict[str, int], ...))
    assert not schemas.is_strict(schemas.strict(free.model_json_schema()))
    assert not schemas.is_strict({"type": "object", "properties": {"a": {}}, "required": ["a"]})
    assert not schemas.is_strict({"type": "array", "items": {"type": "string"}})


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "pattern": "^[A-Z]"},
        "age": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 150},
        "tags": {"type": "array", "items": {"enum": ["x", "y", 1]}, "maxItems": 2, "uniqueItems": True},
        "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        "score": {"type": "number", "multipleOf": 0.5},
        "form": {"oneOf": [{"type": "integer"}, {"type": "number"}, {"const": "n"}]},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "boolean"}},
        "not_this": {"not": {"type": "string"}},
        "both": {"allOf": [{"type": "integer"}, {"minimum": 3}]},
    },
    "patternProperties": {"^x-": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}

GOOD: list[dict[str, Any]] = [
    {"name": "Ada"},
    {"name": "Ada", "age": None, "tags": ["x", 1], "next": {"name": "Bob", "next": None}},
    {"name": "Ada", "age": 3.0, "score": 1.5, "form": 1.5, "pair": ["a", True, False], "not_this": 1},
    {"name": "Ada", "form": "n", "both": 3, "x-more": "yes"},
]

BAD: list[tuple[Any, list[str]]] = [
    ([], ["$: expected object, not array"]),
    ({}, ["$.name: is missing"]),
    (
        {"name": "a"},
        ["$.name: expected at least 2 characters, not 1", "$.name: 'a' does not match ^[A-Z]"],
    ),
    ({"name": "Ada", "age": True}, ["$.age: expected integer or null, not boolean"]),
    ({"name": "Ada", "age": 150}, ["$.age: expected below 150, not 150"]),
    ({"name": "Ada", "age": 1.5}, ["$.age: expected integer or null, not number"]),
    ({"name": "Ada", "tags": ["z"]}, ["$.tags[0]: 'z' is none of 'x', 'y', 1"]),
    ({"name": "Ada", "tags": [True]}, ["$.tags[0]: True is none of 'x', 'y', 1"]),
    ({"name": "Ada", "tags": ["x", "x"]}, ["$.tags: holds the same item twice"]),
    ({"name": "Ada", "tags": ["x", "y", 1]}, ["$.tags: expected at most 2 items, not 3"]),
    ({"name": "Ada", "next": {"name": "Bob", "age": -1}}, ["$.next.age: expected at least 0, not -1"]),
    ({"name": "Ada", "score": 0.7}, ["$.score: 0.7 is no multiple of 0.5"]),
    ({"name": "Ada", "form": 1}, ["$.form: fits 2 of the forms where it may fit one"]),
    ({"name": "Ada", "pair": ["a", "b"]}, ["$.pair[1]: expected boolean, not string"]),
    ({"name": "Ada", "not_this": "s"}, ["$.not_this: is what it may not be"]),
    ({"name": "Ada", "both": 2}, ["$.both: expected at least 3, not 2"]),
    ({"name": "Ada", "more": 1}, ["$.more: is none of its members"]),
    ({"name": "Ada", "x-more": 1}, ["$.x-more: expected string, not integer"]),
]


@pytest.mark.parametrize("value", GOOD)
def test_what_fits_has_no_problems(value: Any) -> None:
    assert problems(value, SCHEMA) == []


@pytest.mark.parametrize(("value", "expected"), BAD)
def test_what_does_not_fit_is_told_with_its_place(value: Any, expected: list[str]) -> None:
    assert problems(value, SCHEMA) == expected


def test_problems_are_bounded_and_references_end() -> None:
    assert len(problems([1] * 100, {"type": "array", "items": {"type": "string"}})) == 20
    loop = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    assert "nests deeper" in problems(1, loop)[0]
    with pytest.raises(ValueError, match="no '#/\\$defs/gone'"):
        problems(1, {"$ref": "#/$defs/gone"})


def test_references_are_json_pointers() -> None:
    root = {
        "$defs": {"a b": {"type": "integer"}, "c/d": {"type": "null"}},
        "anyOf": [{"$ref": "#/$defs/a%20b"}, {"$ref": "#/$defs/c~1d"}, {"type": "array"}],
        "items": {"$ref": "#/anyOf/0"},
    }
    assert [problems(value, root) for value in (1, None, [1])] == [[], [], []]
    assert problems(["x"], root) == ["$[0]: expected integer, not string"]
    definitions = {"A": {"$ref": "#/definitions/B"}, "B": {"type": "object"}}
    assert schemas.is_object({"$ref": "#/definitions/A", "definitions": definitions})


@pytest.mark.parametrize(
    ("value", "step", "fits"),
    [
        (float("inf"), 0.5, False),
        (10**400, 2, True),
        (10**400 + 1, 2, False),
        (10**400, 0.5, True),
        (1e308, 2.0**-1000, True),
        (0.3, 0.1, True),
        (7, 2, False),
    ],
    ids=range(7),
)
def test_multiples_of_any_size(value: float, step: float, fits: bool) -> None:
    assert (problems(value, {"multipleOf": step}) == []) is fits


def test_patterns_that_python_cannot_read_are_not_checked() -> None:
    assert problems("abc", {"pattern": r"^\p{L}+$"}) == []
    either = {"patternProperties": {r"^\p{L}": {"type": "string"}, "^[0-9]": {"type": "null"}}}
    closed = {**either, "additionalProperties": False}
    assert problems({"a": 1, "1": None}, closed) == []
    assert problems({"1": 1}, closed) == ["$.1: expected null, not integer"]


@pytest.mark.parametrize(
    ("schema", "error", "words"),
    [
        ({"type": "text"}, TypeError, r"\$.type: 'text' is none of array, boolean"),
        ({"type": ["string", 1]}, TypeError, r"\$.type: 1 is none of"),
        ({"type": "json_schema"}, TypeError, r"\$.type: 'json_schema' is none of"),
        ({"properties": {"a": {"type": "str"}}}, TypeError, r"\$.properties.a.type: 'str'"),
        ({"items": {"anyOf": [{}, {"type": "any"}]}}, TypeError, r"\$.items.anyOf\[1\].type: 'any'"),
        ({"properties": ["a"]}, TypeError, r"\$.properties: expected an object, not list"),
        ({"not": {"enum": "x"}}, TypeError, r"\$.not.enum: expected a list, not str"),
        ({"anyOf": {"type": "null"}}, TypeError, r"\$.anyOf: expected a list, not dict"),
        ({"$ref": "#/$defs/gone"}, ValueError, r"\$.\$ref: the schema has no '#/\$defs/gone'"),
        (
            {"properties": {"a": {"$ref": "#X"}}},
            ValueError,
            r"\$.properties.a.\$ref: .* no '#X'; refer",
        ),
        ({"additionalProperties": {"$ref": "Other"}}, ValueError, "no 'Other'"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}}, ValueError, "leads into itself"),
    ],
)
def test_a_schema_that_is_none_is_told_with_its_place(schema: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=f"`schema`: .*{words}"):
        target_of(schema)


def test_schemas_that_are_sound_pass() -> None:
    for schema in (SCHEMA, LINKED, TWICE, {}, *(model.model_json_schema() for model in MODELS)):
        target_of(schema)
    assert target_of({"type": "object", "properties": {"type": {"const": "text"}, "$ref": True}})


def nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"v": 1, "next": inner}
    return inner


LINKED = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["v", "next"],
}
TWICE: dict[str, Any] = {
    "$defs": {
        "a": {"properties": {"next": {"$ref": "#"}}, "required": ["v"]},
        "b": {"properties": {"next": {"$ref": "#"}}, "required": ["next"]},
    },
    "oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
}
ROUND: dict[str, Any] = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 3}}, "$ref": "#/$defs/a"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (LINKED, nested(50, {"v": "bad", "next": None})),
        (TWICE, nested(50, {})),
        ({**TWICE, "anyOf": TWICE["oneOf"]}, nested(50, "x")),
        ({"properties": {"next": {"$ref": "#"}}, "patternProperties": {"^n": {"$ref": "#"}}}, nested(60, 1)),
        (
            {"not": {"properties": {"next": {"$ref": "#"}}}, "properties": {"next": {"$ref": "#"}}},
            nested(50, 1),
        ),
        (ROUND, 1),
        (ROUND, {"v": 1}),
        ({"uniqueItems": True, "items": {"type": "object"}}, [{"n": n} for n in range(30_000)]),
        ({"anyOf": [{"enum": [n]} for n in range(50)]}, list(range(100_000))),
    ],
)
def test_checking_ends_soon_whatever_is_checked(schema: Any, value: Any) -> None:
    began = time.process_time()
    problems(value, schema)
    assert time.process_time() - began < 5


def test_problems_of_nested_alternatives_are_told_at_their_place() -> None:
    found = problems(nested(20, {"v": "bad", "next": None}), LINKED)
    assert found == ["$" + ".next" * 20 + ".v: expected integer, not string"]


def test_a_check_that_takes_too_long_is_a_problem_and_a_long_answer_is_none() -> None:
    assert "steps to check" in problems(1, ROUND)[0]
    either = {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer"}]}
    assert problems(list(range(100_000)), {"type": "array", "items": either}) == []


SMALL = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.just(1.0),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


@given(SMALL, SMALL)
def test_items_are_the_same_as_json_has_it(value: Any, other: Any) -> None:
    assert problems([value, copy.deepcopy(value)], {"uniqueItems": True}) != []
    assert (problems([value, other], {"uniqueItems": True}) != []) == same(value, other)


@given(st.builds(Answer, value=st.integers(), kind=st.sampled_from("ab"), best=st.builds(Step)))
def test_what_pydantic_accepts_fits_its_schema(answer: Any) -> None:
    schema = Answer.model_json_schema()
    assert problems(answer.model_dump(mode="json"), schema) == []
    assert problems({**answer.model_dump(mode="json"), "value": "x"}, schema) == [
        "$.value: expected integer, not string"
    ]


def test_equal_as_json() -> None:
    assert same(1, 1.0)
    assert not same(1, True)
    assert same({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    assert not same({"a": [0]}, {"a": [False]})
