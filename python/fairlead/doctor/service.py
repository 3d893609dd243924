"""The service's own word: does it answer and take the key, what does it list, what money is left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any

from .._core import Endpoint
from ..client import Client
from ..errors import (
    APIConnectionError,
    AuthenticationError,
    FairleadError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceeded,
    RateLimitError,
    TLSError,
)
from ..response import APIResponse
from ..types import Anything
from .places import Place
from .report import Report

SLOW_ANSWER = 5.0
"""Seconds after which the first byte of an answer is called late."""

MOST_SKEW = 30.0
"""Seconds that this machine's clock may differ from the service's."""

LITTLE = 1.0
"""US dollars below which what is left is told of."""

_KEY = "put in a key that the provider takes: it may be revoked, expired, or of another provider"


def look(report: Report, place: Place, client: Client) -> bool:
    """Ask the service; returns whether it answers and takes the key."""
    try:
        reply = _get(client, place, "/models")
    except FairleadError as error:
        return _told(report, place, error)
    timings = reply.fairlead.timings
    late = timings.first_byte is not None and timings.first_byte > SLOW_ANSWER
    words = f"GET /models: {reply.status_code}{', but late' if late else ''}"
    advice = "the service is slow today, or something on the way is"
    report.add(place.name, "answer", "finding" if late else "fine", words, advice, timings.first_byte)
    _refused_keys(report, place, reply)
    _clock(report, place, reply)
    _models(report, place, reply)
    return _account(report, place, client) if place.provider == "openrouter" else True


def ping(report: Report, place: Place, client: Client) -> None:
    """Ask for one token."""
    model = place.id or (place.models[0] if place.models else None)
    began = time.monotonic()
    try:
        client.generate(model, "Say hi.", max_tokens=1, **place.options)
    except FairleadError as error:
        _told(report, place, error, "ping")
    else:
        seconds = time.monotonic() - began
        report.add(place.name, "ping", "fine", f"{(*place.models, 'it')[0]} answers", None, seconds)


def _get(client: Client, place: Place, path: str) -> APIResponse[Any]:
    endpoint = Endpoint("GET", Anything, path=path, raw=APIResponse)
    found: APIResponse[Any] = client._engine.block_raw(endpoint, None, dict(place.options), None)
    return found


def _told(report: Report, place: Place, error: FairleadError, subject: str = "answer") -> bool:
    """Tell of a failure; returns whether the service answers all the same."""
    name, said = place.name, error.message
    if isinstance(error, AuthenticationError):
        report.add(name, "key", "finding", f"the key is refused: {said}", _KEY)
    elif isinstance(error, QuotaExceeded):
        report.add(
            name, "credits", "finding", f"nothing is left: {said}", "top the account up, or raise its limit"
        )
    elif isinstance(error, PermissionDeniedError):
        report.add(
            name, "key", "finding", f"the key may not do that: {said}", "see the key's scopes and region"
        )
    elif isinstance(error, RateLimitError):
        report.add(
            name, subject, "finding", f"the service asks to wait: {said}", "slow down, or raise the limits"
        )
    elif isinstance(error, TLSError):
        advice = "name the authority in the configuration (`ca`); see this machine's clock too"
        report.add(name, "tls", "finding", said, advice)
    elif isinstance(error, APIConnectionError):
        report.add(name, subject, "finding", said, "see the way there: network, firewall, proxy, address")
    elif isinstance(error, NotFoundError) and subject == "answer":
        words = "the service answers, but lists no models: the key is not verified"
        report.add(name, subject, "note", words, "--ping asks for one token and so verifies it")
        return True
    else:
        report.add(name, subject, "finding", said, "see the service's status page, and the address")
    return False


def _refused_keys(report: Report, place: Place, reply: APIResponse[Any]) -> None:
    """Keys that were refused before one was taken."""
    refused = sum(line.error == "AuthenticationError" for line in reply.fairlead.attempts or ())
    if refused:
        report.add(place.name, "key", "finding", f"{refused} keys are refused before one is taken", _KEY)


def _clock(report: Report, place: Place, reply: APIResponse[Any]) -> None:
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return
    skew = time.time() - theirs
    if abs(skew) > MOST_SKEW:
        words = f"this machine's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        report.add(
            place.name,
            "clock",
            "finding",
            words,
            "let it be set by NTP: tokens and certificates depend on it",
        )
    else:
        report.add(place.name, "clock", "fine", "this machine's clock agrees with the service's")


def _models(report: Report, place: Place, reply: APIResponse[Any]) -> None:
    """Are the models listed that are asked for?"""
    try:
        entries = reply.json()["data"]
        listed = {str(entry["id"]) for entry in entries}
    except (ValueError, KeyError, TypeError):
        return
    missing = [model for model in place.models if not _is_listed(model, listed)]
    if not listed or not missing:
        report.add(place.name, "models", "fine", f"{len(listed)} are listed")
    for model in missing if listed else ():
        ending = [name for name in listed if name.endswith(f"/{model}")]
        meant = [*ending, *get_close_matches(model, listed, 1)]
        advice = f"did you mean `{meant[0]}`?" if meant else "see the provider's list of models"
        report.add(place.name, "models", "note", f"`{model}` is not listed", advice)


def _is_listed(model: str, listed: set[str]) -> bool:
    """Variants (`:free`) and who serves it (`@one`) are not part of the name."""
    plain = model.partition("@")[0]
    return bool({model, plain, plain.partition(":")[0], f"models/{plain}"} & listed)


# ===== OpenRouter =====


def _account(report: Report, place: Place, client: Client) -> bool:
    """What OpenRouter tells of a key, which its list of models does not ask for."""
    try:
        key = _data(_get(client, place, "/key"))
    except FairleadError as error:
        return _told(report, place, error, "key")
    if key.get("is_free_tier"):
        advice = 'have `limit_profile = "free"` in `[providers.openrouter]`, so that they are not overrun'
        report.add(place.name, "key", "note", "is taken, free tier: 50 calls a day of free models", advice)
    else:
        report.add(place.name, "key", "fine", "is taken, paid tier: 1,000 calls a day of free models")
    left = key.get("limit_remaining")
    if isinstance(left, int | float):
        _money(report, place, float(left), "of the key's limit", "raise the key's limit")
    try:
        credits_ = _data(_get(client, place, "/credits"))
    except FairleadError:
        report.add(place.name, "credits", "note", "this key may not see the account's credits")
        return True
    bought, used = credits_.get("total_credits"), credits_.get("total_usage")
    if isinstance(bought, int | float) and isinstance(used, int | float):
        _money(
            report,
            place,
            float(bought - used),
            "of the account's credits",
            "top it up at openrouter.ai/credits",
        )
    return True


def _data(reply: APIResponse[Any]) -> Mapping[str, Any]:
    try:
        data = reply.json().get("data")
    except (ValueError, AttributeError):
        return {}
    return data if isinstance(data, Mapping) else {}


def _money(report: Report, place: Place, left: float, of: str, advice: str) -> None:
    words = f"${left:.2f} left {of}"
    if left <= 0:
        report.add(place.name, "credits", "finding", words, advice)
    else:
        report.add(place.name, "credits", "note" if left < LITTLE else "fine", words, advice)
