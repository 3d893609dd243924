"""Functions as tools: schemas, arguments, results; with pydantic and without."""

from __future__ import annotations

import asyncio
import enum
import inspect
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import fairlead
import pytest
from fairlead.testing import Upstream, ok, tool_call
from fairlead.tools import docstring
from fairlead.tools.results import text_of


class Unit(enum.Enum):
    C = "celsius"
    F = "fahrenheit"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Place:
    name: str
    near: list[str] | None = None


def weather(
    city: str,
    days: int = 1,
    unit: Literal["C", "F"] = "C",
    tags: list[str] | None = None,
    exact: Annotated[bool, "to the degree"] = False,
    scale: float = 1.0,
    by_day: dict[str, int] | None = None,
) -> str:
    """What the weather will be.

    Only for cities.

    Args:
        city (str): its name,
            in English.
        days: how many.

    Returns:
        A sentence.
    """
    return f"{city} {days} {unit} {tags} {exact} {scale} {by_day}"


@pytest.fixture(params=["pydantic", "plain"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With pydantic, and as if it were not installed."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "pydantic", None)
    else:
        pytest.importorskip("pydantic")
    return str(request.param)


def test_a_schema_is_made_of_annotations_and_docstring(how: str) -> None:
    made = fairlead.tool(weather)
    assert (made.name, made.description) == ("weather", "What the weather will be.\n\nOnly for cities.")
    assert made.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "its name, in English."},
            "days": {"type": "integer", "default": 1, "description": "how many."},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            "tags": {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "default": None,
            },
            "exact": {"type": "boolean", "description": "to the degree", "default": False},
            "scale": {"type": "number", "default": 1.0},
            "by_day": {
                "anyOf": [
                    {"type": "object", "additionalProperties": {"type": "integer"}},
                    {"type": "null"},
                ],
                "default": None,
            },
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_arguments_are_what_the_function_takes(how: str) -> None:
    @fairlead.tool
    def visit(
        place: Place, unit: Unit, pair: tuple[int, str], seen: set[int], others: Sequence[Place] = (), /
    ) -> None:
        """Visit."""

    text = (
        '{"place": {"name": "x"}, "unit": "celsius", "pair": [1, "a"], "seen": [1, 2],'
        ' "others": [{"name": "y", "near": ["z"]}]}'
    )
    read = visit.parse(text)
    assert read == {
        "place": Place("x"),
        "unit": Unit.C,
        "pair": (1, "a"),
        "seen": {1, 2},
        "others": [Place("y", ["z"])],
    }
    assert visit.call(read) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", r"\$\.city"),
        ('{"city": 1}', r"\$\.city"),
        ('{"city": "x", "days": "many"}', r"\$\.days"),
        ('{"city": "x", "more": 1}', r"\$\.more"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_arguments_that_do_not_fit_are_told_with_their_place(text: str, words: str, how: str) -> None:
    with pytest.raises(fairlead.ToolError, match=words):
        fairlead.tool(weather).parse(text)


def test_no_arguments_are_an_empty_text_too(how: str) -> None:
    @fairlead.tool
    def now() -> str:
        return "noon"

    assert now.parse("") == now.parse("{}") == {}
    assert now.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_parameters_that_cannot_be_said_are_named(how: str) -> None:
    def bare(a, b: int) -> None: ...  # type: ignore[no-untyped-def]

    def open_(*parts: str) -> None: ...

    def strange(thing: sys.__class__) -> None: ...

    with pytest.raises(TypeError, match="bare: the parameter `a` has no annotation"):
        fairlead.tool(bare)
    with pytest.raises(TypeError, match=r"open_: the parameter `\*parts"):
        fairlead.tool(open_)
    with pytest.raises(TypeError, match="strange"):
        fairlead.tool(strange)


def test_a_tool_is_a_function_still() -> None:
    made = fairlead.tool(weather)
    assert made("Rome", days=2) == weather("Rome", 2)
    assert fairlead.tool(made) is made
    assert made.__wrapped__ is weather

    @fairlead.tool(name="look up", description="d", strict=True, timeout=3)
    async def look(word: str, most: int = 1) -> str:
        return word

    assert (look.name, look.description, look.timeout, look.is_async) == ("look_up", "d", 3, True)
    assert look.parameters["required"] == ["word", "most"]
    assert look.model_dump()["function"]["strict"] is True
    assert asyncio.run(look("x")) == "x"


def test_a_tool_looks_like_its_function() -> None:
    async def look(word: Place, most: int = 1) -> str:
        """Look it up."""
        return word.name

    made = fairlead.tool(look)
    assert (made.__name__, made.__qualname__, made.__module__) == ("look", look.__qualname__, __name__)
    assert made.__doc__ == "Look it up."
    assert fairlead.tool(description="d")(look).__doc__ == "d"
    assert made.__annotations__ == {"word": Place, "most": int}
    part = fairlead.tool(partial(look, most=2))
    assert part.__annotations__ == {"word": Place}
    assert list(inspect.signature(part).parameters) == ["word"]
    assert inspect.iscoroutinefunction(made)
    assert inspect.iscoroutinefunction(part)
    assert not inspect.iscoroutinefunction(fairlead.tool(weather))
    assert inspect.signature(made) == inspect.signature(look)


class Shop:
    def price(self, of: str) -> float:
        """What it costs."""
        return 2.5

    def __call__(self, of: str) -> str:
        """Buy it."""
        return of


def test_methods_and_objects_are_tools_too(how: str) -> None:
    priced, bought = fairlead.tool(Shop().price), fairlead.tool(Shop())
    assert (priced.name, list(priced.parameters["properties"])) == ("price", ["of"])
    assert (bought.name, bought.description) == ("Shop", "Buy it.")
    assert priced.call(priced.parse('{"of": "tea"}')) == 2.5
    assert bought.call(bought.parse('{"of": "tea"}')) == "tea"


class Till:
    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    @fairlead.tool
    def price(self, of: str) -> float:
        """What it costs.

        Args:
            of: which thing.
        """
        return self.factor * len(of)

    @fairlead.tool(name="again")
    async def later(self: Any, of: str) -> Till:  # The class is not there yet.
        return self

    @staticmethod
    @fairlead.tool
    def tax(of: str) -> str:
        return of

    total = fairlead.tool(weather)


def test_methods_are_tools_of_their_objects(up: Upstream) -> None:
    one, two = Till(), Till(2)
    assert list(one.price.parameters["properties"]) == ["of"]
    assert list(inspect.signature(one.price).parameters) == ["of"]
    assert (one.price("tea"), two.price("tea"), Till.price(two, "tea")) == (3.0, 6.0, 6.0)
    assert two.price.call(two.price.parse('{"of": "tea"}')) == 6.0
    assert (one.later.name, one.later.is_async, [*one.later.parameters["properties"]]) == (
        "again",
        True,
        ["of"],
    )
    assert asyncio.run(two.later("x")) is two
    assert (one.tax("x"), one.total("Rome")) == ("x", weather("Rome"))
    assert one.total.model_dump() == fairlead.tool(weather).model_dump()
    up.script = [ok(tool_calls=[tool_call("price", '{"of": "tea"}')]), ok("6.")]
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        assert client.run_tools("m", "go", [two.price]).calls[0].result == "6"
        with pytest.raises(TypeError, match=r"Till\.price: a method; give the tool of an object"):
            client.run_tools("m", "go", [Till.price])
    assert len(up.requests) == 2


def test_classes_and_class_methods_are_no_tools_and_told_what_is() -> None:
    class Odd:
        def price(cls, of: str) -> float:  # noqa: N805
            return 1.0

    with pytest.raises(TypeError, match="Place: a class is no tool; give a function"):
        fairlead.tool(Place)
    with pytest.raises(TypeError, match=r"price: of a class method, .* fairlead.tool\(Class.price\)"):
        fairlead.tool(classmethod(Odd.price))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="price: the parameter `cls` has no annotation"):
        fairlead.tool(Odd.price)


def test_a_part_of_a_function_is_a_tool_without_what_is_set_already(how: str) -> None:
    async def search(index: str, text: str, most: int = 5) -> list[Any]:
        """Search.

        Args:
            text: what for.
        """
        return [index, text, most]

    for part in (partial(search, "docs"), partial(search, index="docs"), partial(partial(search, "docs"))):
        made = fairlead.tool(part)
        assert (made.name, made.description, made.is_async) == ("search", "Search.", True)
        assert made.parameters["required"] == ["text"]
        assert list(made.parameters["properties"]) == ["text", "most"]
        assert made.parameters["properties"]["text"]["description"] == "what for."
        assert asyncio.run(made.call(made.parse('{"text": "x"}'))) == ["docs", "x", 5]
    whole = fairlead.tool(partial(search, "docs", "x", most=1))
    assert asyncio.run(whole.call(whole.parse("{}"))) == ["docs", "x", 1]

    def bare(a, b: int) -> None: ...  # type: ignore[no-untyped-def]

    with pytest.raises(TypeError, match="bare: the parameter `a` has no annotation"):
        fairlead.tool(partial(bare, b=1))


def test_names_that_pydantic_keeps_for_itself_are_fine() -> None:
    @fairlead.tool
    def odd(schema: str, json: int, _hidden: int = 0, model_config: str = "") -> None: ...

    assert list(odd.parameters["properties"]) == ["schema", "json", "_hidden", "model_config"]
    assert odd.parse('{"schema": "a", "json": 1}') == {
        "schema": "a",
        "json": 1,
        "_hidden": 0,
        "model_config": "",
    }


def test_annotations_of_pydantic_are_understood() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Order(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        item: str
        parent: Order | None = None

    globals().update(Order=Order, pydantic=pydantic)

    @fairlead.tool
    def buy(order: Order, amount: Annotated[int, pydantic.Field(gt=0, description="pieces")]) -> None: ...

    assert buy.parameters["properties"]["amount"] == {
        "type": "integer",
        "exclusiveMinimum": 0,
        "description": "pieces",
    }
    assert "Order" in buy.parameters["$defs"]
    read = buy.parse('{"order": {"item": "tea", "parent": {"item": "set"}}, "amount": 2}')
    assert read == {"order": Order(item="tea", parent=Order(item="set")), "amount": 2}
    with pytest.raises(fairlead.ToolError, match=r"\$\.amount"):
        buy.parse('{"order": {"item": "tea"}, "amount": 0}')


def test_a_tool_is_sent_as_it_is(up: Upstream) -> None:
    up.script = [ok(tool_calls=[tool_call("weather", '{"city": "Rome"}')])]
    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        made = fairlead.tool(weather)
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], tools=[made])
    assert up.requests[0].json()["tools"] == [made.model_dump()]


