"""LangChain's messages, built without the validation of what is known to be right.

Validation is most of what a chunk costs. The defaults come from an instance that LangChain itself made, so
members that a later version adds are there as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

Built = TypeVar("Built", bound=BaseModel)

_set = object.__setattr__


def _blank(instance: Built) -> Callable[[dict[str, Any]], Built]:
    """What makes instances like this one, with other values for some members."""
    class_ = type(instance)
    defaults = dict(vars(instance))
    has_extra = instance.__pydantic_extra__ is not None
    containers = [(name, type(value)) for name, value in defaults.items() if isinstance(value, (dict, list))]
    new = class_.__new__

    def build(given: dict[str, Any]) -> Built:
        built = new(class_)
        values = defaults.copy()
        for name, container in containers:
            values[name] = container()
        values.update(given)
        _set(built, "__dict__", values)
        _set(built, "__pydantic_fields_set__", set(given))
        _set(built, "__pydantic_extra__", {} if has_extra else None)
        _set(built, "__pydantic_private__", None)
        return built

    return build


message: Callable[[dict[str, Any]], AIMessage] = _blank(AIMessage(content=""))
"""An answer. Its members are of the right types already, tool calls included."""

chunk: Callable[[dict[str, Any]], AIMessageChunk] = _blank(AIMessageChunk(content=""))
"""A piece of an answer, without tool calls: LangChain parses those itself."""

_generation = _blank(ChatGeneration(message=AIMessage(content="")))
_generation_chunk = _blank(ChatGenerationChunk(message=AIMessageChunk(content="")))
_result = _blank(ChatResult(generations=[]))


def generation(answer: AIMessage, text: str, info: dict[str, Any]) -> ChatGeneration:
    """An answer as callbacks see it; tracers read `info`."""
    return _generation({"message": answer, "text": text, "generation_info": info})


def generation_chunk(
    piece: AIMessageChunk, text: str, info: dict[str, Any] | None = None
) -> ChatGenerationChunk:
    """A piece of an answer as callbacks see it; tracers read `info`."""
    return _generation_chunk({"message": piece, "text": text, "generation_info": info})


def result(generations: list[ChatGeneration], output: dict[str, Any]) -> ChatResult:
    """All answers to one request."""
    return _result({"generations": generations, "llm_output": output})
