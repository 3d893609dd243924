"""What a `RunnableConfig` says about the caller, as options of a call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

SCOPE = "fairlead_scope"
"""The keyword under which a call carries them inside LangChain; neither traced, nor cached by, nor sent."""

_SESSIONS = ("thread_id", "session_id", "conversation_id")
_OPTIONS = {"user_id": "user", "tenant_id": "tenant"}
_NOT_OURS = ("ls_", "lc_", "langgraph_checkpoint", "langgraph_path", "langgraph_triggers", "checkpoint")
_LONGEST = 256
"""The longest name of a caller or a conversation that the engine takes, in bytes of UTF-8."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What the engine takes in none."""
_TECHNICAL_TAGS = ("seq:step:", "map:key:", "condition:", "branch:", "graph:step:", "langsmith:")


def scope_of(config: Mapping[str, Any] | None, model: Any) -> dict[str, Any] | None:
    """The options of a call with this config inside the runnable that runs now.

    Args:
        config: what was passed with the call. Of what it leaves out, the surrounding runnable's holds.
        model: the chat model; its own tags and metadata count too.
    """
    around = var_child_runnable_config.get()
    own = {name: value for name, value in (model.metadata or {}).items() if name != "lc_versions"}
    if config is None and around is None and not own and not model.tags:
        return None
    given: dict[str, Any] = {}
    for source in (around, config):
        given.update((name, value) for name, value in (source or {}).items() if value is not None)
    known = {**(given.get("configurable") or {}), **(given.get("metadata") or {}), **own}
    return options_of(known, (*(given.get("tags") or ()), *(model.tags or ())))


def options_of(known: Mapping[str, Any], tags: Sequence[str] | None) -> dict[str, Any] | None:
    """`thread_id` is the session, `user_id` the user, `tenant_id` the tenant; the rest is for rules.

    Whoever set them may never have heard of us, so none of them makes a call fail: what is no name for the
    engine is named by its hash, and what no rule could ask for is left out.

    Args:
        known: metadata of the run, and what it was configured with.
        tags: the run's; rules find them as `metadata.tags`.
    """
    options: dict[str, Any] = {}
    for name in _SESSIONS:
        if known.get(name):
            options["session"] = _name(known[name])
            break
    for name, option in _OPTIONS.items():
        if known.get(name):
            options[option] = _name(known[name])
    metadata: dict[str, Any] = {
        name: value
        for name, value in known.items()
        if isinstance(name, str)
        and isinstance(value, (str, int, float))
        and not name.startswith("__")
        and not name.startswith(_NOT_OURS)
    }
    ours = [tag for tag in tags or () if isinstance(tag, str) and not tag.startswith(_TECHNICAL_TAGS)]
    if ours:
        metadata["tags"] = ours
    if metadata:
        options["metadata"] = metadata
    return options or None


def _name(value: Any) -> str:
    """A name as the engine takes it: the text, or a hash of it, the same in every process."""
    text = str(value)
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= _LONGEST and not _CONTROL.search(text):
        return text
    return f"sha256:{sha256(encoded).hexdigest()}"


def laid_over(*layers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options on top of one another: later ones win, `metadata` member by member."""
    options: dict[str, Any] = {}
    for layer in layers:
        if layer:
            metadata = {**options.get("metadata", {}), **(layer.get("metadata") or {})}
            options.update(layer)
            if metadata:
                options["metadata"] = metadata
    return options