# ===== docstrings and results =====

NUMPY = """Sum.

    More of it.

    Parameters
    ----------
    a : int
        the first,
        of two
    b, c : int, optional
        the others

    Returns
    -------
    int
        a: not a parameter
    """
SPHINX = """Sum.

    More of it.

    :param a: the first,
        of two
    :param int b: the others
    :type b: int
    :returns: a number
    """
GOOGLE = """Sum.

    More of it.

    Args:
        a: the first,
            of two
        b (int, optional): the others
            c: still b
        *rest: no name of a parameter

    Returns:
        int: a number
    """


@pytest.mark.parametrize(
    ("doc", "told"),
    [
        (NUMPY, {"a": "the first, of two", "b": "the others", "c": "the others"}),
        (SPHINX, {"a": "the first, of two", "b": "the others"}),
        (
            GOOGLE,
            {"a": "the first, of two", "b": "the others c: still b", "rest": "no name of a parameter"},
        ),
        ("Sum.\n\nMore of it.", {}),
    ],
    ids=["numpy", "sphinx", "google", "plain"],
)
def test_docstrings_are_read_in_three_styles(doc: str, told: dict[str, str]) -> None:
    assert docstring.read(doc) == ("Sum.\n\nMore of it.", told)


def test_no_docstring_says_nothing() -> None:
    assert docstring.read(None) == ("", {})


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (1.5, "1.5"),
        ({"a": [1, "ä"]}, '{"a":[1,"ä"]}'),
        (Place("x", ["y"]), '{"name":"x","near":["y"]}'),
        ([Unit.C], '["celsius"]'),
        (Unit.C, "celsius"),
        (Level.LOW, "1"),
        ([Place("x"), {"at": Place("y")}], '[{"name":"x","near":null},{"at":{"name":"y","near":null}}]'),
        ({"when": date(2026, 1, 2), "at": time(3, 4)}, '{"when":"2026-01-02","at":"03:04:00"}'),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ([Decimal("1.50"), UUID(int=1), PurePosixPath("/a")], f'["1.50","{UUID(int=1)}","/a"]'),
        ({"a": math.nan, "b": [-math.inf]}, '{"a":"nan","b":["-inf"]}'),
        ({1: "a", None: "b", Unit.C: "c", (1, 2): "d"}, '{"1":"a","null":"b","celsius":"c","[1,2]":"d"}'),
        ((1, {2}, frozenset("x"), {3: 4}.keys()), '[1,[2],["x"],[3]]'),
        ([b"caf\xc3\xa9", bytearray(b"\xff")], '["caf\u00e9","\ufffd"]'),
        (10**30, str(10**30)),
        (array("i", [1, 2]), "[1,2]"),
    ],
)
def test_results_are_told_as_json(result: Any, text: str) -> None:
    assert text_of(result) == text


