"""What the deployments behind a model can do together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

from langchain_core.language_models.model_profile import ModelProfile

from .. import _core
from ..client import AsyncClient
from ..errors import FairleadError

_ABILITIES = {
    "tools": "tool_calling",
    "vision": "image_inputs",
    "pdf": "pdf_inputs",
    "audio": "audio_inputs",
    "json_schema": "structured_output",
    "reasoning": "reasoning_output",
}
"""The catalogue's words, and LangChain's."""

_SIZES = {"context_window": "max_input_tokens", "max_output": "max_output_tokens"}
_EXCEPTIONS = ("context_window", "content_filter", "quota")
"""Roles of deployments that are only asked where no other can serve a call."""

_known: WeakKeyDictionary[AsyncClient, dict[str | None, ModelProfile]] = WeakKeyDictionary()


def profile_of(client: AsyncClient, model: str | None) -> ModelProfile:
    """The intersection over the deployments that a call may go to, fallbacks included.

    Sizes are the smallest, abilities those that all have. What is not known of one of them is left out.

    Raises:
        FairleadError: when the model leads nowhere.
    """
    if client.base_url is not None and client._arguments["provider"] is None:
        return ModelProfile()  # whoever listens there may call anything by that name
    profiles = _known.setdefault(client, {})
    if model not in profiles:
        asked = [choice for choice in client.route(model=model).candidates if choice.role not in _EXCEPTIONS]
        configured = _configured(client)
        profiles[model] = intersection(_known_of(choice, configured) for choice in asked)
    return ModelProfile(**profiles[model])


def intersection(deployments: Iterable[Mapping[str, Any]]) -> ModelProfile:
    """What holds for every one of these deployments; each is a row of the catalogue."""
    rows = list(deployments)
    profile: dict[str, Any] = {}
    if not rows or not all(rows):
        return ModelProfile()
    for name, ours in _SIZES.items():
        sizes = [row.get(name) for row in rows]
        if all(sizes):
            profile[ours] = min(size for size in sizes if size is not None)
    for name, ours in _ABILITIES.items():
        if all(name in row.get("capabilities", ()) for row in rows):
            profile[ours] = True
    if all(row.get("mode") == "chat" for row in rows):
        profile["text_inputs"] = profile["text_outputs"] = True
    if any("temperature" in row.get("rejects", ()) for row in rows):
        profile["temperature"] = False
    return cast("ModelProfile", profile)


def _known_of(choice: Any, configured: Mapping[str, Any]) -> dict[str, Any]:
    """What the catalogue says of a deployment, under what the configuration says of it."""
    entry = _entry(choice, configured)
    name = _label(entry) if entry else choice.deployment
    found = _core._models(name)["models"]
    row = dict(found[0]) if len(found) == 1 else {}
    for size in _SIZES:
        if size in entry:
            row[size] = entry[size]
    stated = entry.get("supports") or {}
    able = {*row.get("capabilities", ()), *(name for name, can in stated.items() if can)}
    row["capabilities"] = sorted(able - {name for name, can in stated.items() if not can})
    return row


def _entry(choice: Any, configured: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of the configuration that a deployment comes from: by its id, or its place among its like."""
    entries: list[Mapping[str, Any]] = (configured.get(choice.model) or {}).get("deployments") or []
    for entry in entries:
        if entry.get("id") == choice.deployment:
            return entry
    label, _, number = choice.deployment.partition("#")
    alike = [entry for entry in entries if _label(entry) == label]
    place = int(number) - 1 if number.isdigit() else 0
    return alike[place] if place < len(alike) else {}


def _label(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('provider')}/{entry.get('model')}"


def _configured(client: AsyncClient) -> Mapping[str, Any]:
    """The models of a client's configuration, where it has one."""
    if client._config.value is None:
        return {}
    try:
        models: Mapping[str, Any] = _core._load(client._config.value)["config"].get("models") or {}
    except FairleadError:
        return {}
    return models
