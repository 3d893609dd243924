"""What `stats()` returns: plain dicts, typed."""

from __future__ import annotations

from typing import TypedDict


class Percentiles(TypedDict):
    """Seconds, each at most a fifth too high."""

    p50: float
    p90: float
    p95: float
    p99: float


class Shape(TypedDict):
    """Percentiles of what answered; None before the first."""

    latency: Percentiles | None
    """From the start to the end; a stream's end is its last piece."""
    time_to_first_token: Percentiles | None
    """From the start to the first content of a stream."""


class DeploymentStats(TypedDict):
    """What a deployment has been doing."""

    requests: int
    """Attempts that ended."""
    failures: int
    """Those that failed, for whatever reason but that nobody waited any more."""
    throttles: int
    """Of these, those that were one too many (429)."""
    in_flight: int
    """Attempts that have not ended."""
    cooling: bool
    """Is it left alone now, because it asked for that?"""
    breaker: str
    """`closed`, `half_open`, `open` or `isolated`."""
    latency: Percentiles | None
    """Of its attempts that answered, streams to their end."""
    time_to_first_token: Percentiles | None
    """From the start of an attempt to the first content of its stream."""


class CredentialStats(TypedDict):
    """What a key has been doing."""

    id: str
    """Its name; never the key."""
    provider: str
    requests: int
    """Attempts made with it."""
    failures: int
    """Those that failed, for whatever reason."""
    disabled_for: float
    """Seconds for which it is left alone after it was refused."""


class NowStats(TypedDict):
    """What exists now."""

    calls: int
    attempts: int
    streams: int
    connections_open: int
    """Sockets, idle ones included."""
    connections_idle: int


class ConfigStats(TypedDict):
    """The configuration that holds."""

    version: int
    """From 1."""
    hash: str
    sources: list[str]
    since: float
    """Seconds since 1970."""
    warnings: int
    problem: str | None
    """What kept a newer one out."""
    watched: bool


class Stats(TypedDict):
    """What has happened since the client was made; pings of `warm_up` count for nothing but their cost."""

    total_requests: int
    """Calls begun."""
    success_rate: float | None
    """Calls that answered, of those that answered or raised; None before the first."""
    average_latency: float | None
    """Seconds that a call took on the average that answered or raised; None before the first."""
    model_distribution: dict[str, int]
    """Calls that ended, by model."""
    percentiles: Shape
    """Over all calls that answered."""
    deployments: dict[str, DeploymentStats]
    """By the deployment's id, else `provider/model`; the first 200, then `other`."""

    calls: int
    """As `total_requests`."""
    succeeded: int
    failed: int
    cancelled: int
    """Calls the caller gave up."""
    attempts: int
    """Upstream requests."""
    transparent_retries: int
    """Repeats on a fresh connection, because a reused one had died."""
    missing_done: int
    """Streams that ended well without `[DONE]`."""
    usage_invalid: int
    """Usage that could not be, and was estimated."""
    settled: int
    """Attempts whose use was booked."""
    input_tokens: int
    output_tokens: int
    estimated_tokens: int
    """Of these tokens, those that were estimated."""
    cost_nanos: int
    """What answers cost, in billionths of a US dollar, as far as it is known."""
    unpriced: int
    """Answers whose cost is not known."""

    credentials: list[CredentialStats]
    rule_faults: dict[str, int]
    """How often each rule could not say whether it holds."""
    hook_errors: int
    """What `on_event` hooks raised."""
    hook_dropped: int
    """Receipts that no hook was told, because 10,000 earlier ones had not been taken."""
    now: NowStats
    config: ConfigStats
