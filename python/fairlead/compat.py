"""A client of the shape that many applications have written for themselves: `LLMClient`, set up by variables.

```python
from fairlead.compat import LLMClient, LLMUserMessage

client = LLMClient()  # LLM=openrouter, OPENROUTER_API_KEY=..., OPENROUTER_MODEL=...
text = await client.generate(messages=[LLMUserMessage("Hello!")], max_tokens=500)
```
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from . import _core
from .client import AsyncClient
from .doctor.keys import VARIABLES
from .errors import ConfigError, Problem, _make
from .hooks import LOGGER

if TYPE_CHECKING:
    from .structured.stream import AsyncStructuredStream
    from .text import AsyncTextStream

_log = logging.getLogger(LOGGER)

MOST_TEMPERATURE = 2.0
"""What providers take at most; Anthropic's models take 1."""

NO_THINKING: Mapping[str, Mapping[str, Any]] = {
    "openrouter": {"reasoning": {"enabled": False}},
    "openai": {"reasoning_effort": "none"},
    "gemini": {"reasoning_effort": "none"},
    "ollama": {"reasoning_effort": "none"},
    "anthropic": {"thinking": {"type": "disabled"}},
    "ark": {"thinking": {"type": "disabled"}},
    "deepseek": {"thinking": {"type": "disabled"}},
    "moonshot": {"thinking": {"type": "disabled"}},
    "zai": {"thinking": {"type": "disabled"}},
    "zhipu": {"thinking": {"type": "disabled"}},
    "dashscope": {"enable_thinking": False},
    "siliconflow": {"enable_thinking": False},
    "vllm": {"chat_template_kwargs": {"enable_thinking": False}},
}
"""How each provider is told not to reason."""

ALIASES: Mapping[str, str] = {"claude": "anthropic", "custom": "openai-compatible", "google": "gemini"}
"""Other names that `LLM` may have."""

_MODEL_VARIABLES: Mapping[str, str] = {
    preset["id"]: preset["model_env"][0] for preset in _core._presets() if preset["model_env"]
}
"""What names the model of a provider, as the engine reads it."""

