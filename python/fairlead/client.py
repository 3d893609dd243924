"""The two clients: `AsyncClient` and its blocking twin `Client`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from . import _core
from ._call import warm_up
from ._core import Endpoint, Secret
from ._given import ORGANIZATION, PROJECT, Given, change_of, changed, exactly, options_of
from ._operated import Operated
from .batch.calls import AsyncBatchCalls, BatchCalls
from .errors import ConfigError
from .hooks import Hook, feed_for, warn
from .options import NOT_GIVEN, NotGiven, Options, Timeout, current_scope
from .resources.chat import AsyncChat, Chat
from .resources.embeddings import AsyncEmbeddings, Embeddings
from .resources.models import AsyncModels, Models, configured
from .resources.raw import AsyncWithRawResponse, WithRawResponse
from .resources.shown import shows
from .resources.verbs import AsyncVerbs, Verbs
from .structured.calls import AsyncStructuredCalls, StructuredCalls
from .structured.memory import Memory
from .text import AsyncTextStream, TextStream, arguments, text_of
from .tools.calls import AsyncToolCalls, ToolCalls
from .types import Route, Warmed
from .types.params import TextParams

if TYPE_CHECKING:
    from .types.params import Message

Config = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Mapping[str, Any]
"""The path of a TOML, YAML, JSON or JSONC file, several laid over one another, or the same as a dict."""

Key = str | Secret | Callable[[], object] | Sequence[str | Secret | Callable[[], object]]
"""A key, a callable that yields it (see `fairlead.keys`), or several that are used in turn when one fails."""

_Client = TypeVar("_Client", bound="_BaseClient")

_ROUTE = Endpoint("chat", Route)
_TRANSPORT = ("api_key", "provider", "base_url", "proxy", "ca", "http2")
_HTTP_CLIENT = (
    "`http_client` is not supported: the connections are the engine's own. "
    "Use `proxy=` for a proxy and `ca=` for certificate authorities."
)


class _Sealed:
    """A configuration, which may hold keys, out of sight of `vars` and tracebacks."""

    __slots__ = ("value",)

    def __init__(self, value: Config | None) -> None:
        self.value = value


class _BaseClient(Given, Operated):
    """What both clients share. Construction opens nothing; connections come with the first call."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        api_key: Key | None = None,
        base_url: str | None = None,
        provider: str | None = None,
        timeout: float | Timeout | NotGiven | Any | None = NOT_GIVEN,
        max_retries: int | None = None,
        default_headers: Mapping[str, Any] | None = None,
        default_query: Mapping[str, Any] | None = None,
        organization: str | None = None,
        project: str | None = None,
        http_client: None = None,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        http2: bool | None = None,
        on_event: Hook | Iterable[Hook] | None = None,
        io_threads: int | None = None,
        watch: bool | float = False,
    ) -> None:
        """
        Args:
            config: a TOML, YAML, JSON or JSONC file, a list of them (later ones are laid over earlier
                ones), or a dict. Without it, and without `api_key`, `base_url` and `provider`, one is
                looked for: the files that FAIRLEAD_CONFIG names, `fairlead.toml` and its like here,
                `[tool.fairlead]` of pyproject.toml, the user's own. None is needed: `provider/model`
                names and the providers' environment variables will do.
            api_key: the key of `provider`; or a callable, asynchronous or not, that returns it, a pair of it
                and the seconds it is good for, or a token endpoint's answer; default: its environment
                variable.
            base_url: where it listens; default: the provider's own address.
            provider: the preset that `api_key` and `base_url` belong to; default: openai.
            timeout: limits of an attempt in seconds, or a `Timeout`; default: the configuration's.
            max_retries: attempts after the first that may have consumed capacity; default: 2, so 3 attempts.
            default_headers: sent with every request; `None` as a value removes one.
            default_query: added to every URL.
            organization: sent as `OpenAI-Organization`.
            project: sent as `OpenAI-Project`.
            http_client: refused; see `proxy` and `ca`.
            proxy: the URL of a proxy.
            ca: a PEM file of certificate authorities that replaces the system's.
            http2: HTTP/2 instead of HTTP/1.1; default: false.
            on_event: called with the receipt of every call, on a thread of its own.
            io_threads: threads that move bytes, for the whole process; set by the first client that calls.
                Default: 1.
            watch: read the files of the configuration again when they change. A number is the longest time
                in seconds between two looks, for changes that the system does not tell of; True is 5.

        Raises:
            ConfigError: naming every fault with its path, or the variable of a missing key.
        """
        if http_client is not None:
            raise ConfigError(_HTTP_CLIENT)
        # From here on neither is in sight of a traceback that shows locals.
        api_key, sealed, config = _hidden(api_key), _Sealed(config), None
        headers = {ORGANIZATION: organization, PROJECT: project}
        options = options_of(headers, default_headers, default_query, timeout, max_retries)
        given = (api_key, provider, base_url, proxy, ca, http2)
        self._arguments: dict[str, Any] = dict(zip(_TRANSPORT, given, strict=True))
        self._config = sealed
        self._on_event = on_event
        self._options = options
        feed, poll = feed_for(on_event, bool(watch)), _poll(watch)
        self._watch, self._memory = watch, Memory()
        self._engine = _core.Engine(sealed.value, self._arguments, options, feed, io_threads, poll)
        warn(self._engine.warnings())

    def with_options(self, **options: Any) -> Self:
        """A client with other defaults.

        `timeout`, `max_retries`, `default_headers` and `default_query` (added), `set_default_headers` and
        `set_default_query` (replacing) share this client's connections; other arguments of the constructor
        make a client with connections of its own.

        Raises:
            ConfigError: as the constructor.
        """
        if "api_key" in options:
            options["api_key"] = _hidden(options["api_key"])
        change, others = change_of(options)
        made = self._fresh(others) if others else self
        clone = made._twin(type(self))
        clone._engine = made._engine.derive(change)
        clone._options = changed(made._options, change)
        return clone

    copy = with_options

    def _twin(self, kind: type[_Client]) -> _Client:
        """A client of another kind on the same engine."""
        twin = kind.__new__(kind)
        vars(twin).update({name: value for name, value in vars(self).items() if name.startswith("_")})
        return twin

    def _fresh(self, others: dict[str, Any]) -> Self:
        given = {**self._arguments, "on_event": self._on_event, "watch": self._watch, **others}
        fresh = type(self)(self._config.value, **given)
        fresh._options = changed(self._options, fresh._options)
        fresh._engine = fresh._engine.derive(exactly(fresh._options))
        return fresh

    def route(
        self, messages: str | Iterable[Message] = "", *, model: str | None = None, **params: Any
    ) -> Route:
        """Where a call would go and why; nothing is sent.

        Args:
            messages: the prompt as a plain string, or messages.
            model: as the call would name it; left out, rules and defaults decide.
            params: as of `chat.completions.create`; what `fairlead=` knows (`metadata`, `user`, ...) may
                stand here by itself.

        Raises:
            FairleadError: as the call itself would fail before anything is sent.
        """
        ours = {name: params.pop(name) for name in Options.__annotations__ if name in params}
        params["fairlead"] = {**(params.get("fairlead") or {}), **ours}
        found: Route = self._engine.route(_ROUTE, arguments(model, messages, params), current_scope())
        return found

    def _space(self, model: str | None) -> dict[str, Any]:
        """The least room that deployments of `model` have: `context_window` and `max_output`, in tokens."""
        return self._engine.space(_ROUTE, arguments(model, "", {}), current_scope())

    def reload(self, config: Config | None = None) -> bool:
        """Read the configuration again and put it into effect.

        Calls that run finish on the one they began with; connections, limits and health of deployments that
        stay the same go on. All clients that share connections with this one change with it.

        Args:
            config: from now on this instead of what the client was made with.

        Returns:
            Has anything changed?

        Raises:
            ConfigError: naming everything that is wrong; then the last good one stays.
            ClientClosed: when the client was closed.
        """
        changed = self._engine.reload(config)
        if config is not None:
            # The seal is shared with the clients of the same engine.
            self._config.value = config
        if changed:
            warn(self._engine.warnings())
        return changed

    def __repr__(self) -> str:
        # Also of a client whose constructor failed: tracebacks that show locals show it.
        engine = vars(self).get("_engine")
        models = ", ".join(model.id for model in configured(engine) or ()) if engine else ""
        return f"<fairlead.{type(self).__name__} {self.base_url or models or '(providers by name)'}>"

    def __reduce__(self) -> Any:
        raise TypeError("a client holds keys and connections and cannot be pickled")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        if name == "api_key":
            raise AttributeError("a client does not show its keys")
        raise AttributeError(
            f"this client has no `{name}`; use get(path) or post(path, body=...) for other endpoints"
        )


