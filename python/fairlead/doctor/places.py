"""What there is to look at: the deployments of a configuration, or the providers whose key is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .. import _core
from ..client import Client
from ..errors import ConfigError, FairleadError, Problem
from ..options import Timeout
from .keys import VARIABLES, with_key
from .offline import KEY, Offline
from .report import Report

ONE = "looked-at-by-the-doctor"
"""The id that the deployment gets which is looked at."""


@dataclass(frozen=True)
class Place:
    """A provider at an address, with a key of its own."""

    name: str
    """The deployment's id, or the provider."""
    provider: str
    models: tuple[str, ...]
    """What is asked for there."""
    config: Any = None
    """The configuration that it is in; None with `arguments`."""
    id: str | None = None
    """What the deployment is called in requests; None without a configuration."""
    path: tuple[str, ...] = ()
    """Where it stands in the configuration."""
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)
    """Of the client, where there is no configuration."""
    has_proxy: bool = False
    """Is it reached through a proxy? Then names and certificates are the proxy's to see."""
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    """Of every request there."""

    @contextmanager
    def client(self, report: Report, timeout: float) -> Iterator[Client | None]:
        """A client whose requests go there and nowhere else; None where it cannot be made, which is told."""
        try:
            # One attempt more, for another key where one is refused.
            made = self._made({}, timeout, max_retries=1)
        except FairleadError as error:
            report.add(self.name, "key", "finding", str(error), "see the message for what to set")
            yield None
            return
        with made:
            yield made

    def address(self, timeout: float) -> str | None:
        """Where its requests go: one that meets a closed door on this machine says so, and reaches nobody."""
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            proxy = f"http://127.0.0.1:{door.getsockname()[1]}"
            with self._made({"PROXY": proxy}, timeout, max_retries=0, proxy=proxy) as client:
                try:
                    client.get("/models")
                except FairleadError as error:
                    return None if error.request is None else str(error.request.url)
        return None

    def _made(
        self, changes: dict[str, str], timeout: float, *, max_retries: int, proxy: str | None = None
    ) -> Client:
        """A client whose requests without a model go there, with `changes` of the deployment.

        Variables override configurations of every kind, wherever they were found; keys stay out of sight.
        """
        limits: Any = {"timeout": Timeout(timeout), "max_retries": max_retries}
        if self.id is None:
            return Client(self.config, **self.arguments, **limits, proxy=proxy)
        changes = {**changes, **({"ID": ONE} if self.id == ONE else {})}
        place = "__".join(("FAIRLEAD", *self.path))
        given = {f"{place}__{name}": value for name, value in changes.items()}
        with _environment({**given, "FAIRLEAD__DEFAULT_MODEL": self.id}):
            return Client(self.config, **limits)


@contextmanager
def _environment(given: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def keys_for_all(is_wanted: bool) -> Iterator[None]:
    """Variables for every key that is not there, if wanted: a local upstream takes any."""
    names = [names[0] for names in VARIABLES.values() if is_wanted and not any(map(os.environ.get, names))]
    with _environment(dict.fromkeys(names, KEY)):
        yield


def places_of(config: str | Sequence[str] | None, report: Report, local: Offline | None) -> list[Place]:
    """The places, each once; what is wrong with the configuration is told."""
    try:
        loaded = _core._load(config)
    except ConfigError as error:
        for problem in error.problems or (Problem("", str(error)),):
            report.add("", "configuration", "finding", str(problem), "`fairlead check` tells the whole story")
        return []
    for warning in loaded["warnings"]:
        report.add("", "configuration", "note", str(Problem(**warning)))
    found = loaded["config"]
    groups = {name: group for name, group in (found.get("models") or {}).items() if isinstance(group, dict)}
    if not groups:
        told = ", ".join(loaded["sources"])
        report.add("", "configuration", "fine", f"{told}: no models" if told else "none, and none is needed")
        return _by_environment(local)
    report.add("", "configuration", "fine", f"{', '.join(loaded['sources'])}: {len(groups)} models")
    return _configured(config, found, groups, local)


def _by_environment(local: Offline | None) -> list[Place]:
    if local is not None:
        arguments = {"provider": "openrouter", "api_key": KEY, "base_url": local.base_url}
        return [Place("openrouter", "openrouter", ("openrouter/auto",), None, None, (), arguments)]
    return [Place(provider, provider, (), None, None, (), {"provider": provider}) for provider in with_key()]


def _configured(
    config: Any, found: dict[str, Any], groups: dict[str, Any], local: Offline | None
) -> list[Place]:
    """One place for all deployments of a provider that share address and keys."""
    providers = found.get("providers") or {}
    options = {} if local is None else {"fairlead": {"base_url": local.base_url, "api_key": KEY}}
    places: dict[Any, Place] = {}
    for title, group in groups.items():
        for number, deployment in enumerate(group.get("deployments") or ()):
            provider = deployment.get("provider") or ""
            model = deployment.get("model") or ""
            name = deployment.get("id") or f"{provider}/{model}"
            own = {key: deployment.get(key) for key in ("base_url", "api_key", "proxy", "ca", "region")}
            about = {**(providers.get(provider) or {}), **{k: v for k, v in own.items() if v is not None}}
            # Keys are not shown: deployments with keys of their own are looked at one by one.
            same = (provider, name if own["api_key"] is not None else None, about.get("base_url"))
            known = places.get(same)
            models = (*known.models, model) if known is not None else (model,)
            first = name if known is None else known.name
            id = known.id if known is not None else deployment.get("id") or ONE
            path = known.path if known is not None else ("MODELS", title, "DEPLOYMENTS", str(number))
            has_proxy = bool(about.get("proxy") or found.get("proxy"))
            preset = about.get("preset") or provider
            places[same] = Place(
                first, preset, models, config, id, path, {}, has_proxy or local is not None, options
            )
    return list(places.values())