_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class LLMMessage:
    """A message; see its kinds."""

    content: Any
    """Text, or a list of parts."""
    role: ClassVar[str] = "user"

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The message as it is sent."""
        return {"role": self.role, "content": self.content}


class LLMUserMessage(LLMMessage):
    """What the user says."""


class LLMSystemMessage(LLMMessage):
    """What the model is to keep to."""

    role = "system"


class LLMAssistantMessage(LLMMessage):
    """What the model said."""

    role = "assistant"


@dataclass(frozen=True)
class LLMSettings:
    """What the environment says.

    | variable | what | default |
    |---|---|---|
    | `LLM` | the provider | `openrouter` where its key is set, else `openai` |
    | `<PROVIDER>_API_KEY` | its key | - |
    | `<PROVIDER>_MODEL` | the model where a call names none | of OpenRouter `openrouter/auto`, else - |
    | `TEMPERATURE` | 0 to 2; 0 to 1 for Anthropic's models | not sent |
    | `MAX_TOKENS` | tokens of an answer at most | not sent |
    | `DISABLE_THINKING` | `true`: the model is not to reason | `false` |

    What a model is known to refuse is not sent to it on the word of a variable; nor is a model that is known
    not to reason told not to.
    """

    provider: str
    temperature: float | None = None
    max_tokens: int | None = None
    disable_thinking: bool = False

    @classmethod
    def from_env(cls) -> Self:
        """Read the variables.

        Raises:
            ConfigError: naming every variable that is wrong.
        """
        problems: list[Problem] = []
        temperature = _number("TEMPERATURE", problems)
        if temperature is not None and not 0 <= temperature <= MOST_TEMPERATURE:
            problems.append(
                _problem("TEMPERATURE", f"expected 0 to {MOST_TEMPERATURE:g}, not {temperature:g}")
            )
        most = _number("MAX_TOKENS", problems)
        if most is not None and (most < 1 or not most.is_integer()):
            problems.append(_problem("MAX_TOKENS", f"expected a whole number above 0, not {most:g}"))
        thinking = os.environ.get("DISABLE_THINKING", "").strip().lower()
        if thinking not in (*_YES, *_NO):
            problems.append(_problem("DISABLE_THINKING", f"expected true or false, not {thinking!r}"))
        named = os.environ.get("LLM", "").strip().lower() or _likely()
        provider = ALIASES.get(named, named)
        if thinking in _YES and provider not in NO_THINKING:
            problems.append(
                _problem("DISABLE_THINKING", f"it is not known how {provider} is told not to reason")
            )
        if problems:
            raise _wrong(problems)
        return cls(provider, temperature, None if most is None else int(most), thinking in _YES)

    def params(self, model: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a call: its own before those of the environment.

        Raises:
            ConfigError: for a temperature that the model does not take.
        """
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        params = {name: value for name, value in given.items() if value is not None}
        missing = {name: value for name, value in own.items() if value is not None and name not in params}
        row = self._row(model) if missing or self.disable_thinking else {}
        params = {**_accepted(missing, row), **params}
        if self.disable_thinking and (not row or "reasoning" in row["capabilities"]):
            params["extra_body"] = {**NO_THINKING[self._preset], **(params.get("extra_body") or {})}
        temperature = params.get("temperature")
        if isinstance(temperature, int | float) and temperature > 1 and self._is_anthropic(model):
            message = f"Anthropic's models take a temperature of 0 to 1, not {temperature:g}"
            raise _wrong([_problem("temperature" if "temperature" in given else "TEMPERATURE", message)])
        return params

    @property
    def _preset(self) -> str:
        return ALIASES.get(self.provider, self.provider)

    def _row(self, model: str | None) -> Mapping[str, Any]:
        """What the catalogue knows of a call's model; empty where it is not known."""
        name = self._named(model)
        return (_row(f"{self._preset}/{name}") or _row(name)) if name else {}

    def _named(self, model: str | None) -> str:
        return model or os.environ.get(_model_variable(self._preset), "")

    def _is_anthropic(self, model: str | None) -> bool:
        return self._preset == "anthropic" or self._named(model).startswith(("anthropic/", "claude-"))


