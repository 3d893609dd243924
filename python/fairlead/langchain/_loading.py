"""Lets `langchain_core.load.load(..., allowed_objects="all")` make our models again.

LangChain loads only what stands in a list of its own. That we stand there opens nothing by itself: whoever
loads must also pass `valid_namespaces=["fairlead"]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def register(class_: Any) -> None:
    """Put a class on LangChain's list, where this version of it has one."""
    home = import_module("langchain_core.load.load")
    path = tuple(class_.lc_id())
    listed: dict[Any, Any] = getattr(home, "ALL_SERIALIZABLE_MAPPINGS", {})
    listed.setdefault(path, path)
    known: dict[str, Any] = getattr(home, "_default_class_paths_cache", {})
    known.pop("all", None)
