"""Why a call goes where it goes."""

from ._base import BaseModel


class Choice(BaseModel):
    """A deployment that is asked.

    `role` says why its model is asked: `own`, `fallback`, `context_window`, `content_filter` or `quota`;
    `reason` why it stands where it stands; `keys` how many of its keys can be used now.
    """

    deployment: str
    model: str
    role: str
    reason: str
    keys: int


class Rejected(BaseModel):
    """A deployment that is not asked, and why."""

    deployment: str
    model: str
    reason: str


class IdleKey(BaseModel):
    """A key that is not used now, or only when no other is left, and why. `key` is its id, never the key."""

    deployment: str
    key: str
    reason: str


class Route(BaseModel):
    """What routing decided: the model and what picked it, who is asked in order, who is not and why."""

    requested: str
    model: str
    rule: str | None
    why: str
    candidates: list[Choice]
    rejected: list[Rejected]
    idle_keys: list[IdleKey]
    notes: list[str]