def test_objects_of_pydantic_are_told_whole_wherever_they_stand() -> None:
    pydantic = pytest.importorskip("pydantic")
    event = pydantic.create_model("Event", what=(str, "fair"), when=(date, date(2026, 1, 2)))
    odd = pydantic.create_model("Odd", __config__={"arbitrary_types_allowed": True}, what=(object, object()))
    told = '{"what":"fair","when":"2026-01-02"}'
    assert text_of(event()) == told
    assert text_of([Place("x", [event()])]) == f'[{{"name":"x","near":[{told}]}}]'
    assert text_of(odd()).startswith('{"what":"<object object')


class Mute:
    def __str__(self) -> str:
        raise LookupError("no words")


def test_something_is_told_of_every_result() -> None:
    round_trip: list[Any] = []
    round_trip.append(round_trip)
    assert text_of(round_trip) == "[[...]]"
    assert text_of(Mute()) == "<Mute>"
    assert text_of({"a": Mute()}) == '{"a":"<Mute>"}'
    assert text_of(Place) == str(Place)


def test_a_result_with_half_a_surrogate_pair_is_sent(up: Upstream) -> None:
    up.script = [ok(tool_calls=[tool_call("names", "{}")]), ok("done")]

    def names() -> list[str]:
        return ["caf\udce9.txt"]

    with fairlead.Client(api_key="k", base_url=up.base_url) as client:
        run = client.run_tools("m", "go", [names])
    assert (run.text, run.calls[0].result) == ("done", '["caf\ufffd\ufffd\ufffd.txt"]')
