"""A LiteLLM Router's arguments, of its constructor and of its calls, as ours."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Any

from ._core import Secret
from ._litellm_names import (
    ACCOUNTS,
    ACCOUNTS_BEGIN,
    ARGUMENTS,
    LEFT_OUT,
    LEFT_OUT_BEGIN,
    MOCKS,
    OF_CALLS,
)
from .errors import ConfigError
from .hooks import LOGGER
from .structured.parsing import response_format_of
from .types.params import ChatParams, EmbeddingParams

_PARAMETERS = ChatParams.__optional_keys__ | EmbeddingParams.__optional_keys__ | {"stream"}


def configuration(model_list: Iterable[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the core reads as a LiteLLM configuration.

    Raises:
        TypeError: when an argument is none of LiteLLM's.
    """
    for name in arguments:
        if name not in ARGUMENTS:
            near = get_close_matches(name, ARGUMENTS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"Router() got an unexpected keyword argument {name!r}{hint}")
    given = {name: _plain(value) for name, value in arguments.items() if value is not None}
    return {"model_list": [_plain(entry) for entry in model_list], "arguments": given}


def _plain(value: Any) -> Any:
    """`value` in dicts, lists and plain values; what has no such form stands as its type."""
    if value is None or isinstance(value, (str, int, float, Secret)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(member) for member in value]
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(exclude_none=True))
    if hasattr(value, "connect") and hasattr(value, "read"):
        return value.read
    return f"<{type(value).__name__}>"


_RETRIES = 2
"""Where nobody says how many."""


