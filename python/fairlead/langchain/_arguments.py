"""The arguments that say which engine is behind a model, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from langchain_core.utils import secret_from_env
from langchain_core.utils.utils import from_env
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, PrivateAttr, SecretStr

from ..errors import FairleadError
from ..options import Timeout
from ._clients import KEY_VARIABLE, URL_VARIABLE, Clients, Made, clients_of
from ._errors import as_langchain

_LIMITS = ("connect", "read", "write", "pool")


def limits_of(timeout: Any) -> Any:
    """A timeout in plain types: seconds, or a dict of the limits of a `Timeout`, of ours or of httpx."""
    if not all(hasattr(timeout, name) for name in _LIMITS):
        return timeout
    return {name: getattr(timeout, name) for name in _LIMITS}


def _timeout(given: Any) -> float | Timeout | None:
    """What `limits_of` gave, or was given.

    Raises:
        ValueError: when it is no timeout.
    """
    plain = limits_of(given)
    try:
        if isinstance(plain, Mapping):
            return Timeout(**plain)
        return None if plain is None else float(plain)
    except (TypeError, ValueError):
        raise ValueError("expected seconds, None or a Timeout") from None


class EngineArguments(BaseModel):
    """The engine behind a model."""

    api_key: SecretStr | None = Field(default_factory=secret_from_env(KEY_VARIABLE, default=None))
    """The key of `base_url`, else of OpenAI. Default: FAIRLEAD_API_KEY, which is for `base_url` alone."""
    base_url: str | None = Field(default_factory=from_env(URL_VARIABLE, default=None))
    """Where a single upstream listens. Default: FAIRLEAD_BASE_URL; none is needed."""
    config: Any = Field(default=None, exclude=True)
    """The configuration: a file, a list of files, or a dict. Default: looked for as by `fairlead.Client`."""
    client: Any = Field(default=None, exclude=True)
    """A `fairlead.Client` to use, with its engine; the arguments above are not looked at then."""
    async_client: Any = Field(default=None, exclude=True)
    """The same as a `fairlead.AsyncClient`; one of the two is enough."""
    timeout: Annotated[
        float | Timeout | Any | None, PlainValidator(_timeout), PlainSerializer(limits_of, when_used="always")
    ] = None
    """Limits of an attempt: seconds, or a `fairlead.Timeout` or httpx's. Default: the configuration's."""
    max_retries: int | None = None
    """Attempts after the first that may have consumed capacity. Default: the configuration's, else 2."""
    default_headers: dict[str, str] | None = Field(default=None, exclude=True)
    """Sent with every request."""

    _made: Made | None = PrivateAttr(default=None)

    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True)

    def _engines(self) -> Clients:
        try:
            return clients_of(self)
        except FairleadError as error:
            as_langchain(error)
            raise

    # An engine stays with its process; copies have the same one.

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__pydantic_private__": {**(state["__pydantic_private__"] or {}), "_made": None}}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self.model_copy()