class LLMClient:
    """Text and objects from the model that the environment names; every call may name another.

    Raises:
        ConfigError: naming the variable of a missing key or model, an unknown provider or a wrong value;
            before any network.
    """

    def __init__(self, client: AsyncClient | None = None, *, settings: LLMSettings | None = None) -> None:
        """
        Args:
            client: what the calls go through, with its own default model; default: one for the provider of
                the settings.
            settings: default: what the environment says.
        """
        self.settings = settings or LLMSettings.from_env()
        """What holds for every call that does not say otherwise."""
        self.client = client or _client(self.settings.provider)
        """What the calls go through."""

    @classmethod
    def from_env(cls) -> Self:
        """The same as `LLMClient()`."""
        return cls()

    async def generate(
        self,
        model: str | None = None,
        messages: str | Iterable[Any] | None = None,
        *,
        max_tokens: int | None = None,
        **params: Any,
    ) -> str:
        """The text of an answer.

        Args:
            model: default: `<PROVIDER>_MODEL`; of OpenRouter, `openrouter/auto`.
            messages: `LLMUserMessage` and its kin, dicts, or the prompt as a plain string.
            max_tokens: default: `MAX_TOKENS`.
            params: as of `AsyncClient.generate`.

        Raises:
            FairleadError: one of `fairlead.errors`; `RateLimitError.retry_after` says when to come back.
        """
        given: Any = self.settings.params(model, {**params, "max_tokens": max_tokens})
        return await self.client.generate(model, _plain(messages), **given)

    def stream(
        self,
        model: str | None = None,
        messages: str | Iterable[Any] | None = None,
        *,
        max_tokens: int | None = None,
        **params: Any,
    ) -> AsyncTextStream:
        """The text of an answer, piece by piece: `async for piece in client.stream(...)`."""
        given: Any = self.settings.params(model, {**params, "max_tokens": max_tokens})
        return self.client.stream(model, _plain(messages), **given)

    async def generate_structured(
        self,
        model: str | None = None,
        messages: str | Iterable[Any] | None = None,
        response_format: Any = None,
        *,
        strict: bool | None = None,
        max_tokens: int | None = None,
        **params: Any,
    ) -> Any:
        """An answer that is an object, validated.

        Args:
            model: as of `generate`.
            messages: as of `generate`.
            response_format: a JSON schema (`Answer.model_json_schema()`), a whole `response_format` with one,
                or a pydantic class; the answer is a dict, or an object of the class.
            strict: is the service to hold the answer to the schema? Default: where strict mode can say it.
            max_tokens: as of `generate`.
            params: as of `AsyncClient.generate_structured`.

        Raises:
            StructuredOutputError: when the answer does not fit, after the repairs too.
            FairleadError: as `generate`.
        """
        given: Any = self.settings.params(model, {**params, "strict": strict, "max_tokens": max_tokens})
        return await self.client.generate_structured(model, _plain(messages), response_format, **given)

    def stream_structured(
        self,
        model: str | None = None,
        messages: str | Iterable[Any] | None = None,
        response_format: Any = None,
        *,
        strict: bool | None = None,
        max_tokens: int | None = None,
        **params: Any,
    ) -> AsyncStructuredStream[Any]:
        """The object as it grows, then the validated one."""
        given: Any = self.settings.params(model, {**params, "strict": strict, "max_tokens": max_tokens})
        return self.client.stream_structured(model, _plain(messages), response_format, **given)

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _client(provider: str) -> AsyncClient:
    variables = VARIABLES.get(provider, (f"{_prefix(provider)}_API_KEY",))
    key = next((os.environ[name] for name in variables if os.environ.get(name, "").strip()), None)
    try:
        # With the key given, `openai/gpt-4o` is a model of this provider, and not of another one.
        client = AsyncClient(provider=provider, api_key=key)
        client.route()
    except ConfigError as error:
        if "no provider is called" in error.message:
            raise _wrong([_problem("LLM", f"no provider is called `{provider}`")]) from error
        if "no model is named" in error.message:
            message = f"it must name the model of calls that name none: {provider} has no default"
            raise _wrong([_problem(_model_variable(provider), message)]) from error
        raise
    return client


def _prefix(provider: str) -> str:
    return provider.upper().replace("-", "_")


def _model_variable(provider: str) -> str:
    """The variable that names the model of a provider, as the engine reads it."""
    return _MODEL_VARIABLES.get(provider, f"{_prefix(provider)}_MODEL")


@lru_cache(256)
def _row(name: str) -> Mapping[str, Any]:
    """What the catalogue says of a model; empty where it does not know it, or knows several."""
    found = _core._models(name)["models"]
    return found[0] if len(found) == 1 else {}


def _accepted(defaults: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What a model takes of `defaults`; it is noted what it does not."""
    refused = defaults.keys() & {*row.get("rejects", ())}
    for name in sorted(refused):
        _log.info("`%s` was not sent: %s/%s refuses it", name.upper(), row["provider"], row["model"])
    return {name: value for name, value in defaults.items() if name not in refused}


def _likely() -> str:
    return "openrouter" if os.environ.get("OPENROUTER_API_KEY") else "openai"


def _plain(messages: str | Iterable[Any] | None) -> Any:
    if messages is None or isinstance(messages, str):
        return messages
    return [one.model_dump() if isinstance(one, LLMMessage) else one for one in messages]


def _number(name: str, problems: list[Problem]) -> float | None:
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        problems.append(_problem(name, f"expected a number, not {text!r}"))
        return None


def _problem(name: str, message: str) -> Problem:
    return Problem(name, message)


def _wrong(problems: list[Problem]) -> ConfigError:
    error: Any = _make(ConfigError, "; ".join(str(problem) for problem in problems))
    error.problems = tuple(problems)
    wrong: ConfigError = error
    return wrong
