"""Which messages stay when not all fit: a pure function of blocks and their sizes."""

from __future__ import annotations

from collections.abc import Sequence

from ._messages import Block


class Overflow(Exception):
    """What must stay does not fit by itself; `needed` tokens, uncalibrated."""

    def __init__(self, needed: float) -> None:
        super().__init__(needed)
        self.needed = needed


def sendable(blocks: Sequence[Block]) -> list[Block]:
    """Without calls that have no result yet: providers refuse one without the other."""
    return [block for block in blocks if not block.open]


def size(blocks: Sequence[Block]) -> float:
    """What they come to together."""
    return sum(block.tokens for block in blocks)


def kept(blocks: Sequence[Block], room: float, wanted: float) -> list[Block]:
    """The blocks that stay, in their order.

    All of the system's stay, what the user said last, and the newest; of the others as many of the newest
    as fit. Where something goes, what stays begins with something that a user said, if anything was said.

    Args:
        blocks: all there are.
        room: the most that they may come to.
        wanted: what they shall come to where not all fit; less than `room`, so that not every message moves
            the window.

    Raises:
        Overflow: when what must stay is more than `room`.
    """
    if size(sendable(blocks)) <= room:
        return list(blocks)
    said = [block for block in blocks if block.kind != "system" and not block.open]
    last = next((block for block in reversed(said) if block.kind == "user"), None)
    pinned = {id(block) for block in (*said[-1:], last) if block is not None}
    must = size([block for block in blocks if block.kind == "system" or id(block) in pinned])
    if must > room:
        raise Overflow(must)
    first, left = len(said), wanted - must
    for position in range(len(said) - 1, -1, -1):
        block = said[position]
        left -= 0.0 if id(block) in pinned else block.tokens
        if left < 0 and id(block) not in pinned:
            break
        first = position
    opening = _opening(said, first, last)
    begun = blocks.index(said[opening])
    return [
        block
        for position, block in enumerate(blocks)
        if position >= begun or block.kind == "system" or id(block) in pinned
    ]


def _opening(said: Sequence[Block], first: int, last: Block | None) -> int:
    """From `first` on, where something begins that a user said; after what was said last, any place."""
    if last is None or said.index(last) < first:
        return min(first, len(said) - 1)
    return next(position for position in range(first, len(said)) if said[position].kind == "user")
