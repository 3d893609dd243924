"""Arguments without which there is nothing to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..options import is_absent

_WORDS = {
    "messages": "`messages` is missing: pass a list of messages",
    "input": "`input` is missing: pass a text or a list of texts",
}


def need(name: str, params: Mapping[str, Any]) -> None:
    """
    Raises:
        TypeError: when the argument is not there, as the OpenAI SDK does before anything is sent.
    """
    if name in params and not is_absent(params[name]):
        return
    if name not in (params.get("extra_body") or ()):
        raise TypeError(_WORDS[name])
