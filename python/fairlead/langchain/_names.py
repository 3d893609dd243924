"""Names of arguments: those that `ChatOpenAI` has for ours, and those that are no provider's business."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..options import Options

OPTIONS = frozenset(Options.__annotations__) - {"user", "metadata", "api_key"}
"""Options of the engine that a call may give by themselves; the rest are members of requests, or secret."""

_OURS = {"openai_api_key": "api_key", "openai_api_base": "base_url", "request_timeout": "timeout"}
"""What `ChatOpenAI` calls arguments of ours besides."""

_SECRET = ("_key", "_token", "_secret", "apikey", "password")
"""How names of secrets end."""

_NO_SECRETS = ("prompt_cache_key",)
"""Members of requests whose names end so and say nothing secret."""


def in_our_names(owner: str, values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Arguments under the names of our fields.

    Args:
        owner: whose arguments they are.
        values: the arguments as they were given.
        known: the names of the fields, and their aliases.

    Raises:
        TypeError: for an argument that is given under two names, or that looks like a secret and is no field.
    """
    given: dict[str, Any] = {}
    for name, value in values.items():
        ours = _OURS.get(name, name)
        if ours != name and ours in values:
            raise TypeError(f"{owner}: `{name}` is another name of `{ours}`; give one of them")
        given[ours] = value
    refuse_secrets(owner, {*given, *(given.get("model_kwargs") or ())} - {*known})
    return given


def refuse_secrets(owner: str, names: Collection[str]) -> None:
    """Raise where one of these names, which would go to the provider, looks like that of a secret.

    Not a `ValueError`: pydantic would print all arguments with it, keys included.

    Raises:
        TypeError: naming it, without its value.
    """
    for name in sorted(names):
        if name.lower().endswith(_SECRET) and name not in _NO_SECRETS:
            raise TypeError(
                f"{owner}: `{name}` is unknown here and would be sent to the provider; "
                "a key belongs in `api_key`, that of a single call in `fairlead={'api_key': ...}`"
            )


def lifted(request: dict[str, Any]) -> dict[str, Any]:
    """Take the options of the engine out of the arguments of a request, which gets our names."""
    for name, ours in _OURS.items():
        if name in request:
            request[ours] = request.pop(name)
    found = {name: request.pop(name) for name in OPTIONS & request.keys()}
    return {name: value for name, value in found.items() if value is not None}


def told(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call as tracers and caches may have them: without a key of its own."""
    options = kwargs.get("fairlead")
    if not isinstance(options, Mapping) or "api_key" not in options:
        return kwargs
    return {**kwargs, "fairlead": {name: value for name, value in options.items() if name != "api_key"}}
