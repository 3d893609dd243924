"""What a request of the SDK asks of the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from .._call import call, call_raw
from .._core import Endpoint, Engine, RawReply, StreamCore, _load_model
from ..options import Timeout, current_scope
from ..types import Anything
from ._answer import Answer, not_served, unreadable, whole


def _as_it_is(reply: RawReply) -> RawReply:
    return reply


_CHAT = Endpoint("chat", Anything, chunk=Anything, raw=_as_it_is)
_EMBEDDINGS = Endpoint("embeddings", Anything, raw=_as_it_is)
_MODELS = Endpoint("models", Anything, raw=_as_it_is)

_BY_MODEL = {"/chat/completions": _CHAT, "/embeddings": _EMBEDDINGS}
"""What is routed by the model it names."""

SDK_TIMEOUT = {"connect": 5.0, "read": 600, "write": 600, "pool": 600}
"""The SDK's default in seconds; it is on every request for which nobody chose one."""
_NO_TIMEOUT = {"connect": None, "read": None, "write": None, "pool": None}

_DROPPED = frozenset(
    (
        b"accept",
        b"accept-encoding",
        b"api-key",
        b"connection",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"transfer-encoding",
    )
)
"""Headers of the connection that is not made; the engine sets its own."""
_AGENTS = (b"OpenAI/", b"AsyncOpenAI/", b"AzureOpenAI/", b"AsyncAzureOpenAI/", b"python-httpx")


class Request(NamedTuple):
    """A request as either HTTP library describes it."""

    method: str
    target: bytes
    """Path and query."""
    headers: list[tuple[bytes, bytes]]
    body: bytes
    timeout: Mapping[str, float | None] | None
    """Under httpx's names."""
    own_key: bytes | None
    """The `Authorization` that stands for no key; `None` means that all do."""
    base: str
    """The path of the engine's own base URL, without a slash at its end."""


class Asked(NamedTuple):
    """A call of the engine."""

    endpoint: Endpoint
    body: Any
    """The request's JSON: as it came, or a dict where something was taken out of it."""
    options: dict[str, Any]
    by_model: bool
    """Do rules decide where it goes?"""

    def block(self, engine: Engine) -> RawReply | StreamCore:
        """Make the call and wait for its answer."""
        reply: RawReply | StreamCore
        if self._is_asked_by_callables(engine):
            reply = engine.block(self.endpoint, self._params(), current_scope())
        else:
            reply = engine.block_raw(self.endpoint, self.body, self.options, current_scope())
        return reply

    async def start(self, engine: Engine) -> RawReply | StreamCore:
        """As `block`; being cancelled ends it upstream too."""
        reply: RawReply | StreamCore
        if self._is_asked_by_callables(engine):
            reply = await call(engine, self.endpoint, self._params())
        else:
            reply = await call_raw(engine, self.endpoint, self.body, self.options)
        return reply

    def _is_asked_by_callables(self, engine: Engine) -> bool:
        """Rules that are Python callables are shown the request's members."""
        return self.by_model and bool(engine.callables())

    def _params(self) -> dict[str, Any]:
        members = self.body.model_dump() if isinstance(self.body, Anything) else self.body
        return {**members, **self.options}


def read(request: Request, engine: Engine) -> Asked | Answer:
    """The call that `request` asks for, or what there is to say at once.

    Raises:
        FairleadError: when its options are wrong.
    """
    target, _, query = request.target.decode("ascii", "replace").partition("?")
    path = _below_the_base(target, request.base)
    options = _options(request, query)
    if request.method == "GET" and path.startswith("/models"):
        return _models(path, options, engine)
    endpoint = _BY_MODEL.get(path) if request.method == "POST" else None
    if endpoint is None:
        return _passed_on(path, request, options)
    try:
        body = _body(request.body, options)
    except ValueError as error:
        return unreadable(str(error))
    return Asked(endpoint, body, options, True)


def _below_the_base(path: str, base: str) -> str:
    """Below the engine's base URL; where the SDK has another one, below its `/v1`."""
    for known in _BY_MODEL:
        if path.endswith(known):
            return known
    if base and path.startswith(f"{base}/"):
        return path.removeprefix(base)
    _, found, rest = path.partition("/v1/")
    return f"/{rest}" if found else path


def _options(request: Request, query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    headers = {
        name.decode("ascii", "replace"): value.decode("latin-1")
        for name, value in request.headers
        if _is_the_callers(name.lower(), value, request.own_key)
    }
    if headers:
        options["extra_headers"] = headers
    if query:
        options["extra_query"] = parse_qsl(query, keep_blank_values=True)
    timeout = request.timeout
    if timeout is not None and timeout not in (SDK_TIMEOUT, _NO_TIMEOUT):
        options["timeout"] = Timeout(**timeout)
    return options


def _is_the_callers(name: bytes, value: bytes, own_key: bytes | None) -> bool:
    """Did the caller set this header? The SDK's description of itself says nothing to a provider."""
    if name in _DROPPED or name.startswith(b"x-stainless-"):
        return False
    if name == b"authorization":
        return own_key is not None and value != own_key
    return name != b"user-agent" or not value.startswith(_AGENTS)


def _body(text: bytes, options: dict[str, Any]) -> Any:
    """The body as it came; as a dict where it has a `fairlead` member, which is an option.

    Raises:
        ValueError: when it is no JSON.
    """
    if b'"fairlead"' in text:
        members = json.loads(text)
        if isinstance(members, dict) and "fairlead" in members:
            options["fairlead"] = members.pop("fairlead")
            return members
    return _load_model(Anything, text)


def _models(path: str, options: dict[str, Any], engine: Engine) -> Asked | Answer:
    """Those of the configuration; where it has none, those that the provider offers."""
    page = engine.models()
    if path.rstrip("/") == "/models":
        return Asked(_MODELS, None, options, False) if page is None else whole(page.encode())
    name = unquote(path.removeprefix("/models/"))
    found = (model for model in json.loads(page or '{"data":[]}')["data"] if model["id"] == name)
    own = next(found, None)
    if own is not None:
        return whole(json.dumps(own).encode())
    return Asked(Endpoint("GET", Anything, path=path, raw=_as_it_is), None, options, False)


def _passed_on(path: str, request: Request, options: dict[str, Any]) -> Asked | Answer:
    """Whole JSON goes to one deployment as it is, as with `client.post`; nothing else does."""
    sent = {name.lower(): value.lower() for name, value in request.headers}
    if b"json" not in sent.get(b"accept", b"json") and b"*/*" not in sent[b"accept"]:
        return not_served(request.method, path, "its answer is no JSON")
    if not request.body:
        return Asked(Endpoint(request.method, Anything, path=path, raw=_as_it_is), None, options, False)
    if b"json" not in sent.get(b"content-type", b""):
        return not_served(request.method, path, "its body is no JSON")
    try:
        body = _body(request.body, options)
        members = json.loads(request.body)
    except ValueError as error:
        return unreadable(str(error))
    if isinstance(members, dict) and members.get("stream"):
        return not_served(request.method, path, "its answer is a stream")
    return Asked(Endpoint(request.method, Anything, path=path, raw=_as_it_is), body, options, False)
