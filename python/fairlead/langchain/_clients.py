"""The engines behind models: made with the first call, and shared by models of the same arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import SecretStr

from ..client import AsyncClient, Client

KEY_VARIABLE = "FAIRLEAD_API_KEY"
"""The key of `base_url`."""

URL_VARIABLE = "FAIRLEAD_BASE_URL"
"""Where a gateway or another upstream listens."""

SHARED = 32
"""Engines that are kept for further models."""


class Clients(NamedTuple):
    """The blocking and the awaited face of one engine."""

    blocking: Client
    awaited: AsyncClient


class Made(NamedTuple):
    """What a model has made for itself."""

    arguments: tuple[Any, ...]
    """Those of the model then, which the clients are for."""
    clients: Clients


def clients_of(owner: Any) -> Clients:
    """The clients of a model, made with its first call and whenever an argument that they depend on changes.

    Assignments and copies change arguments behind our back, so they are looked at before every call. The
    clients of before stay as they are: other models, and streams that are still read, may have them.

    Raises:
        ConfigError: naming every fault of the configuration.
    """
    arguments = (owner.client, owner.async_client, owner.config, owner.base_url, owner.api_key)
    made: Made | None = owner._made
    if made is None or made.arguments != arguments:
        made = owner._made = Made(arguments, _described(owner))
    return made.clients


def _described(owner: Any) -> Clients:
    """The clients a model was given, or those that its arguments describe.

    Raises:
        ConfigError: naming every fault of the configuration.
    """
    if owner.client is not None or owner.async_client is not None:
        return _given(owner.client, owner.async_client)
    base_url = _base_url(owner)
    key = _key(owner, base_url)
    if isinstance(owner.config, Mapping):
        return _made(owner.config, base_url, key)
    paths = _paths(owner.config)
    return _shared(paths, base_url, key, _surroundings(paths, base_url))


def _given(blocking: Client | None, awaited: AsyncClient | None) -> Clients:
    for client, class_ in ((blocking, Client), (awaited, AsyncClient)):
        if client is not None and not isinstance(client, class_):
            raise TypeError(f"expected a fairlead.{class_.__name__}, not a {type(client).__name__}")
    return Clients(
        blocking if blocking is not None else awaited._twin(Client),  # type: ignore[union-attr]
        awaited if awaited is not None else blocking._twin(AsyncClient),  # type: ignore[union-attr]
    )


def _base_url(owner: Any) -> str | None:
    """The single upstream. That of the environment stands back where a configuration is given."""
    base_url: str | None = owner.base_url
    if owner.config is not None and base_url == os.environ.get(URL_VARIABLE):
        return None
    return base_url


def _key(owner: Any, base_url: str | None) -> SecretStr | None:
    """The key that goes to the upstream. That of the environment is `base_url`'s alone."""
    given: SecretStr | str | None = owner.api_key
    key = SecretStr(given) if isinstance(given, str) else given
    if key is None or (not base_url and key.get_secret_value() == os.environ.get(KEY_VARIABLE)):
        return None
    return key


def _paths(config: Any) -> tuple[str, ...]:
    if config is None:
        return ()
    return tuple(map(os.fspath, config if isinstance(config, (list, tuple)) else (config,)))


def _surroundings(paths: tuple[str, ...], base_url: str | None) -> tuple[Any, ...]:
    """What else an engine depends on: its files, or the environment and where files are looked for."""
    files = tuple(_state(path) for path in paths)
    named = () if paths or base_url else (os.getcwd(),)
    return (files, named, tuple(item for item in os.environ.items() if _matters(item[0])))


def _state(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _matters(variable: str) -> bool:
    return variable.startswith("FAIRLEAD_") or variable.endswith(("_KEY", "_BASE_URL", "_TOKEN"))


@lru_cache(SHARED)
def _shared(
    paths: tuple[str, ...], base_url: str | None, key: SecretStr | None, surroundings: tuple[Any, ...]
) -> Clients:
    return _made(list(paths) or None, base_url, key)


def _made(config: Any, base_url: str | None, key: SecretStr | None) -> Clients:
    secret = None if key is None else key.get_secret_value()
    awaited = AsyncClient(config, api_key=secret, base_url=base_url)
    return Clients(awaited._twin(Client), awaited)
