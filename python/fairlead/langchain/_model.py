"""What a chat model is made of, and what it tells LangChain of itself."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.utils.utils import _build_model_kwargs
from pydantic import ConfigDict, Field, model_validator

from .._core import __version__
from ._arguments import EngineArguments, limits_of
from ._clients import KEY_VARIABLE
from ._names import in_our_names, told
from ._profile import profile_of
from ._scopes import SCOPE
from ._structured import tools_of

_SENT = (
    "temperature",
    "top_p",
    "max_tokens",
    "n",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "reasoning",
    "extra_body",
    "timeout",
)
"""Fields that go with every request where they are set."""


class EngineModel(EngineArguments, BaseChatModel, ABC):
    """The arguments of a chat model and the engine behind it."""

    model_name: str | None = Field(default=None, alias="model")
    """The model as a call names it; left out, rules and defaults of the configuration decide."""
    temperature: float | None = None
    """How freely the model chooses, 0 to 2. Default: the model's."""
    top_p: float | None = None
    """The share of probability it chooses from. Default: the model's."""
    max_tokens: int | None = None
    """The longest answer. Default: the model's."""
    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Where the answer ends, besides where it ends by itself."""
    n: int | None = None
    """Answers to one request; streams show the first. Default: 1."""
    seed: int | None = None
    """For answers that repeat, where the provider has that."""
    frequency_penalty: float | None = None
    """Against words that were often said, -2 to 2."""
    presence_penalty: float | None = None
    """Against words that were said, -2 to 2."""
    logprobs: bool | None = None
    """Tell how likely the tokens were: `response_metadata["logprobs"]`."""
    top_logprobs: int | None = None
    """And how likely so many others."""
    reasoning_effort: str | None = None
    """How much the model thinks, such as `low`."""
    reasoning: dict[str, Any] | None = None
    """The same in OpenRouter's form."""
    streaming: bool = False
    """Stream, even where a whole answer is asked for."""
    stream_usage: bool = True
    """Ask for the usage of streams."""
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of every request."""
    extra_body: dict[str, Any] | None = None
    """Members that are added to the body of every request, or replace its own."""

    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True)

    # ===== construction =====

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, values: dict[str, Any]) -> Any:
        known = cls._names()
        given = in_our_names(cls.__name__, values, known)
        if given.get("model_kwargs"):
            given["model_kwargs"] = {**given["model_kwargs"]}  # the caller's own stays as it is
        return _build_model_kwargs(given, known)

    @classmethod
    def _names(cls) -> set[str]:
        fields = cls.model_fields
        return {*fields, *(field.alias for field in fields.values() if field.alias)}

    @model_validator(mode="after")
    def _told(self) -> Self:
        self._add_version("fairlead", __version__)
        return self

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(self._engines().awaited, self.model_name) or None

    # ===== what LangChain asks =====

    @property
    def _llm_type(self) -> str:
        return "fairlead-chat"

    @property
    def model(self) -> str | None:
        """`model_name`."""
        return self.model_name

    @property
    def lc_secrets(self) -> dict[str, str]:
        """What is never written out."""
        return {"api_key": KEY_VARIABLE}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """What is written out in another form: the timeout, and the configuration's path.

        A configuration that is a dict is not written out, for it may hold keys.
        """
        plain = {} if self.timeout is None else {"timeout": limits_of(self.timeout)}
        if self.config is None or isinstance(self.config, Mapping):
            return plain
        return {**plain, "config": self._paths()}

    def _paths(self) -> Any:
        config = self.config
        return [str(path) for path in config] if isinstance(config, (list, tuple)) else str(config)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """It can be written out and loaded."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where it is loaded from."""
        return ["fairlead", "langchain"]

    @property
    def _defaults(self) -> dict[str, Any]:
        own = vars(self)
        given = {name: own[name] for name in _SENT if own[name] is not None}
        return {**given, **self.model_kwargs} if self.model_kwargs else given

    @property
    def _identifying_params(self) -> dict[str, Any]:
        told = {"model_name": self.model_name, **self._defaults, "stop": self.stop}
        return {**told, "timeout": limits_of(self.timeout)} if "timeout" in told else told

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        kwargs.pop(SCOPE, None)
        own = self._identifying_params
        return {
            "model": self.model_name,
            **own,
            "_type": self._llm_type,
            "stop": stop or self.stop,
            **told(kwargs),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        told = LangSmithParams(ls_provider="fairlead", ls_model_type="chat")
        model = kwargs.get("model") or self.model_name
        if model:
            told["ls_model_name"] = model
        temperature = kwargs.get("temperature", self.temperature)
        if temperature is not None:
            told["ls_temperature"] = temperature
        longest = kwargs.get("max_tokens") or self.max_tokens
        if longest:
            told["ls_max_tokens"] = longest
        ends = stop or self.stop
        if ends:
            told["ls_stop"] = [ends] if isinstance(ends, str) else ends
        return told

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        kwargs.pop(SCOPE, None)
        return super()._get_llm_string(stop, **told(kwargs)) + self._behind()

    def _behind(self) -> str:
        """What is not written out with the model but decides who answers; for LangChain's cache."""
        if self.client is None and self.async_client is None and not isinstance(self.config, Mapping):
            return ""
        client = self._engines().awaited
        return f"---{client.base_url} {client._engine.configuration()['hash']}"

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None], /) -> dict[str, Any]:
        outputs = [output for output in llm_outputs if output]
        if len(outputs) < 2:
            return dict(outputs[0]) if outputs else {}
        total: dict[str, int] = {}
        for output in outputs:
            for name, count in (output.get("token_usage") or {}).items():
                if isinstance(count, int):
                    total[name] = total.get(name, 0) + count
        return {"model_name": outputs[0].get("model_name"), "token_usage": total}

    def get_num_tokens(self, text: str) -> int:
        """About as many tokens as `text` has, at four characters each."""
        return ceil(len(text) / 4)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """About as many tokens as the messages have; what they really had is in `usage_metadata`."""
        offered: Any = None if tools is None else tools_of(tools, None)
        return count_tokens_approximately(messages, tools=offered)
