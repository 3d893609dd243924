"""Requests to endpoints without a method of their own: `client.get`, `client.post` and their kin."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from .._call import call_raw
from .._core import Endpoint, Model
from .._given import headers_over
from ..options import current_scope
from ..structured.parsing import is_given
from ..types import Anything
from ..types.params import VerbOptions

if TYPE_CHECKING:
    from .._core import Engine

_OF_THE_SDK = {
    "headers": "extra_headers",
    "params": "extra_query",
    "extra_json": "extra_body",
    "timeout": "timeout",
}
"""What the OpenAI SDK's `options=` may hold, and what we call it."""


class AsyncVerbs:
    """Requests by method and path."""

    if TYPE_CHECKING:
        _engine: Engine

    async def get(self, path: str, **options: Unpack[VerbOptions]) -> Any:
        """A GET request to an endpoint whose answer is JSON.

        Args:
            path: below the base URL.
            options: `cast_to`, what becomes of the answer: a class of `fairlead.types` reads its members;
                `object`, `dict` and `list` stand for the decoded JSON, whatever it is, `str` for its text; a
                pydantic class, or another annotation that pydantic knows, validates it. Default:
                `types.Anything`. `extra_headers`, `extra_query`, `extra_body`, `timeout` and `fairlead` as
                everywhere; `options` holds the same under the OpenAI SDK's names (`headers`, `params`,
                `extra_json`, `timeout`), and yields to them, name by name of headers, query and body.

        Raises:
            TypeError: for a `cast_to` or an option that is none; for members to send without a body that is a
                mapping.
            pydantic.ValidationError: when the answer is not what `cast_to` says.
            FairleadError: one of `fairlead.errors`.
        """
        return await self._ask("GET", path, None, options)

    async def post(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `get`, by POST; `body` is anything with a JSON form, `extra_body` adds members to a mapping."""
        return await self._ask("POST", path, body, options)

    async def put(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `post`, by PUT."""
        return await self._ask("PUT", path, body, options)

    async def patch(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `post`, by PATCH."""
        return await self._ask("PATCH", path, body, options)

    async def delete(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `post`, by DELETE."""
        return await self._ask("DELETE", path, body, options)

    async def _ask(self, method: str, path: str, body: object, options: Any) -> Any:
        asked = _asked(method, path, body, options)
        return asked.into(await call_raw(self._engine, asked.endpoint, asked.body, asked.options))


class Verbs:
    """As `AsyncVerbs`, for threads that block."""

    if TYPE_CHECKING:
        _engine: Engine

    def get(self, path: str, **options: Unpack[VerbOptions]) -> Any:
        """As `AsyncClient.get`."""
        return self._ask("GET", path, None, options)

    def post(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `AsyncClient.post`."""
        return self._ask("POST", path, body, options)

    def put(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `AsyncClient.put`."""
        return self._ask("PUT", path, body, options)

    def patch(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `AsyncClient.patch`."""
        return self._ask("PATCH", path, body, options)

    def delete(self, path: str, *, body: object = None, **options: Unpack[VerbOptions]) -> Any:
        """As `AsyncClient.delete`."""
        return self._ask("DELETE", path, body, options)

    def _ask(self, method: str, path: str, body: object, options: Any) -> Any:
        asked = _asked(method, path, body, options)
        return asked.into(self._engine.block_raw(asked.endpoint, asked.body, asked.options, current_scope()))


class _Asked(NamedTuple):
    endpoint: Endpoint
    body: Any
    options: dict[str, Any]
    into: Callable[[Any], Any]
    """What the reply becomes."""


def _asked(method: str, path: str, body: Any, options: dict[str, Any]) -> _Asked:
    _known(options, VerbOptions.__annotations__, "")
    reply, into = _reading(options.pop("cast_to", None))
    given = _joined(_of_the_sdk(options.pop("options", None) or {}), options)
    extra = _members(given.pop("extra_body", None))
    if "fairlead" in extra:
        given["fairlead"] = {**(extra.pop("fairlead") or {}), **(given.get("fairlead") or {})}
    if extra:
        body = _merged(method, body, extra)
    return _Asked(Endpoint(method, reply, path=path), body, given, into)


def _of_the_sdk(options: Mapping[str, Any]) -> dict[str, Any]:
    _known(options, _OF_THE_SDK, "options.")
    return {_OF_THE_SDK[name]: value for name, value in options.items()}


def _joined(given: Mapping[str, Any], winning: Mapping[str, Any]) -> dict[str, Any]:
    """Options of both; headers, query and body by the names in them. What is absent takes nothing away."""
    joined = {name: value for name, value in given.items() if _says(name, value)}
    for name, value in winning.items():
        if not _says(name, value):
            continue
        other = joined.get(name)
        if not (isinstance(other, Mapping) and isinstance(value, Mapping)):
            joined[name] = value
        elif name == "extra_headers":
            joined[name] = headers_over(other, value)
        else:
            joined[name] = {**other, **value}
    return joined


def _says(name: str, value: Any) -> bool:
    """Only a timeout of None means something: no limit."""
    return is_given(value) or (value is None and name == "timeout")


def _known(given: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    for name in given:
        if name not in known:
            raise TypeError(f"`{place}{name}`: unknown; known are {', '.join(known)}")


def _members(extra: Any) -> dict[str, Any]:
    if not is_given(extra):
        return {}
    if not isinstance(extra, Mapping):
        raise TypeError(f"`extra_body`: expected a mapping, not {type(extra).__name__}")
    return dict(extra)


def _merged(method: str, body: Any, extra: dict[str, Any]) -> dict[str, Any]:
    if method == "GET":
        raise TypeError("`extra_body`: a GET request has no body; `extra_query` goes into the URL")
    if body is not None and not isinstance(body, Mapping):
        raise TypeError(f"`extra_body`: goes with a body that is a mapping, not {type(body).__name__}")
    return {**(body or {}), **extra}


def _reading(cast_to: Any) -> tuple[type[Model], Callable[[Any], Any]]:
    """The class of the reply, and what becomes of it."""
    if not is_given(cast_to):
        return Anything, _as_it_is
    if isinstance(cast_to, type) and issubclass(cast_to, Model):
        return cast_to, _as_it_is
    if cast_to in (object, dict, list):
        return Anything, lambda reply: json.loads(reply._raw)
    if cast_to is str:
        return Anything, lambda reply: reply._raw
    if hasattr(cast_to, "model_validate_json"):
        return Anything, lambda reply: cast_to.model_validate_json(reply._raw)
    from ..structured.target import adapted

    adapter, _ = adapted(cast_to, "cast_to")
    return Anything, lambda reply: adapter.validate_json(reply._raw)


def _as_it_is(reply: Any) -> Any:
    return reply
