"""`Router`: routing by a configuration, or by the arguments of a LiteLLM Router."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from ._litellm import Calls, configuration
from ._litellm_names import COUNTED
from .client import AsyncClient, Client, Config, _Sealed
from .text import arguments, text_of
from .types import Route, Stats, Warmed

if TYPE_CHECKING:
    from .resources.chat import Chat
    from .types.params import Message

_OF_CLIENTS = frozenset(
    (
        "api_key",
        "base_url",
        "ca",
        "default_headers",
        "default_query",
        "http2",
        "io_threads",
        "max_retries",
        "on_event",
        "organization",
        "project",
        "provider",
        "proxy",
        "timeout",
        "watch",
    )
)
_OWN = frozenset({"on_event", "io_threads"})
"""Arguments of a client that may stand beside a `model_list`."""


class Router:
    """Sends every call to the model it belongs to.

    ```python
    router = fairlead.Router("fairlead.toml")
    print(router.route("write a program", metadata={"team": "web"}).model)

    router = fairlead.Router(model_list=[...], fallbacks=[{"a": ["b"]}], num_retries=2)
    reply = await router.acompletion(model="a", messages=[{"role": "user", "content": "hi"}])
    ```

    Calls take LiteLLM's arguments. Sync and async calls share one engine, from any thread and any event loop.
    """

    def __init__(
        self,
        config: Config | Iterable[Mapping[str, Any]] | None = None,
        *,
        model_list: Iterable[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        """
        Args:
            config: as of `AsyncClient`: a file or a dict, of our schema or another router's.
            model_list: the deployments as a LiteLLM Router takes them; may stand first, too.
            options: beside a `model_list` the arguments of a LiteLLM Router (what has no equivalent is logged
                in one warning), `on_event` and `io_threads`; else those of `AsyncClient`.

        Raises:
            ConfigError: naming every fault with its path.
            TypeError: an argument that is not known.
        """
        if model_list is None and _is_model_list(config):
            model_list, config = config, None  # type: ignore[assignment]
        self._calls = Calls()
        # Both may hold keys.
        self._model_list, self._arguments = _Sealed(None), _Sealed({})
        self._own: dict[str, Any] = {}
        if model_list is None:
            self._open(config, _of_client(options))  # type: ignore[arg-type]
            return
        if config is not None:
            raise TypeError("Router() takes a config or a model_list, not both")
        given = {name: value for name, value in options.items() if name not in _OWN}
        self._arguments = _Sealed(given)
        self._own = {name: value for name, value in options.items() if name in _OWN}
        entries = list(model_list)
        self._open(configuration(entries, given), self._own)
        self._fill(entries)

    def _open(self, config: Config | None, options: dict[str, Any]) -> None:
        self.async_client = AsyncClient(config, **options)
        self.client: Client = self.async_client._twin(Client)

    def _fill(self, model_list: list[Any]) -> None:
        arguments: Any = self._arguments.value
        counted = {name: value for name, value in arguments.items() if name in COUNTED}
        self._calls = Calls(counted, model_list)
        self._model_list = _Sealed({"model_list": model_list})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """A router of the configuration in a file."""
        return cls(path, **options)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], **options: Any) -> Self:
        """A router of a configuration in a dict."""
        return cls(config, **options)

    def route(
        self,
        messages: str | Iterable[Message] = "",
        *,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Route:
        """Where a call would go and why; nothing is sent.

        Args:
            messages: the prompt as a plain string, or messages.
            model: as the call would name it; left out, rules and defaults decide.
            metadata: what rules may ask for.
            params: as of `AsyncClient.route`.

        Raises:
            FairleadError: as the call itself would fail before anything is sent.
        """
        given = {"metadata": metadata, **params}
        return self.client.route(
            messages, model=model, **{name: value for name, value in given.items() if value is not None}
        )

    def completion(
        self, model: str | None = None, messages: str | Iterable[Message] | None = None, **params: Any
    ) -> Any:
        """A completion, or with `stream=True` an iterator of its chunks.

        Args:
            model: left out or `auto`, rules and defaults decide.
            messages: messages, or the prompt as a plain string.
            params: those of LiteLLM's `completion` (`fallbacks`, `num_retries`, `metadata`, `api_base`,
                `api_key`, `timeout`, `tags`), and all others of `chat.completions.create`.

        Raises:
            TypeError: without `messages`.
            FairleadError: one of `fairlead.errors`.
        """
        return self.client.chat.completions.create(**self._chat(model, messages, params))

    async def acompletion(
        self, model: str | None = None, messages: str | Iterable[Message] | None = None, **params: Any
    ) -> Any:
        """As `completion`, awaited; with `stream=True` an asynchronous iterator."""
        return await self.async_client.chat.completions.create(**self._chat(model, messages, params))

    def embedding(self, model: str | None = None, input: Any = None, **params: Any) -> Any:
        """Embeddings of `input`.

        Raises:
            TypeError: without `input`.
            FairleadError: one of `fairlead.errors`.
        """
        return self.client.embeddings.create(**self._vectors(model, input, params))

    async def aembedding(self, model: str | None = None, input: Any = None, **params: Any) -> Any:
        """As `embedding`, awaited."""
        return await self.async_client.embeddings.create(**self._vectors(model, input, params))

    def complete(self, text: str | Iterable[Message], *, model: str | None = None, **params: Any) -> str:
        """The text of an answer; `params` as of `completion`.

        Raises:
            MalformedResponse: when the reply is none.
            FairleadError: one of `fairlead.errors`.
        """
        return text_of(self.completion(model, text, **params))

    async def acomplete(
        self, text: str | Iterable[Message], *, model: str | None = None, **params: Any
    ) -> str:
        """As `complete`, awaited."""
        return text_of(await self.acompletion(model, text, **params))

    @property
    def chat(self) -> Chat:
        """`chat.completions.create`, which blocks; that of `async_client` is awaited."""
        return self.client.chat

    def get_model_names(self) -> list[str]:
        """The names a caller may use."""
        return [model.id for model in self.client.models.configured()]

    def get_model_list(self, model_name: str | None = None) -> list[Mapping[str, Any]] | None:
        """The entries of `model_list`, all or those of one name; `None` for a router of a configuration."""
        sealed: Any = self._model_list.value
        if sealed is None:
            return None
        return [entry for entry in sealed["model_list"] if model_name in (None, entry.get("model_name"))]

    def set_model_list(self, model_list: Iterable[Mapping[str, Any]]) -> None:
        """Other deployments from now on; calls that run finish on those they began with, and the connections
        and the health of those that stay the same go on.

        Raises:
            ConfigError: naming every fault; then nothing has changed.
            TypeError: for a router of a configuration.
            ClientClosed: when the router was closed.
        """
        if self._model_list.value is None:
            raise TypeError("this router is made of a configuration; change that")
        entries, arguments = list(model_list), self._arguments.value
        self.client.reload(configuration(entries, arguments))  # type: ignore[arg-type]
        self._fill(entries)

    def stats(self) -> Stats:
        """What has happened so far, as of `Client.stats`."""
        return self.client.stats()

    def metrics_text(self) -> str:
        """All metrics in Prometheus' text format, as of `Client.metrics_text`."""
        return self.client.metrics_text()

    def warm_up(self, **options: Any) -> list[Warmed]:
        """Open connections before the first call needs them; arguments as of `AsyncClient.warm_up`."""
        return self.client.warm_up(**options)

    async def awarm_up(self, **options: Any) -> list[Warmed]:
        """As `warm_up`, awaited."""
        return await self.async_client.warm_up(**options)

    def close(self) -> None:
        """Refuse new calls and close idle connections; calls that run finish."""
        self.client.close()

    discard = reset = close

    async def aclose(self) -> None:
        """As `close`."""
        await self.async_client.aclose()

    def __repr__(self) -> str:
        return f"<fairlead.Router {', '.join(self.get_model_names())}>"

    def _chat(self, model: str | None, messages: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        options = self._calls.options(model, params)
        return arguments(options.pop("model", None), messages, options)

    def _vectors(self, model: str | None, input: Any, params: Mapping[str, Any]) -> dict[str, Any]:
        options = self._calls.options(model, params)
        return options if input is None else {"input": input, **options}


def _is_model_list(config: Any) -> bool:
    return isinstance(config, (list, tuple)) and all(isinstance(entry, Mapping) for entry in config)


def _of_client(options: dict[str, Any]) -> dict[str, Any]:
    if "num_retries" in options:
        options["max_retries"] = options.pop("num_retries")
    for name in options:
        if name not in _OF_CLIENTS:
            raise TypeError(f"Router() got an unexpected keyword argument {name!r} beside a configuration")
    return options
