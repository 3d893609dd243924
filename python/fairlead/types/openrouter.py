"""What OpenRouter takes beside the parameters of other providers."""

from typing import Any, Literal, Required, TypedDict


class Percentiles(TypedDict, total=False):
    """A bound on a measured quantity, by share of requests."""

    p50: float
    p75: float
    p90: float
    p99: float


class MaxPrice(TypedDict, total=False):
    """US dollars: per million tokens, per image, per request."""

    prompt: float
    completion: float
    image: float
    audio: float
    request: float


class SortBy(TypedDict, total=False):
    """What upstream providers are sorted by, and whether each model is sorted for itself."""

    by: Literal["price", "throughput", "latency", "exacto"]
    partition: Literal["model", "none"]


class ProviderPreferences(TypedDict, total=False):
    """Who may serve a request, and who is preferred."""

    order: list[str]
    """Asked first, in this order."""
    allow_fallbacks: bool
    """May others be asked after them? Default: true."""
    only: list[str]
    """Nobody else."""
    ignore: list[str]
    """Not these."""
    sort: Literal["price", "throughput", "latency", "exacto"] | SortBy
    """Instead of OpenRouter's own balancing."""
    max_price: MaxPrice
    """Nobody dearer."""
    require_parameters: bool
    """Only those that know every parameter of the request."""
    data_collection: Literal["allow", "deny"]
    """`deny`: only those that do not keep prompts."""
    zdr: bool
    """Only those that retain nothing."""
    enforce_distillable_text: bool
    """Only models whose answers may be trained on."""
    quantizations: list[str]
    """Only these, such as `fp8`."""
    preferred_max_latency: float | Percentiles
    """Seconds."""
    preferred_min_throughput: float | Percentiles
    """Tokens a second."""
    options: dict[str, Any]
    """For single upstream providers, by their names."""


class Plugin(TypedDict, total=False):
    """Something done to a request or its answer, such as `web`; options stand beside its id."""

    id: Required[str]
    enabled: bool
    engine: str
    max_results: int
    search_prompt: str
    pdf: dict[str, Any]


class Reasoning(TypedDict, total=False):
    """How much a model thinks, and whether its thoughts are sent."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
    max_tokens: int
    enabled: bool
    exclude: bool
    summary: Literal["auto", "concise", "detailed"]
