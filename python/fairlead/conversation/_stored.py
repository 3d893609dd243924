"""A conversation as plain JSON types, and back."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ._estimate import Line
from ._messages import ROLES, Block, answers_of, calls_of, plain

if TYPE_CHECKING:
    from ._conversation import Conversation

VERSION = 1
"""Of the form."""

Made = TypeVar("Made", bound="Conversation")


def as_dict(conversation: Conversation) -> dict[str, Any]:
    """The form that is stored."""
    return {
        "version": VERSION,
        "model": conversation.model,
        "max_tokens": conversation.max_tokens,
        "reserve": conversation.reserve,
        "keep": conversation._keep,
        "too_long": conversation._too_long,
        "tools": conversation.tools,
        "summary": conversation.summary,
        "dropped": conversation.dropped,
        "learned": dataclasses.asdict(conversation._line),
        "blocks": [block.messages for block in conversation._blocks],
        "gone": [block.messages for block in conversation._gone],
    }


def fill(made: type[Made], stored: Mapping[str, Any], client: Any, summarise: Any, count: Any) -> Made:
    """The conversation that was stored."""
    if stored.get("version") != VERSION:
        raise ValueError(f"no stored conversation of version {VERSION}: {stored.get('version')!r}")
    try:
        conversation = made(
            **{
                name: stored[name] for name in ("model", "max_tokens", "reserve", "keep", "too_long", "tools")
            },
            client=client,
            summarise=summarise,
            count=count,
        )
        conversation.summary, conversation.dropped = stored["summary"], int(stored["dropped"])
        conversation._line = Line(**{name: float(value) for name, value in stored["learned"].items()})
        conversation._blocks = [_block(messages, conversation._count) for messages in stored["blocks"]]
        conversation._gone = [_block(messages, conversation._count) for messages in stored["gone"]]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no stored conversation: {error}") from error
    return conversation


def _block(messages: list[Any], count: Any) -> Block:
    held = [plain(message) for message in messages]
    open_ = Counter(calls_of(held[0])) - Counter(one for message in held[1:] for one in answers_of(message))
    return Block(ROLES[held[0]["role"]], held, sum(count(message) for message in held), open_)
