"""Why and how a call was served."""

from ._base import BaseModel
from .route import Route


class AttemptLine(BaseModel):
    """One upstream request of a call. Durations are seconds."""

    deployment: str
    error: str | None
    status: int | None
    duration: float
    request_id: str | None
    counted: bool


class Timings(BaseModel):
    """Seconds from the start of the call; `connect` from the start of its attempt."""

    queue: float | None
    waited: float | None
    connect: float | None
    first_byte: float | None
    first_token: float | None
    total: float | None


class ReceiptUsage(BaseModel):
    """Tokens as the provider counted them, or an estimate that says so."""

    input: int
    output: int
    total: int
    cached: int
    cache_write: int
    cache_write_1h: int
    reasoning: int
    audio_in: int
    audio_out: int
    image_in: int
    image_out: int
    service: str
    cost_usd: float | None
    estimated: bool
    invalid: bool


class Receipt(BaseModel):
    """The story of one call: `reply.fairlead`. Holds no prompt, no answer and no key."""

    model: str
    rule: str | None
    degraded: bool
    route: Route | None
    deployment: str
    provider: str
    upstream_model: str
    attempts: list[AttemptLine]
    usage: ReceiptUsage | None
    cost_usd: float | None
    cost_estimated: bool
    cached: bool
    request_id: str | None
    timings: Timings
    warnings: list[str]
    notes: list[str]
    transparent_retries: int
    outcome: str
    stream: bool
