"""What is asked: prompts, messages or arguments, with what all have in common."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import _core
from ..errors import ConfigError

_NOT_ASKED = ("extra_headers", "timeout")
"""What a request is sent with, but does not ask."""


@dataclass(frozen=True)
class Item:
    """A request at its place."""

    index: int
    arguments: dict[str, Any] | None
    """Of `create`; None where the request is none."""
    fault: Exception | None
    """What is wrong with it."""
    digest: str = ""
    """The same for the same request; it holds no prompt and no key. Empty where nobody asked for it."""

    @property
    def is_embedding(self) -> bool:
        """Is it for vectors?"""
        return self.arguments is not None and "input" in self.arguments


async def items(
    requests: Iterable[Any] | AsyncIterable[Any], common: Mapping[str, Any], with_digests: bool = False
) -> AsyncIterator[Item]:
    """The requests one after the other; none is read before it is wanted."""
    index = 0
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield _item(index, request, common, with_digests)
            index += 1
        return
    for request in requests:
        yield _item(index, request, common, with_digests)
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


def _item(index: int, request: Any, common: Mapping[str, Any], with_digest: bool) -> Item:
    # Whatever is wrong with a request is its own fault, and not the batch's.
    try:
        arguments = _arguments(request, common)
        return Item(index, arguments, None, _digest(arguments) if with_digest else "")
    except Exception as fault:
        return Item(index, None, fault)


def _digest(given: Mapping[str, Any]) -> str:
    """
    Raises:
        ConfigError: when an argument has no JSON form.
    """
    arguments = {name: value for name, value in sorted(given.items()) if name not in _NOT_ASKED}
    if isinstance(ours := arguments.get("fairlead"), Mapping):
        arguments["fairlead"] = {
            name: value for name, value in ours.items() if name != "api_key" and _is_plain(value)
        }
    return hashlib.sha256(_core._encode(arguments)).hexdigest()


def _is_plain(value: Any) -> bool:
    if not isinstance(value, str | int | float | Mapping | list | tuple):
        return False
    try:
        _core._encode(value)
    except ConfigError:
        return False
    return True


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
    if unnamed := [name for name in arguments if not isinstance(name, str)]:
        raise ConfigError(f"arguments have names, not {unnamed[0]!r}")
    if isinstance(arguments.get("messages"), str):
        arguments["messages"] = [{"role": "user", "content": arguments["messages"]}]
    for name in ("messages", "input"):
        if isinstance(arguments.get(name), Iterator):
            # It is read again when the request is turned away.
            arguments[name] = list(arguments[name])
    if arguments.get("stream"):
        raise ConfigError("`stream`: a batch answers whole")
    if ("messages" in arguments) == ("input" in arguments):
        raise ConfigError("a request has either `messages`, for an answer, or `input`, for vectors")
    return arguments
