"""What is asked: prompts, messages or arguments, with what all have in common."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import _core
from ..errors import ConfigError


@dataclass(frozen=True)
class Item:
    """A request at its place."""

    index: int
    arguments: dict[str, Any] | None
    """Of `create`; None where the request is none."""
    fault: Exception | None
    """What is wrong with it."""

    @property
    def is_embedding(self) -> bool:
        """Is it for vectors?"""
        return self.arguments is not None and "input" in self.arguments

    def digest(self) -> str:
        """The same for the same request; it holds no prompt and no key."""
        arguments = dict(self.arguments or {})
        if isinstance(ours := arguments.get("fairlead"), Mapping):
            arguments["fairlead"] = {
                name: value
                for name, value in ours.items()
                if isinstance(value, str | int | float | Mapping | list | tuple) and name != "api_key"
            }
        arguments.pop("extra_headers", None)
        arguments.pop("timeout", None)
        return hashlib.sha256(_core._encode(dict(sorted(arguments.items())))).hexdigest()


async def items(
    requests: Iterable[Any] | AsyncIterable[Any], common: Mapping[str, Any]
) -> AsyncIterator[Item]:
    """The requests one after the other; none is read before it is wanted."""
    index = 0
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield _item(index, request, common)
            index += 1
        return
    for request in requests:
        yield _item(index, request, common)
        index += 1


def checked(requests: Any) -> None:
    """
    Raises:
        ConfigError: when `requests` are not several.
    """
    if isinstance(requests, str | Mapping) or not isinstance(requests, Iterable | AsyncIterable):
        kind = type(requests).__name__
        raise ConfigError(f"`requests`: expected a list or an iterable of them, not a {kind}")


def size_of(requests: Any) -> int | None:
    """How many, where that can be told."""
    try:
        return len(requests)
    except TypeError:
        return None


def _item(index: int, request: Any, common: Mapping[str, Any]) -> Item:
    try:
        return Item(index, _arguments(request, common), None)
    except ConfigError as fault:
        return Item(index, None, fault)


def _arguments(request: Any, common: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(request, str):
        own: dict[str, Any] = {"messages": [{"role": "user", "content": request}]}
    elif isinstance(request, Mapping):
        own = dict(request)
    elif isinstance(request, Iterable) and not isinstance(request, bytes | bytearray):
        own = {"messages": list(request)}
    else:
        kind = type(request).__name__
        raise ConfigError(f"a request is a prompt, messages, or a dict of arguments, not a {kind}")
    arguments = {**common, **own}
    if isinstance(arguments.get("messages"), str):
        arguments["messages"] = [{"role": "user", "content": arguments["messages"]}]
    if arguments.get("stream"):
        raise ConfigError("`stream`: a batch answers whole")
    if ("messages" in arguments) == ("input" in arguments):
        raise ConfigError("a request has either `messages`, for an answer, or `input`, for vectors")
    return arguments
