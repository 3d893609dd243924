"""JSON that is still growing: every prefix gives a value that the whole only adds to."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import pytest
from fairlead.structured.growing import Growing
from fairlead.structured.partial import MAX_DEPTH, NOTHING, PartialJson
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
FORMS = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 1])})


def fits(part: Any, whole: Any) -> bool:
    """Is `part` what may be seen of `whole` before its end?"""
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, list) and isinstance(whole, list):
        done = all(same(one, other) for one, other in zip(part[:-1], whole, strict=False))
        return len(part) <= len(whole) and done and (not part or fits(part[-1], whole[len(part) - 1]))
    if isinstance(part, dict) and isinstance(whole, dict):
        if not set(part) <= set(whole):
            return False
        *done, last = [*part] or [None]
        return all(same(part[name], whole[name]) for name in done) and (
            last is None or fits(part[last], whole[last])
        )
    return same(part, whole)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)


@given(VALUES, FORMS)
def test_every_prefix_gives_what_the_whole_only_adds_to(value: Any, form: dict[str, Any]) -> None:
    text = json.dumps(value, **form)
    for end in range(len(text) + 1):
        growing = PartialJson()
        growing.feed(text[:end])
        assert growing.value is NOTHING or fits(growing.value, value), (text[:end], growing.value)


@given(VALUES, FORMS, st.lists(st.integers(1, 7), min_size=1))
def test_pieces_of_any_size_give_the_whole(value: Any, form: dict[str, Any], sizes: list[int]) -> None:
    text = json.dumps(value, **form)
    growing, at, turn = PartialJson(), 0, 0
    seen: list[Any] = []
    while at < len(text):
        growing.feed(text[at : at + sizes[turn % len(sizes)]])
        seen.append(growing.value)
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    assert same(growing.finish(), value)
    assert growing.is_over


@given(VALUES, FORMS)
def test_a_prefix_is_never_taken_for_the_whole(value: Any, form: dict[str, Any]) -> None:
    text = json.dumps({"a": value}, **form)
    for end in range(len(text)):
        growing = PartialJson()
        growing.feed(text[:end])
        with pytest.raises(ValueError, match="not complete"):
            growing.finish()


@given(st.text(alphabet='{}[]",:\\u0123 tfn-.e', max_size=30))
def test_what_is_no_json_is_refused_as_the_standard_library_does(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    growing = PartialJson()
    try:
        growing.feed(text)
        found = growing.finish()
    except ValueError:
        found = None
    assert same(found, expected)


def test_depth_is_bounded() -> None:
    growing = PartialJson()
    growing.feed("[" * MAX_DEPTH)
    with pytest.raises(ValueError, match="nests deeper"):
        growing.feed("[")


def test_time_is_linear_in_the_text() -> None:
    def seconds(items: int) -> float:
        pieces = [f'{{"name": "item {number}", "n": {number}}},' for number in range(items)]
        began = time.process_time()
        growing = PartialJson()
        growing.feed("[")
        for piece in pieces:
            growing.feed(piece)
        assert len(growing.value) == items
        return time.process_time() - began

    seconds(1000)
    assert min(seconds(20_000) for _ in range(3)) < 40 * max(min(seconds(1000) for _ in range(3)), 1e-3)


# ===== objects =====


@dataclass
class Step:
    text: str
    minutes: int


@dataclass
class Plan:
    title: str
    steps: list[Step]
    first: Step | None = None


def test_objects_of_the_class_grow() -> None:
    growing = Growing(Plan, is_wrapped=False)
    assert growing.feed('Sure:\n```json\n{"title": "Cl') == Plan("Cl", None, None)  # type: ignore[arg-type]
    assert growing.feed('imb", "steps": [{"text": "up", "minutes": 1') == Plan(
        "Climb",
        [Step("up", None)],  # type: ignore[arg-type]
        None,
    )
    assert growing.feed('2}], "first": {"text": ""').first == Step("", None)  # type: ignore[arg-type]
    assert growing.feed("}}\n```").steps == [Step("up", 12)]
    assert growing.feed(" more") is NOTHING


class Point(NamedTuple):
    x: int
    steps: list[Step]
    label: str = "none"


def test_named_tuples_grow_as_lists_do_and_are_of_their_class() -> None:
    growing = Growing(list[Point], is_wrapped=False)
    assert growing.feed("[[") == [Point(None, None, None)]  # type: ignore[arg-type]
    assert growing.feed('1, [{"text": "u') == [Point(1, [Step("u", None)], None)]  # type: ignore[arg-type]
    seen = growing.feed('p", "minutes": 2}]], [3, [], "b", "beyond')
    assert seen == [Point(1, [Step("up", 2)], None), Point(3, [], "b")]  # type: ignore[arg-type]
    assert all(isinstance(one, Point) for one in seen)
    assert isinstance(Growing(Point | None, is_wrapped=False).feed("[1"), Point)


T = TypeVar("T")


class Pair(NamedTuple, Generic[T]):
    one: T
    others: list[T] | None


@dataclass
class Boxed(Generic[T]):
    inside: T


class Shelf(TypedDict, Generic[T]):
    boxes: list[Boxed[T]]


def test_classes_whose_type_parameters_are_set_grow_as_others_do() -> None:
    growing = Growing(Pair[Step], is_wrapped=False)
    assert growing.feed('[{"text": "u') == Pair(Step("u", None), None)  # type: ignore[arg-type]
    seen = growing.feed('p"}, [{"text": "a", "minutes": 1}, {"text": "b"')
    assert isinstance(seen, Pair)
    assert seen.others == [Step("a", 1), Step("b", None)]  # type: ignore[arg-type]
    later = growing.feed(', "minutes": 2}]]')
    assert later.others[0] is seen.others[0]
    shelf = Growing(Shelf[Step], is_wrapped=False).feed('{"boxes": [{"inside": {"text": "a"')
    assert shelf == {"boxes": [Boxed(Step("a", None))]}  # type: ignore[arg-type]
    for bare in (Pair, Pair[Annotated[Step, {}]], Boxed | Pair[int]):
        assert list(Growing(bare, is_wrapped=False).feed("[1,")) in ([1, None], [1])


def test_what_is_final_is_made_once() -> None:
    growing = Growing(Plan, is_wrapped=False)
    one = growing.feed('{"title": "a", "steps": [{"text": "a", "minutes": 1}, {"text": "b"')
    other = growing.feed(', "minutes": 2}, {')
    assert one.steps[0] is other.steps[0]
    assert one.steps[1].minutes is None
    assert other.steps[1].minutes == 2


def test_earlier_objects_do_not_change() -> None:
    growing = Growing(None, is_wrapped=False)
    seen = [growing.feed(piece) for piece in ('{"a": [1, ', "2, ", "3], ", '"b": "x', 'y"}')]
    assert seen == [
        {"a": [1]},
        {"a": [1, 2]},
        {"a": [1, 2, 3]},
        {"a": [1, 2, 3], "b": "x"},
        {"a": [1, 2, 3], "b": "xy"},
    ]


def test_a_wrapped_answer_is_unwrapped() -> None:
    growing = Growing(list[Step], is_wrapped=True)
    assert growing.feed('{"val') is NOTHING
    assert growing.feed('ue": [{"text": "a", "minutes": 1}, ') == [Step("a", 1)]


def test_what_turns_out_to_be_no_json_gives_nothing_from_then_on() -> None:
    growing = Growing(None, is_wrapped=False)
    assert growing.feed('{"a": 1') == {}
    assert growing.feed("; ") is NOTHING
    assert growing.feed('"b": 2}') is NOTHING


def test_members_of_pydantic_classes_are_found_by_their_aliases() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Inner(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        n: int

    class Outer(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        first_name: str = pydantic.Field(alias="firstName")
        inner: Inner | None = None
        by_name: dict[str, Inner] = pydantic.Field(default_factory=dict)
        pair: tuple[Inner, str] | None = None

    growing = Growing(Outer, is_wrapped=False)
    text = '{"firstName": "Ada", "inner": {"n": 1}, "by_name": {"a": {"n": 2}}, "pair": [{"n": 3}, "x"'
    found = growing.feed(text)
    assert isinstance(found, Outer)
    assert (found.first_name, found.inner, found.by_name) == ("Ada", Inner(n=1), {"a": Inner(n=2)})
    assert found.pair == [Inner(n=3), "x"]
    assert found.model_fields_set == {"first_name", "inner", "by_name", "pair"}


def test_code_of_a_class_does_not_run_before_all_members_are_there() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Sum(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        parts: list[int]
        name: str = "sum"
        _total: int = pydantic.PrivateAttr(0)

        def model_post_init(self, context: Any) -> None:
            self._total = sum(self.parts) + len(self.name)

    class Sums(pydantic.RootModel):  # type: ignore[misc, name-defined]
        root: dict[str, Sum]

    growing = Growing(Sums, is_wrapped=False)
    found = growing.feed('{"a": {"name": "x"')
    assert isinstance(found, Sums)
    assert (found.root["a"].name, found.root["a"].parts) == ("x", None)
    assert found.model_dump(warnings=False) == {"a": {"parts": None, "name": "x"}}
    assert repr(found.root["a"]) == "Sum(parts=None, name='x')"


def test_members_with_words_of_their_own_tell_classes_apart() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Cat(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        kind: Literal["cat"]
        name: str

    class Caterpillar(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        kind: Literal["caterpillar", "larva"]
        name: str
        legs: int = 16

    class Dog(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        kind: Literal["dog"] = "dog"
        name: str
        barks: bool

    pet = Cat | Caterpillar | Dog
    told = Annotated[pet, pydantic.Field(discriminator="kind")]
    zoo = pydantic.create_model("Zoo", pets=(list[told], ...), first=(told | None, None))
    growing = Growing(zoo, is_wrapped=False)
    seen = []
    text = '{"pets": [{"kind": "caterpillar", "name": "C"}, {"name": "D", "barks": true, "kind": "dog"}], '
    text += '"first": {"kind": "cat", "name": "T"}}'
    for sign in text:
        if (found := growing.feed(sign)) is not NOTHING:
            seen.append(found)
    assert [type(one) for one in seen[-1].pets] == [Caterpillar, Dog]
    assert type(seen[-1].first) is Cat
    assert {type(found.pets[0]) for found in seen if found.pets} == {Caterpillar}
    assert {type(found.pets[1]) for found in seen if len(found.pets or ()) > 1} == {Dog}
    assert {type(found.first) for found in seen} == {type(None), Cat}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", None),
        ('{"kind": "', None),
        ('{"kind": "ca', "Car"),
        ('{"kind": "bo', "Boat"),
        ('{"kind": "plane"', "Car"),
        ('{"length": 3, ', None),
        ('{"sails": 3, ', "Boat"),
        ('{"length": 3}', "Car"),
    ],
)
def test_an_object_shows_once_its_class_can_be_told(text: str, expected: str | None) -> None:
    @dataclass
    class Car:
        kind: Literal["car"]
        length: int

    @dataclass
    class Boat:
        kind: Literal["boat"]
        length: int
        sails: int

    found = Growing(Boat | Car, is_wrapped=False).feed(text)
    assert (None if found is NOTHING else type(found).__name__) == expected


def test_annotations_that_cannot_be_hashed_are_fine() -> None:
    pydantic = pytest.importorskip("pydantic")
    kind = dict[str, Annotated[Plan | int, pydantic.Field(examples=[[1]])]]
    growing = Growing(kind, is_wrapped=False)
    assert growing.feed('{"a": {"title": "x"') == {"a": Plan("x", None, None)}  # type: ignore[arg-type]


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), st.integers(1, 9))
def test_what_was_seen_of_any_document_does_not_change(value: Any, size: int) -> None:
    text = json.dumps(value)
    growing = Growing(None, is_wrapped=False)
    seen, then = [], []
    for at in range(0, len(text), size):
        found = growing.feed(text[at : at + size])
        if found is not NOTHING:
            seen.append(found)
            then.append(json.dumps(found))
    assert [json.dumps(one) for one in seen] == then
    assert all(fits(one, value) for one in seen)
    assert same(seen[-1], value)
