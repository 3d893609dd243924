"""A whole answer without LangChain's runs, where nobody is there to see them.

Runs, their tasks and their records are two thirds of what LangChain takes for a call. They are left out only
where nothing follows from them: no handler and no tracer, from wherever they come, no cache, no limiter, no
stream, and none of the methods in between replaced by a subclass. Whoever is there gets everything.
"""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models._utils import _normalize_messages
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.utils.utils import LC_ID_PREFIX
from langchain_core.utils.uuid import uuid7

from ._structured import FORMATS

_BETWEEN = {
    name: getattr(BaseChatModel, name)
    for name in ("agenerate_prompt", "agenerate", "_agenerate_with_cache", "_convert_input", "_should_stream")
}
"""What LangChain would call, and we leave out or call with its meaning."""


def is_unobserved(model: BaseChatModel, config: RunnableConfig, kwargs: dict[str, Any]) -> bool:
    """Would nobody see the runs of this call?

    Args:
        model: the chat model.
        config: with what surrounds the call in it (`ensure_config`).
        kwargs: of the call.
    """
    class_ = type(model)
    if model.rate_limiter is not None or model.output_version == "v1":
        return False
    if model.cache is not False and (model.cache is not None or get_llm_cache() is not None):
        return False
    if any(getattr(class_, name) is not known for name, known in _BETWEEN.items()):
        return False
    if model._should_stream(async_api=True, **kwargs):
        return False
    return not AsyncCallbackManager.configure(
        config.get("callbacks"), model.callbacks, model.verbose
    ).handlers


async def answer(
    model: BaseChatModel, input: Any, config: RunnableConfig, stop: list[str] | None, kwargs: dict[str, Any]
) -> AIMessage:
    """The answer that `ainvoke` would give."""
    sent = {name: value for name, value in kwargs.items() if name not in FORMATS}
    messages = _normalize_messages(model._convert_input(input).to_messages())
    result = await model._agenerate(messages, stop, None, **sent)
    message = result.generations[0].message
    assert isinstance(message, AIMessage)
    if message.id is None:
        message.id = f"{LC_ID_PREFIX}-{config.get('run_id') or uuid7()}-0"
    if len(result.generations) == 1 and result.llm_output:
        message.response_metadata = {**result.llm_output, **message.response_metadata}
    return message