class AsyncClient(_BaseClient, AsyncVerbs, AsyncStructuredCalls, AsyncToolCalls, AsyncBatchCalls):
    """Calls language models, from any event loop and any thread.

    ```python
    client = fairlead.AsyncClient(api_key="...", base_url="...")
    reply = await client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    print(reply.choices[0].message.content, reply.fairlead.deployment)
    ```
    """

    @cached_property
    def chat(self) -> AsyncChat:
        """Chat completions."""
        return AsyncChat(self, self._engine)

    @cached_property
    def embeddings(self) -> AsyncEmbeddings:
        """Embeddings."""
        return AsyncEmbeddings(self, self._engine)

    @cached_property
    def models(self) -> AsyncModels:
        """Models."""
        return AsyncModels(self, self._engine)

    @cached_property
    def with_raw_response(self) -> AsyncWithRawResponse:
        """The same resources, returning replies with their HTTP side."""
        return AsyncWithRawResponse(self.chat, self.embeddings, self.models)

    @shows(TextParams)
    async def generate(
        self,
        model: str | None = None,
        messages: str | Iterable[Message] | None = None,
        **params: Unpack[TextParams],
    ) -> str:
        """The text of an answer.

        Args:
            model: may be left out where a default is known.
            messages: the prompt as a plain string, or messages.
            params: as of `chat.completions.create`.

        Raises:
            TypeError: without messages: a single argument is the model.
            FairleadError: one of `fairlead.errors`.
        """
        return text_of(await self.chat.completions.create(**arguments(model, messages, params)))

    @shows(TextParams)
    def stream(
        self,
        model: str | None = None,
        messages: str | Iterable[Message] | None = None,
        **params: Unpack[TextParams],
    ) -> AsyncTextStream:
        """The text of an answer, piece by piece: `async for piece in client.stream(...)`.

        Args:
            model: may be left out where a default is known.
            messages: the prompt as a plain string, or messages.
            params: as of `chat.completions.create`.
        """
        given = arguments(model, messages, params)
        return AsyncTextStream(lambda: self.chat.completions.create(**given, stream=True))

    async def warm_up(
        self,
        *,
        ping: bool | None = None,
        models: Iterable[str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it bounds what runs outside the event loop
        concurrency: int | None = None,
    ) -> list[Warmed]:
        """Open connections before the first call needs them: name resolution, TCP and TLS, but no request.

        Alone where limits hang on the kind of an account that the configuration does not say (OpenRouter's
        free models) the provider is asked for that; it costs nothing.

        Nothing here fails a start-up: what does not work is in the results, and the first call tries again.

        Args:
            ping: ask every deployment for one token instead, at the lowest priority and under all limits. It
                costs that token; statistics, breakers and metrics do not count it. Needed where a deployment
                uses HTTP/2 or a proxy: their connections open with requests only. Default: the
                configuration's (`warm_up.ping`), else False.
            models: the models whose deployments are meant. Default: `warm_up.models`, else all of the
                configuration; without one the client's own upstream.
            timeout: the longest it may take in all, in seconds. Default: `warm_up.timeout`, else 10.
            concurrency: deployments at once. Default: `warm_up.concurrency`, else 8.

        Returns:
            One result for each deployment; those at one address share a connection.

        Raises:
            ClientClosed: when the client was closed.
            ValueError: for a timeout or a number that is none.
        """
        return await warm_up(self._engine, _warmth(ping, models, timeout, concurrency))

    async def aclose(self) -> None:
        """Refuse new calls and close idle connections; calls that run finish."""
        self._engine.close()
        await asyncio.sleep(0)

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Client(_BaseClient, Verbs, StructuredCalls, ToolCalls, BatchCalls):
    """As `AsyncClient`, for threads that block; waiting can be interrupted by Ctrl-C."""

    @cached_property
    def chat(self) -> Chat:
        """Chat completions."""
        return Chat(self, self._engine)

    @cached_property
    def embeddings(self) -> Embeddings:
        """Embeddings."""
        return Embeddings(self, self._engine)

    @cached_property
    def models(self) -> Models:
        """Models."""
        return Models(self, self._engine)

    @cached_property
    def with_raw_response(self) -> WithRawResponse:
        """The same resources, returning replies with their HTTP side."""
        return WithRawResponse(self.chat, self.embeddings, self.models)

    @shows(TextParams)
    def generate(
        self,
        model: str | None = None,
        messages: str | Iterable[Message] | None = None,
        **params: Unpack[TextParams],
    ) -> str:
        """As `AsyncClient.generate`."""
        return text_of(self.chat.completions.create(**arguments(model, messages, params)))

    @shows(TextParams)
    def stream(
        self,
        model: str | None = None,
        messages: str | Iterable[Message] | None = None,
        **params: Unpack[TextParams],
    ) -> TextStream:
        """As `AsyncClient.stream`: `for piece in client.stream(...)`."""
        given = arguments(model, messages, params)
        return TextStream(lambda: self.chat.completions.create(**given, stream=True))

    def warm_up(
        self,
        *,
        ping: bool | None = None,
        models: Iterable[str] | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
    ) -> list[Warmed]:
        """As `AsyncClient.warm_up`."""
        found = self._engine.block_warm_up(**_warmth(ping, models, timeout, concurrency))
        return [Warmed(**one) for one in found]

    def close(self) -> None:
        """Refuse new calls and close idle connections; calls that run finish."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _hidden(key: Any) -> Any:
    """A key that no `repr` and no traceback shows any more."""
    if key is None or isinstance(key, Secret):
        return key
    if isinstance(key, list):
        return [_hidden(one) for one in key]
    if callable(key):
        return key
    if not isinstance(key, str):
        raise ConfigError(
            f"`api_key`: expected a str, a callable or a list of them, not {type(key).__name__}"
        )
    return Secret(key)


def _warmth(
    ping: bool | None, models: Iterable[str] | None, timeout: float | None, concurrency: int | None
) -> dict[str, Any]:
    """The arguments of a warm-up; what is None is the configuration's."""
    if isinstance(models, str):
        models = [models]
    given = {"ping": ping, "models": models, "timeout": timeout, "concurrency": concurrency}
    if models is not None:
        given["models"] = list(models)
    return given


def _poll(watch: Any) -> float | None:
    """The longest time between two looks at the files; None where they are not watched."""
    if not isinstance(watch, int | float):
        raise ConfigError("`watch`: expected True, False or a number of seconds above 0")
    return 5.0 if watch is True else float(watch) or None
