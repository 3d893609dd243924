"""What a client was given, to be read; copies are given something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .options import NOT_GIVEN, is_absent

ORGANIZATION, PROJECT = "OpenAI-Organization", "OpenAI-Project"


class Given:
    """Read-only; what a configuration says is not in it, and `api_key` never is.

    Headers and query are as they were given, with keys that stand in them: a client may be made of them.
    """

    _arguments: dict[str, Any]
    _options: dict[str, Any]
    """`headers` and `query`; `timeout` and `max_retries` where they were given."""

    @property
    def base_url(self) -> str | None:
        """The address that was given."""
        given: str | None = self._arguments["base_url"]
        return given

    @property
    def timeout(self) -> Any:
        """The limits of an attempt that were given, in seconds; `NOT_GIVEN` if none were."""
        return self._options.get("timeout", NOT_GIVEN)

    @property
    def max_retries(self) -> int | None:
        """The attempts after the first that were given; `None` if none were."""
        given: int | None = self._options.get("max_retries")
        return given

    @property
    def default_headers(self) -> dict[str, Any]:
        """The headers that were given for every request; `None` as a value removes one. A key that was given
        as a header is among them."""
        return dict(self._options["headers"])

    @property
    def default_query(self) -> dict[str, Any]:
        """What was given to be added to every URL."""
        return dict(self._options["query"])

    @property
    def organization(self) -> str | None:
        """What is sent as `OpenAI-Organization`."""
        return self._header(ORGANIZATION)

    @property
    def project(self) -> str | None:
        """What is sent as `OpenAI-Project`."""
        return self._header(PROJECT)

    def _header(self, name: str) -> str | None:
        return next((value for known, value in self._options["headers"].items() if _same(known, name)), None)


_CHANGES = {
    "timeout": "timeout",
    "max_retries": "max_retries",
    "default_headers": "headers",
    "default_query": "query",
    "set_default_headers": "set_headers",
    "set_default_query": "set_query",
}
"""Arguments that a copy on the same connections may have, and what the engine calls them."""


def options_of(
    headers: Mapping[str, Any],
    default_headers: Mapping[str, Any] | None,
    default_query: Mapping[str, Any] | None,
    timeout: Any,
    max_retries: int | None,
) -> dict[str, Any]:
    """The options of a client that was given these."""
    named = {name: value for name, value in headers.items() if value is not None}
    options: dict[str, Any] = {
        "headers": headers_over(named, default_headers or {}),
        "query": default_query or {},
    }
    if not is_absent(timeout):
        options["timeout"] = timeout
    if max_retries is not None:
        options["max_retries"] = max_retries
    return options


def change_of(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of a copy's arguments the engine can change, and the others."""
    change = {_CHANGES[name]: value for name, value in arguments.items() if name in _CHANGES}
    others = {name: value for name, value in arguments.items() if name not in _CHANGES and value is not None}
    return {name: value for name, value in change.items() if not is_absent(value)}, others


def changed(options: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a client after a change as the engine takes it."""
    change = dict(change)
    headers = change.pop("set_headers", options["headers"]) or {}
    query = change.pop("set_query", options["query"]) or {}
    return {
        **options,
        **change,
        "headers": headers_over(headers, change.get("headers") or {}),
        "query": {**query, **(change.get("query") or {})},
    }


def exactly(options: Mapping[str, Any]) -> dict[str, Any]:
    """The change that leaves these options and no others."""
    others = {name: value for name, value in options.items() if name not in ("headers", "query")}
    return {**others, "set_headers": options["headers"], "set_query": options["query"]}


def headers_over(headers: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """`headers` with `others`, which win; names are the same in any case."""
    kept = {name: value for name, value in headers.items() if not any(_same(name, other) for other in others)}
    return {**kept, **others}


def _same(header: str, other: str) -> bool:
    return header.lower() == other.lower()
