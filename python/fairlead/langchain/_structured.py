"""Tools and structured output: what is asked for, and how the answer is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.exceptions import ModelRefusalError
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda, RunnableMap
from langchain_core.utils.function_calling import convert_to_openai_function, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from ..errors import LengthFinishReasonError
from ..structured.parsing import _cut, response_format_of
from ..tools.tool import Tool
from ._errors import as_langchain

FORMATS = ("ls_structured_output_format", "structured_output_format")
"""Arguments that tell tracers what is asked for. They are never sent."""


def is_pydantic(schema: Any) -> bool:
    """Is it a pydantic class, of either version?"""
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def is_pydantic_v1(schema: Any) -> bool:
    """Is it a pydantic class of the first version?"""
    return is_pydantic(schema) and not issubclass(schema, BaseModel)


def tool_name(schema: Any) -> str:
    """The name of the tool that a schema becomes."""
    name: str = convert_to_openai_tool(schema)["function"]["name"]
    return name


def tools_of(tools: Sequence[Any], strict: bool | None) -> list[dict[str, Any]]:
    """Tools as a request has them; what is in a provider's form already stays as it is."""
    return [_tool(tool, strict) for tool in tools]


def _tool(tool: Any, strict: bool | None) -> dict[str, Any]:
    if not isinstance(tool, Tool):
        return convert_to_openai_tool(tool, strict=strict)
    # It knows its schema better than what LangChain would make of its function.
    function = convert_to_openai_function(tool.model_dump()["function"], strict=strict)
    return {"type": "function", "function": function}


def tool_choice_of(choice: Any, tools: Sequence[dict[str, Any]]) -> Any:
    """`tool_choice` as a request has it: a tool's name, `any` and True have OpenAI's form afterwards.

    Raises:
        ValueError: when it is neither a name nor a word, a dict or a bool.
    """
    if isinstance(choice, bool):
        return "required" if choice else "none"
    if isinstance(choice, dict):
        return choice
    if not isinstance(choice, str):
        raise ValueError(f"`tool_choice`: expected a str, a dict or a bool, not {type(choice).__name__}")
    names = [(tool.get("function") or tool).get("name") for tool in tools]
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    return "required" if choice == "any" else choice


def response_format(schema: Any, strict: bool | None) -> dict[str, Any]:
    """The `response_format` that asks for objects of a schema.

    Args:
        schema: a pydantic class, a `TypedDict`, a JSON schema, or a `response_format` itself.
        strict: must the provider hold the answer to it? `None` is True for pydantic classes, as in OpenAI's
            SDK, and else left to the schema and the provider.

    Raises:
        ValueError: when `strict` contradicts the schema's own.
    """
    if is_pydantic(schema) and not is_pydantic_v1(schema) and strict is not False:
        return response_format_of(schema)
    made = _as_given(schema)
    if made is None:
        function = convert_to_openai_function(schema, strict=strict)
        function["schema"] = function.pop("parameters", {})
        made = {"type": "json_schema", "json_schema": function}
    stated = made["json_schema"].get("strict")
    if strict is not None and stated is not None and stated is not strict:
        raise ValueError(f"`strict` is {strict}, but the schema itself says {stated}")
    if strict is not None and stated is None:
        made = {**made, "json_schema": {**made["json_schema"], "strict": strict}}
    return made


def _as_given(schema: Any) -> dict[str, Any] | None:
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "json_schema" and "json_schema" in schema:
        return schema
    if "name" in schema and "schema" in schema:
        return {"type": "json_schema", "json_schema": schema}
    return None


def tool_parser(schema: Any) -> Runnable[Any, Any]:
    """Reads the first call of the tool that a schema has become."""
    if is_pydantic(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=tool_name(schema), first_tool_only=True)


def text_parser(schema: Any) -> Runnable[Any, Any]:
    """Reads the text of an answer as JSON."""
    if is_pydantic(schema):
        return PydanticOutputParser(pydantic_object=schema)
    return JsonOutputParser()


def parsed(model: Runnable[Any, Any], parser: Runnable[Any, Any], include_raw: bool) -> Runnable[Any, Any]:
    """A model and what reads its answers.

    Refusals and answers that were cut off are errors, or `parsing_error` with `include_raw`.
    """
    reader = RunnableGenerator(_heeded, _aheeded) | parser
    return RunnableMap(raw=model) | _beside(reader) if include_raw else model | reader


def _beside(reader: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Puts what was read, or why it was not, beside the answer.

    LangChain's fallbacks would not do: of a stream they catch what is wrong with its first piece alone.
    """

    def read(found: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        try:
            return _read(found, parsed=reader.invoke(found["raw"], config))
        except Exception as error:
            return _read(found, error=error)

    async def aread(found: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        try:
            return _read(found, parsed=await reader.ainvoke(found["raw"], config))
        except Exception as error:
            return _read(found, error=error)

    return RunnableLambda(read, aread)


def _read(found: dict[str, Any], parsed: Any = None, error: Exception | None = None) -> dict[str, Any]:
    return {**found, "parsed": parsed, "parsing_error": error}


def _heed(message: BaseMessage) -> None:
    """Raise where there is no whole answer: parsers complete what was cut off, and it would look right.

    Raises:
        ModelRefusalError: when the model, or a filter, kept its answer back.
        LengthFinishReasonError: when its length limit cut it off; `completion` is the message.
    """
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        raise ModelRefusalError(str(refusal), raw_message=message)
    finish_reason = message.response_metadata.get("finish_reason")
    if finish_reason == "content_filter":
        raise ModelRefusalError("a content filter cut the answer off", raw_message=message)
    if finish_reason == "length":
        cut = _cut(LengthFinishReasonError, "the answer was cut off by its length limit", message)
        raise as_langchain(cut)
    if isinstance(message, AIMessage) and isinstance(message.content, list):
        for block in message.content:
            if isinstance(block, dict) and block.get("type") == "refusal":
                raise ModelRefusalError(str(block.get("refusal") or ""), raw_message=message)


def _heeded(messages: Iterator[BaseMessage]) -> Iterator[BaseMessage]:
    for message in messages:
        _heed(message)
        yield message


async def _aheeded(messages: AsyncIterator[BaseMessage]) -> AsyncIterator[BaseMessage]:
    async for message in messages:
        _heed(message)
        yield message