class Calls:
    """Turns the arguments of one Router's calls into those of `chat.completions.create`."""

    def __init__(self, arguments: Mapping[str, Any] | None = None, model_list: Iterable[Any] = ()) -> None:
        self._told: set[str] = set()
        self._arguments = arguments or {}
        named = (entry.get("model_name") for entry in model_list if isinstance(entry, Mapping))
        self._sizes = Counter(name for name in named if isinstance(name, str))

    def options(self, model: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of ours that `given` ones mean.

        Raises:
            ConfigError: when an answer is to be made up, or a value is none that the argument takes.
            TypeError: an argument that nearly is one of LiteLLM's.
        """
        made: dict[str, Any] = {} if model is None else {"model": model}
        ours: dict[str, Any] = dict(given.get("fairlead") or {})
        for name, value in given.items():
            if value is None or name == "fairlead":
                continue
            _refuse(name)
            if name in LEFT_OUT or name.startswith(LEFT_OUT_BEGIN):
                self._tell(name)
            else:
                _known(name)
                _place(name, value, model, made, ours)
        if "max_retries" in ours or "fallbacks" in ours:
            ours["max_retries"] = self._turns(model, ours)
        if ours:
            made["fairlead"] = ours
        return made

    def _turns(self, model: str | None, ours: Mapping[str, Any]) -> int:
        """Retries until each deployment of the model and of its fallbacks has had its turn."""
        group = self._group(model)
        configured = self._arguments.get("num_retries")
        retries = _count(ours.get("max_retries", _RETRIES if configured is None else configured))
        chain = ours.get("fallbacks")
        if chain is None:
            entries = self._arguments.get("fallbacks") or ()
            own = [entry[name] for name in (model, group, "*") for entry in entries if name in entry]
            chain = own[0] if own else self._arguments.get("default_fallbacks") or ()
        return max(retries, self._size(group) - 1) + sum(map(self._size, chain))

    def _group(self, name: Any) -> Any:
        """The model that an alias stands for."""
        target = (self._arguments.get("model_group_alias") or {}).get(name, name)
        return target.get("model") if isinstance(target, Mapping) else target

    def _size(self, target: Any) -> int:
        """How many attempts it takes to ask each deployment of a model."""
        name = target.get("model") if isinstance(target, Mapping) else target
        return max(1, self._sizes[self._group(name)])

    def _tell(self, name: str) -> None:
        if name not in self._told:
            self._told.add(name)
            logging.getLogger(LOGGER).warning("`%s` of a Router's call has no equivalent; left out", name)


def _refuse(name: str) -> None:
    """Refuses what must not be dropped: an answer would come that was not asked for so."""
    if name in MOCKS or name.startswith("mock_testing_"):
        raise ConfigError(f"`{name}`: no answer is made up; `fairlead.testing.Upstream` serves tests")
    if name in ACCOUNTS or name.startswith(ACCOUNTS_BEGIN):
        raise ConfigError(
            f"`{name}`: whose account pays is said by a deployment; a call may bring an `api_key`"
        )
    if name == "allowed_model_region":
        raise ConfigError(f'`{name}`: pass `fairlead={{"regions": [...]}}`, in the words of `region_name`')


def _known(name: str) -> None:
    """Refuses what nearly is an argument of LiteLLM's; other names are parameters of the request."""
    if name in OF_CALLS or name in _PARAMETERS:
        return
    near = get_close_matches(name, OF_CALLS | MOCKS, 1, 0.8)
    if near:
        raise TypeError(
            f"unexpected keyword argument {name!r}; did you mean {near[0]!r}? "
            "Parameters of such a name go into `extra_body`"
        )


def _count(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError("`num_retries`: expected a whole number of 0 or more")
    return value


def _place(name: str, value: Any, model: str | None, made: dict[str, Any], ours: dict[str, Any]) -> None:
    match name:
        case "fallbacks":
            ours["fallbacks"] = list(_fallbacks(value, model))
        case "num_retries" | "max_retries":
            ours["max_retries"] = _count(value)
        case "metadata" | "headers" | "extra_headers" if not isinstance(value, Mapping):
            raise ConfigError(f"`{name}`: expected a dict")
        case "tags" if not isinstance(value, (str, list, tuple)):
            raise ConfigError("`tags`: expected a list of names")
        case "metadata":
            ours["metadata"] = {**ours.get("metadata", {}), **value}
        case "tags":
            tags = [value] if isinstance(value, str) else value
            ours["metadata"] = {**ours.get("metadata", {}), "tags": ",".join(tags)}
        case "api_base" | "base_url":
            ours["base_url"] = value
        case "api_key":
            ours["api_key"] = value
        case "timeout" | "request_timeout":
            made["timeout"] = value
        case "headers" | "extra_headers":
            made["extra_headers"] = {**made.get("extra_headers", {}), **value}
        case "organization":
            made["extra_headers"] = {**made.get("extra_headers", {}), "OpenAI-Organization": value}
        case "response_format" if isinstance(value, type):
            made["response_format"] = response_format_of(value)
        case _:
            made[name] = value


def _fallbacks(value: Any, model: str | None) -> Iterable[str]:
    """`["b"]`, `[{"model": "b"}]` or `[{"a": ["b"]}]`."""
    if not isinstance(value, (list, tuple)):
        raise ConfigError("`fallbacks`: expected a list of names of models")
    for entry in value:
        if isinstance(entry, str):
            yield entry
        elif not isinstance(entry, Mapping):
            raise ConfigError("`fallbacks`: expected names of models, or dicts of them")
        elif "model" in entry:
            yield _target(entry)
        else:
            for name, targets in entry.items():
                if name in (model, "*"):
                    yield from _fallbacks(targets, model)


def _target(entry: Mapping[str, Any]) -> str:
    """The model of a fallback. What else it says would change where the call goes: it is never dropped."""
    more = ", ".join(f"`{name}`" for name, value in entry.items() if name != "model" and value is not None)
    if more:
        raise ConfigError(
            f"`fallbacks`: a fallback is a model's name; {more} cannot be carried: give such a target "
            "an entry of its own in `model_list`"
        )
    if not isinstance(entry["model"], str):
        raise ConfigError("`fallbacks`: expected names of models")
    return entry["model"]
