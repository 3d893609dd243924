"""Keys of the environment: are they there, and do they look like keys of their provider?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from .. import _core
from .report import Report

VARIABLES: Mapping[str, tuple[str, ...]] = {
    preset["id"]: tuple(preset["key_env"]) for preset in _core._presets() if preset["key_env"]
}
"""Where providers' keys are looked for, the first that is set."""

BEGINNINGS: Mapping[str, str] = {
    "openrouter": "sk-or-",
    "anthropic": "sk-ant-",
    "groq": "gsk_",
    "xai": "xai-",
    "perplexity": "pplx-",
    "cerebras": "csk-",
    "huggingface": "hf_",
    "openai": "sk-",
}
"""How keys of a provider begin, the longer ones first where one is part of another."""

_PLACEHOLDER = re.compile(
    r"(?i)your|change.?me|placeholder|xxxx|<.*>|\.\.\.$|^(sk-)?(test|key|todo|none|null)$"
)


def secrets() -> list[str]:
    """The values of all variables whose name says that they hold a secret."""
    named = re.compile(r"(?i)key|token|secret|password")
    return [value for name, value in os.environ.items() if named.search(name) and value.strip()]


def with_key() -> list[str]:
    """The providers whose key is in the environment."""
    return [provider for provider, names in VARIABLES.items() if _first(names) is not None]


def look(report: Report, providers: set[str], *, must_be_there: bool = True) -> None:
    """Look at the keys of `providers`; none at all is wrong, unless they need not be there."""
    for provider in sorted(providers):
        name = _first(VARIABLES.get(provider, ()))
        if name is not None:
            _shape(report, provider, name, os.environ[name])
    if must_be_there and not providers and not with_key():
        names = "OPENROUTER_API_KEY, OPENAI_API_KEY"
        report.add(
            "",
            "key",
            "finding",
            "no provider has a key, and there is no configuration",
            f"set a provider's variable ({names}, ...), or write a fairlead.toml",
        )


def fault_of(provider: str, key: str) -> str | None:
    """What is wrong with the shape of a key, in a sentence without the key."""
    if key != key.strip():
        return "begins or ends with white space"
    if key[:1] in "'\"" or key[-1:] in "'\"":
        return "is in quotation marks"
    if key.lower().startswith("bearer "):
        return "begins with `Bearer`, which is added by itself"
    if _PLACEHOLDER.search(key):
        return "looks like a placeholder"
    if not key.isascii() or any(sign.isspace() or not sign.isprintable() for sign in key):
        return "holds characters that no key has"
    theirs = BEGINNINGS.get(provider)
    other = next((name for name, begins in BEGINNINGS.items() if key.startswith(begins)), None)
    if theirs is not None and other is not None and other != provider and not _may_be(provider, other):
        return f"looks like a key of {other}"
    if theirs is not None and not key.startswith(theirs):
        return f"does not begin with `{theirs}`"
    return None


def _may_be(provider: str, other: str) -> bool:
    """Does what begins like a key of `other` begin like one of `provider` too?"""
    return BEGINNINGS[other] == BEGINNINGS[provider]


def _shape(report: Report, provider: str, name: str, key: str) -> None:
    fault = fault_of(provider, key)
    if fault is None:
        report.add("", "key", "fine", f"{name} is set, {len(key)} characters")
    elif fault.startswith("does not begin"):
        report.add("", "key", "note", f"{name} {fault}", "see whether it is the provider's key")
    else:
        report.add("", "key", "finding", f"{name} {fault}", f"set {name} to the key alone")


def _first(names: Iterable[str]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)
