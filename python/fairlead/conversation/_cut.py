"""Shortening what is too long for any window."""

from __future__ import annotations

from collections.abc import Callable

from ._messages import Message

LEFT_OUT = "\n[... {} characters left out ...]\n"
"""What stands where something was cut out."""


def cut(text: str, fits: Callable[[str], bool]) -> str | None:
    """The longest beginning and end of `text` that fit, with a mark between them; `None` where no part does.

    Asks about twenty times, whatever the length.
    """
    if fits(text):
        return text
    least, most = 0, len(text)
    if not fits(_shortened(text, 0)):
        return None
    while most - least > 1:
        middle = (least + most) // 2
        if fits(_shortened(text, middle)):
            least = middle
        else:
            most = middle
    return _shortened(text, least)


def _shortened(text: str, keep: int) -> str:
    head = (keep * 2 + 2) // 3
    tail = keep - head
    return text[:head] + LEFT_OUT.format(len(text) - keep) + (text[-tail:] if tail else "")


def cut_message(message: Message, fits: Callable[[Message], bool]) -> Message | None:
    """The message with its longest text cut until it fits; `None` where that does not help."""
    content = message.get("content")
    if isinstance(content, str):
        text = cut(content, lambda text: fits({**message, "content": text}))
        return None if text is None else {**message, "content": text}
    if not isinstance(content, list):
        return None
    texts = [place for place, part in enumerate(content) if isinstance(part, dict) and _is_text(part)]
    if not texts:
        return None
    longest = max(texts, key=lambda place: len(content[place]["text"]))

    def with_text(text: str) -> Message:
        changed = {**content[longest], "text": text}
        return {**message, "content": [*content[:longest], changed, *content[longest + 1 :]]}

    text = cut(content[longest]["text"], lambda text: fits(with_text(text)))
    return None if text is None else with_text(text)


def _is_text(part: dict[str, object]) -> bool:
    return isinstance(part.get("text"), str)
