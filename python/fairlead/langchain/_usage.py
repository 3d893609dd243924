"""Tokens and the receipt, in LangChain's words."""

from __future__ import annotations

from typing import Any

from langchain_core.messages.ai import UsageMetadata

PROVIDER = "fairlead"
"""`model_provider` of our messages: whose translation of content blocks holds."""

_TIERS = ("priority", "flex")


def usage_metadata(usage: Any, service_tier: str | None) -> UsageMetadata:
    """Tokens as the provider counted them; the input includes what came from its cache.

    Args:
        usage: the `usage` of a reply, as a dict.
        service_tier: the reply's; tokens of `priority` and `flex` are told apart, for they cost otherwise.
    """
    prompt, answer = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    read = usage.get("prompt_tokens_details") or {}
    said = usage.get("completion_tokens_details") or {}
    tier = f"{service_tier}_" if service_tier in _TIERS else ""
    into = {
        "audio": read.get("audio_tokens"),
        f"{tier}cache_read": read.get("cached_tokens"),
        f"{tier}cache_creation": read.get("cache_write_tokens"),
    }
    out = {"audio": said.get("audio_tokens"), f"{tier}reasoning": said.get("reasoning_tokens")}
    if tier:
        into[str(service_tier)] = prompt - (read.get("cached_tokens") or 0)
        out[str(service_tier)] = answer - (said.get("reasoning_tokens") or 0)
    total = usage.get("total_tokens")
    metadata: dict[str, Any] = {
        "input_tokens": prompt,
        "output_tokens": answer,
        "total_tokens": prompt + answer if total is None else total,
        "input_token_details": {name: count for name, count in into.items() if count is not None},
        "output_token_details": {name: count for name, count in out.items() if count is not None},
    }
    return metadata  # type: ignore[return-value]


def response_metadata(reply: Any, receipt: Any, finish_reason: str | None) -> dict[str, Any]:
    """What a message tells about the call it came from, in plain JSON types.

    Args:
        reply: a completion, or a chunk of it that has its head.
        receipt: the call's.
        finish_reason: of the choice.
    """
    told: dict[str, Any] = {
        "model_name": reply.get("model") or receipt.upstream_model,
        "model_provider": PROVIDER,
        "finish_reason": finish_reason,
    }
    for name in ("id", "created", "system_fingerprint", "service_tier"):
        value = reply.get(name)
        if value is not None:
            told[name] = value
    told.update(_story(receipt))
    return told


def traced(receipt: Any) -> dict[str, Any]:
    """What LangSmith reads to attribute a run to the provider and the model that served it.

    Messages do not carry it: LangChain takes it out of what becomes their metadata.
    """
    return {"lc_gateway_metadata": {"provider": receipt.provider, "model": receipt.upstream_model}}


def _story(receipt: Any) -> dict[str, Any]:
    story: dict[str, Any] = {
        "provider": receipt.provider,
        "deployment": receipt.deployment,
        "attempts": len(receipt.attempts),
    }
    for name in ("cost_usd", "request_id", "rule"):
        value = receipt.get(name)
        if value is not None:
            story[name] = value
    for name in ("cached", "degraded"):
        if receipt.get(name):
            story[name] = True
    return story
