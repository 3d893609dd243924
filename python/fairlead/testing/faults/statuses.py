"""Failures that providers state by status: throttling, quota, overload, refusals and redirects."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from ..connection import Exchange
from ..replies import Json
from ..steps import Modifiable, Raw, Reply, fail, head, raw


def throttled(retry_after: float | str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """F93 without a hint; F94 and F95 with a Retry-After that is far away or makes no sense."""
    message = "Rate limit reached for requests. Please slow down."
    return fail(429, message, retry_after=retry_after, headers=headers)


def throttled_until(seconds: float, *, skew: float = 0.0) -> Reply:
    """F96: Retry-After as a date, `seconds` from now by the upstream's clock, which is `skew` seconds ahead.

    A negative number is a date in the past. The Date field tells the upstream's time.
    """
    clock = time.time() + skew
    date = {"date": formatdate(clock, usegmt=True)}
    return throttled(formatdate(clock + seconds, usegmt=True), date)


def insufficient_quota() -> Reply:
    """F97: the account has no credit."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return fail(429, message, type="insufficient_quota", code="insufficient_quota")


def spend_limit() -> Reply:
    """F97/spend: the account has reached the amount it may spend."""
    message = (
        "You have reached your specified API usage limits. You will regain access on the first of the month."
    )
    return fail(429, message, type="billing_limit", code="billing_hard_limit_reached")


def quota_limit_zero() -> Reply:
    """F97/zero: a quota whose limit is nought, as Gemini words it."""
    text = "Quota exceeded for metric: generate_content_free_tier_requests, limit: 0"
    error: Json = {"code": 429, "message": text, "status": "RESOURCE_EXHAUSTED"}
    return fail(429, body={"error": error})


def overloaded(status: int = 529) -> Reply:
    """F98: the provider has no room, by status 529 or 503."""
    return fail(status, "Overloaded", type="overloaded_error")


def server_error(status: int = 500) -> Reply:
    """F99: the provider is broken."""
    return fail(status, "The server had an error while processing your request.")


def wrong_key() -> Reply:
    """F101: the key is refused."""
    return fail(401, "Incorrect API key provided.", code="invalid_api_key")


def model_not_found() -> Reply:
    """F102: the provider does not know the model."""
    return fail(404, "The model does not exist or you do not have access to it.", code="model_not_found")


def region_refused() -> Reply:
    """F102/region: the provider does not serve this region."""
    text = "Country, region, or territory not supported"
    return fail(403, text, type="request_forbidden", code="unsupported_country_region_territory")


def redirect(location: str, status: int = 307) -> Raw:
    """F103: a redirect that must not be followed."""
    return raw(head(status, {"location": location, "content-length": "0"}), close=False)


@dataclass(frozen=True)
class RedirectLoop(Modifiable):
    """Redirects to the very URL that was asked for."""

    status: int = 307

    async def perform(self, exchange: Exchange) -> None:
        await redirect(exchange.request.target, self.status).perform(exchange)


def redirect_loop(status: int = 307) -> RedirectLoop:
    """F103/loop: a redirect to the same URL."""
    return RedirectLoop(status)
