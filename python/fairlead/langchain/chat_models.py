"""`ChatFairlead`: LangChain's chat model on the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from langchain_core.utils.utils import LC_ID_PREFIX

from ..errors import FairleadError
from . import _blocks  # noqa: F401 - tells LangChain how our content reads
from ._chunks import Pieces
from ._errors import as_langchain, is_retryable
from ._events import Events
from ._frames import anext_events, next_events
from ._loading import register
from ._messages import to_wire
from ._model import EngineModel
from ._names import lifted, refuse_secrets
from ._replies import result_of
from ._scopes import SCOPE, laid_over, options_of, scope_of
from ._structured import (
    FORMATS,
    is_pydantic_v1,
    parsed,
    text_parser,
    tool_choice_of,
    tool_name,
    tool_parser,
    tools_of,
)
from ._structured import response_format as format_of
from ._unobserved import answer, is_unobserved

_UNSENT = (*FORMATS, SCOPE, "stream", "stream_usage", "fairlead", "extra_headers")
"""Arguments of a call that are not sent as they are."""

Method = Literal["json_schema", "function_calling", "json_mode"]


class ChatFairlead(EngineModel):
    """A chat model of LangChain whose calls run through the engine: routed, limited, retried, failed over.

    ```python
    from fairlead.langchain import ChatFairlead

    model = ChatFairlead(model="smart", config="fairlead.toml")
    print(model.invoke("Hello!").text)
    ```

    Retries and fallbacks happen inside of one run. What a `RunnableConfig` says of the caller (`thread_id`,
    `user_id`, tags, metadata) reaches routing and limits. Errors are `fairlead.errors` and LangChain's
    `ModelError` at once. One instance serves all threads and event loops.
    """

    # ===== LangChain's entrances: the config's word on who calls goes along =====

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """The answer to a prompt.

        Args:
            input: the prompt.
            config: what LangChain passes on; it also says who calls.
            stop: where the answer ends, besides where it ends by itself.
            kwargs: further arguments of the request. Options of the engine (`max_retries`, `deadline`,
                `priority` and so on) are never sent; all of them fit into `fairlead={...}`.

        Raises:
            FairleadError: one of `fairlead.errors`, which is a `ModelError` too.
            TypeError: for an argument that looks like a secret, and would be sent.
        """
        return super().invoke(input, config, stop=stop, **self._scoped(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """As `invoke`, awaited; being cancelled ends the call upstream."""
        given = self._scoped(config, kwargs)
        ensured = ensure_config(config)
        if is_unobserved(self, ensured, given):
            return await answer(self, input, ensured, stop, given)
        return await super().ainvoke(input, config, stop=stop, **given)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """As `invoke`, piece by piece."""
        return super().stream(input, config, stop=stop, **self._scoped(config, kwargs))

    def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """As `stream`, awaited; leaving it ends the call upstream."""
        return super().astream(input, config, stop=stop, **self._scoped(config, kwargs))

    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """As LangChain's; version `v3` comes straight from the engine's events."""
        if kwargs.get("version") == "v3":
            kwargs = self._scoped(config, kwargs)
        return super().stream_events(input, config, **kwargs)

    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """As `stream_events`, awaited."""
        if kwargs.get("version") == "v3":
            kwargs = self._scoped(config, kwargs)
        return super().astream_events(input, config, **kwargs)

    def _scoped(self, config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**kwargs, SCOPE: scope_of(config, self)}

    # ===== tools and structured output =====

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools.

        Args:
            tools: functions, tools, pydantic classes, JSON schemas or a provider's own tools.
            tool_choice: a tool's name, `any` for one of them, `auto`, `none`, or OpenAI's form.
            strict: must the arguments fit the schemas exactly?
            parallel_tool_calls: may the model call several at once? Default: the provider's.
            response_format: what the final answer must look like; as `with_structured_output`'s schema.
            kwargs: further arguments of the request.

        Raises:
            ValueError: for a `tool_choice` that is none.
        """
        made = tools_of(tools, strict)
        if made:
            kwargs["tools"] = made
        if tool_choice:
            kwargs["tool_choice"] = tool_choice_of(tool_choice, made)
        if parallel_tool_calls is not None:
            kwargs["parallel_tool_calls"] = parallel_tool_calls
        if response_format is not None:
            kwargs["response_format"] = format_of(response_format, None)
        return self.bind(**kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """The model with answers that are objects.

        Its calls raise `ModelRefusalError` where the model or a filter kept the answer back, and
        `LengthFinishReasonError` where it was cut off; `completion` is the message then.

        Args:
            schema: a pydantic class (answers are instances), a `TypedDict` or a JSON schema (answers are
                dicts).
            method: `json_schema`, the provider's own structured output; `function_calling`, a forced tool
                (also for classes of pydantic v1); `json_mode`, any JSON, told in the prompt.
            include_raw: answer with `raw`, `parsed` and `parsing_error`, and raise nothing for bad answers.
            strict: must the provider hold the answer to the schema? Default: yes for pydantic classes.
            tools: tools to offer besides, with `json_schema`.
            kwargs: further arguments of the request.

        Raises:
            ValueError: when there is no schema though the method needs one, or no such method.
        """
        if method not in ("json_schema", "function_calling", "json_mode"):
            raise ValueError(f"`method`: expected json_schema, function_calling or json_mode, not {method!r}")
        if schema is None and method != "json_mode":
            raise ValueError(f"method={method!r} needs a schema")
        if method == "json_schema" and is_pydantic_v1(schema):
            method = "function_calling"
        told = {FORMATS[0]: {"kwargs": {"method": method, "strict": strict}, "schema": schema}}
        if method == "function_calling":
            bound = self.bind_tools(
                [schema],  # type: ignore[list-item]
                tool_choice=tool_name(schema),
                strict=strict,
                **{"parallel_tool_calls": False, **told, **kwargs},
            )
            return parsed(bound, tool_parser(schema), include_raw)
        if method == "json_mode":
            told = {FORMATS[0]: {"kwargs": {"method": method}, "schema": schema}} if schema else {}
            bound = self.bind(**{"response_format": {"type": "json_object"}, **told, **kwargs})
            return parsed(bound, text_parser(schema), include_raw)
        if tools:
            kwargs["tools"] = tools_of(tools, strict)
        told[FORMATS[0]]["schema"] = schema
        bound = self.bind(**{"response_format": format_of(schema, strict), **told, **kwargs})
        return parsed(bound, text_parser(schema), include_raw)

    def with_retry(self, **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """As LangChain's, but what fairlead has tried already is not tried again unless it is asked for.

        Args:
            kwargs: those of LangChain's; `retry_if_exception_type` is `fairlead.langchain.is_retryable`
                unless it is given.
        """
        return super().with_retry(**{"retry_if_exception_type": is_retryable, **kwargs})

    # ===== a call =====

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, run: Any, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """The arguments of `chat.completions.create`.

        Raises:
            TypeError: for an argument that looks like a secret, and would be sent.
        """
        refuse_secrets(type(self).__name__, kwargs)
        request = self._defaults
        request["messages"] = to_wire(messages)
        if self.model_name is not None:
            request["model"] = self.model_name
        given, scope = kwargs.get("fairlead"), kwargs.get(SCOPE)
        headers = {**(request.get("extra_headers") or {}), **(kwargs.get("extra_headers") or {})}
        request.update((name, value) for name, value in kwargs.items() if name not in _UNSENT)
        own = lifted(request)
        ends = stop or request.get("stop") or self.stop
        if ends:
            request["stop"] = ends
        else:
            request.pop("stop", None)
        if scope is None and run is not None and SCOPE not in kwargs:
            scope = options_of(run.metadata, run.tags)
        if self.max_retries is not None:
            scope = {**(scope or {}), "max_retries": self.max_retries}
        options = laid_over(scope, request.get("fairlead"), own, given)
        if options:
            request["fairlead"] = options
        if headers or self.default_headers:
            request["extra_headers"] = {**(self.default_headers or {}), **headers}
        return request

    def _stream_request(
        self, messages: list[BaseMessage], stop: list[str] | None, run: Any, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        request = self._request(messages, stop, run, kwargs)
        usage = kwargs.get("stream_usage")
        if (self.stream_usage if usage is None else usage) and "stream_options" not in request:
            request["stream_options"] = {"include_usage": True}
        return {**request, "stream": True}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, run_manager, kwargs)
        try:
            return result_of(self._engines().blocking.chat.completions.create(**request))
        except FairleadError as error:
            as_langchain(error)
            raise

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, run_manager, kwargs)
        try:
            return result_of(await self._engines().awaited.chat.completions.create(**request))
        except FairleadError as error:
            as_langchain(error)
            raise

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._stream_request(messages, stop, run_manager, kwargs)
        tell = run_manager.on_llm_new_token if run_manager is not None and run_manager.handlers else None
        try:
            with self._engines().blocking.chat.completions.create(**request) as stream:
                pieces = Pieces()
                while (events := next_events(stream._core)) is not None:
                    for event in events:
                        chunk = pieces.of(event)
                        if chunk is not None:
                            if tell is not None:
                                tell(chunk.text, chunk=chunk)
                            yield chunk
                yield pieces.last(stream.fairlead)
        except FairleadError as error:
            as_langchain(error)
            raise

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        request = self._stream_request(messages, stop, run_manager, kwargs)
        tell = run_manager.on_llm_new_token if run_manager is not None and run_manager.handlers else None
        try:
            async with await self._engines().awaited.chat.completions.create(**request) as stream:
                pieces = Pieces()
                while (events := await anext_events(stream._core)) is not None:
                    for event in events:
                        chunk = pieces.of(event)
                        if chunk is not None:
                            if tell is not None:
                                await tell(chunk.text, chunk=chunk)
                            yield chunk
                yield pieces.last(stream.fairlead)
        except FairleadError as error:
            as_langchain(error)
            raise

    # LangChain finds these two by their names and prefers them for `stream_events(version="v3")`.

    def _stream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[dict[str, Any]]:
        events = self._events(run_manager, kwargs)
        for chunk in self._stream(messages, stop, run_manager, **kwargs):
            yield from events.of(chunk)

    async def _astream_chat_model_events(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        events = self._events(run_manager, kwargs)
        async with aclosing(self._astream(messages, stop, run_manager, **kwargs)) as chunks:
            async for chunk in chunks:
                for event in events.of(chunk):
                    yield event

    def _events(self, run: Any, kwargs: dict[str, Any]) -> Events:
        id = "" if run is None else f"{LC_ID_PREFIX}-{run.run_id}"
        return Events(id, kwargs.get("model") or self.model_name)


register(ChatFairlead)
