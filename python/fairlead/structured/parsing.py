"""What `chat.completions.parse` and the stream helper make of answers and of tools' arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ContentFilterFinishReasonError, FairleadError, LengthFinishReasonError, _make
from ..options import is_absent
from . import schema as schemas

if TYPE_CHECKING:
    from .growing import Growing


class Reading:
    """How the answers of one request are read.

    Args:
        response_format: a class that the answer is an object of; a mapping is sent as it is and not read.
        tools: dicts, pydantic classes, tools of `openai.pydantic_function_tool` and of `fairlead.tool`.

    Raises:
        TypeError: when a class is none that pydantic knows.
    """

    def __init__(self, response_format: Any, tools: Any) -> None:
        self._answer: Callable[[str], Any] | None = None
        self._tools: dict[str, Callable[[str], Any]] = {}
        self.sent: dict[str, Any] = {}
        """What is sent for them."""
        if is_given(response_format):
            self.sent["response_format"] = self._format(response_format)
        if is_given(tools):
            self.sent["tools"] = [self._tool(tool) for tool in tools]

    @property
    def is_idle(self) -> bool:
        """Is there nothing to read?"""
        return self._answer is None and not self._tools

    @property
    def reads_answers(self) -> bool:
        """Do answers become objects?"""
        return self._answer is not None

    def answer(self, content: str | None, refusal: str | None) -> Any:
        """The object of an answer; None where there is none to read."""
        return self._answer(content) if self._answer is not None and content and not refusal else None

    def arguments(self, name: str, text: str) -> Any:
        """The object of a tool's arguments; None where the tool is not one that is read."""
        read = self._tools.get(name)
        return None if read is None else read(text)

    def reads(self, name: str) -> bool:
        """Do the arguments of this tool become objects?"""
        return name in self._tools

    def check(self, finish_reason: Any, reply: Callable[[], Any]) -> None:
        """Raises when an answer was cut off: then it is not whole."""
        if finish_reason == "length":
            raise _cut(LengthFinishReasonError, "the answer was cut off by its length limit", reply())
        if finish_reason == "content_filter":
            raise _cut(ContentFilterFinishReasonError, "the answer was cut off by a content filter", reply())

    def into(self, reply: Any) -> Any:
        """The same reply with `message.parsed` and `function.parsed_arguments` filled in.

        Raises:
            LengthFinishReasonError: when an answer was cut off.
            ContentFilterFinishReasonError: when a filter cut it off.
            pydantic.ValidationError: when it is not what was asked for.
        """
        for choice in reply.choices:
            self.check(choice.finish_reason, lambda: reply)
            message = choice.message
            # Reply objects refuse assignment; what a reader finds first is the instance's own dict.
            vars(message)["parsed"] = self.answer(message.content, message.refusal)
            for call in message.tool_calls or ():
                if call.function is not None:
                    read = self.arguments(call.function.name, call.function.arguments)
                    vars(call.function)["parsed_arguments"] = read
        return reply

    def _format(self, asked: Any) -> Any:
        if isinstance(asked, Mapping):
            return asked
        schema, self._answer = _class(asked, "response_format")
        if not schemas.is_object(schema):
            raise TypeError(f"`response_format`: {asked!r} is no object; use generate_structured()")
        inner = {"schema": schemas.strict(schema), "name": schemas.label(asked.__name__), "strict": True}
        return {"type": "json_schema", "json_schema": inner}

    def _tool(self, tool: Any) -> Any:
        if isinstance(tool, type):
            schema, read = _class(tool, "tools")
            self._tools[tool.__name__] = read
            parameters = schemas.strict(schema)
            words = {"description": schema["description"]} if "description" in schema else {}
            function = {"name": tool.__name__, **words, "parameters": parameters, "strict": True}
            return {"type": "function", "function": function}
        if not isinstance(tool, Mapping):
            if callable(getattr(tool, "parse", None)):
                self._tools[tool.name] = tool.parse
            return tool
        described: Any = tool.get("function")
        if isinstance(described, Mapping):
            model: Any = getattr(described, "model", None)
            if hasattr(model, "model_validate_json"):
                self._tools[str(described.get("name"))] = model.model_validate_json
            elif described.get("strict") is True:
                self._tools[str(described.get("name"))] = json.loads
        return tool


class StreamReading:
    """How the answers of a stream are read while they grow."""

    def __init__(self, whole: Reading) -> None:
        self.whole = whole
        """How they are read once they are complete."""
        self._growing: dict[Any, Growing] = {}
        self._shown: dict[Any, Any] = {}

    def answer_so_far(self, choice: int, piece: str) -> Any:
        """The JSON of an answer, with one more piece; None where answers are not read."""
        return self._grown(choice, piece) if self.whole.reads_answers else None

    def arguments_so_far(self, call: tuple[int, int], name: str, piece: str) -> Any:
        """The JSON of a tool's arguments, with one more piece; None where they are not read."""
        return self._grown(call, piece) if self.whole.reads(name) else None

    def _grown(self, place: Any, piece: str) -> Any:
        from .growing import Growing
        from .partial import NOTHING

        growing = self._growing.get(place)
        if growing is None:
            growing = self._growing[place] = Growing(None, is_wrapped=False)
        value = growing.feed(piece)
        if value is not NOTHING:
            self._shown[place] = value
        return self._shown.get(place)


def _class(kind: Any, argument: str) -> tuple[dict[str, Any], Callable[[str], Any]]:
    from .target import adapted

    if not isinstance(kind, type):
        raise TypeError(f"`{argument}`: expected a pydantic class, not {kind!r}")
    if hasattr(kind, "model_json_schema"):
        model: Any = kind
        return model.model_json_schema(), model.model_validate_json
    adapter, schema = adapted(kind, argument)
    return schema, adapter.validate_json


def is_given(value: Any) -> bool:
    """Is it neither None nor one of the words of ours or of the SDK for what is not given?"""
    return value is not None and not is_absent(value)


def response_format_of(model: Any) -> dict[str, Any]:
    """The `response_format` that asks for objects of the class `model`.

    Raises:
        TypeError: when `model` is no such class.
    """
    found: dict[str, Any] = Reading(model, None).sent["response_format"]
    return found


def reading_of(params: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
    """How the answers to a request are read, and its arguments as they are sent."""
    tools = params.get("tools")
    if isinstance(tools, Iterable) and not isinstance(tools, list):
        tools = list(tools)
    reading = Reading(params.get("response_format"), tools)
    given = {name: value for name, value in params.items() if name != "response_format"}
    return reading, {**given, **reading.sent}


def _cut(leaf: type[FairleadError], message: str, reply: Any) -> FairleadError:
    error: Any = _make(leaf, message)
    error.completion = reply
    made: FairleadError = error
    return made
