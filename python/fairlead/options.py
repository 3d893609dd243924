"""What goes with a call but is not sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypedDict

from ._core import Deadline, Purse

if TYPE_CHECKING:
    from ._core import Secret


class NotGiven:
    """The type of `NOT_GIVEN`: "leave this out", where `None` would be sent as null."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()
"""Leaves an argument out. The sentinels of the OpenAI SDK are understood too."""


def is_absent(value: object) -> bool:
    """Is it a word for what is not given, ours or the OpenAI SDK's? No SDK need be imported."""
    return type(value).__name__ in (NotGiven.__name__, "Omit")


class Timeout:
    """Limits of an attempt in seconds, under httpx's names; `None` is no limit.

    Args:
        timeout: for every limit that is not given by itself.
        connect: name resolution, TCP and TLS together.
        read: a stream's first token and the longest silence between two reads; all of a whole reply.
        write: the upstream does not read our request.
        pool: waiting for a free connection.
    """

    def __init__(
        self,
        timeout: float | NotGiven | None = NOT_GIVEN,
        *,
        connect: float | NotGiven | None = NOT_GIVEN,
        read: float | NotGiven | None = NOT_GIVEN,
        write: float | NotGiven | None = NOT_GIVEN,
        pool: float | NotGiven | None = NOT_GIVEN,
    ) -> None:
        given = {"connect": connect, "read": read, "write": write, "pool": pool}
        missing = [name for name, value in given.items() if isinstance(value, NotGiven)]
        if missing and isinstance(timeout, NotGiven):
            raise ValueError(f"Timeout needs a default, or all four limits; missing: {', '.join(missing)}")
        self.connect, self.read, self.write, self.pool = (
            timeout if isinstance(value, NotGiven) else value for value in given.values()
        )

    def __repr__(self) -> str:
        return f"Timeout(connect={self.connect}, read={self.read}, write={self.write}, pool={self.pool})"


class Options(TypedDict, total=False):
    """The `fairlead=` argument of a call."""

    user: str
    """Who calls, for limits and rules."""
    tenant: str
    """As `user`."""
    key: str
    """As `user`."""
    priority: int | str
    """0 to 9, higher first, or `background` (1), `low` (3), `normal` (5), `high` (7), `critical` (9); the
    header `x-fairlead-priority` says it too. Never sent."""
    metadata: Mapping[str, object]
    """For rules."""
    deadline: float | Deadline
    """Seconds after which the call ends, whatever it is doing, or a deadline shared with others. A scope's
    can only be shortened."""
    budget: float | Purse
    """US dollars that the call may cost, or a purse shared with others; inside a scope's."""
    max_retries: int
    """Attempts after the first that may have consumed capacity."""
    session: str
    """The conversation it belongs to, for affinity and canaries."""
    profile: str
    """A named preset of timeouts and retries: `chat`, `batch`, `agent`, or the configuration's own."""
    regions: str | list[str]
    """Only deployments in one of these regions (globs)."""
    fallbacks: str | list[str]
    """Instead of the model's own fallbacks."""
    base_url: str
    """An address for this call alone."""
    api_key: str | Secret
    """A key for this call alone."""


_scope: ContextVar[dict[str, Any] | None] = ContextVar("fairlead_scope", default=None)

current_scope = _scope.get
"""The options of the innermost `scope`, or `None`."""


def current_deadline() -> Deadline | None:
    """The deadline of the innermost `scope` that has one."""
    options = _scope.get()
    return None if options is None else options.get("deadline")


@contextlib.contextmanager
def scope(
    *,
    user: str | None = None,
    tenant: str | None = None,
    key: str | None = None,
    priority: int | str | None = None,
    metadata: Mapping[str, object] | None = None,
    deadline: float | Deadline | None = None,
    budget: float | Purse | None = None,
    max_retries: int | None = None,
    session: str | None = None,
    profile: str | None = None,
    regions: str | list[str] | None = None,
) -> Iterator[None]:
    """Options for every call inside, also in tasks that are started there; what a call says itself wins.

    ```python
    with fairlead.scope(user="u1", tenant="acme"):
        await client.chat.completions.create(...)
    with fairlead.scope(deadline=60, budget=0.5):  # for all the steps of an agent together
        ...
    ```

    `deadline` is one end for all calls inside: seconds from the entry on, or a `Deadline`. Of nested scopes,
    and of a call's own, the earliest holds. `budget` is money for all of them together: US dollars, or a
    `Purse`. Nested scopes spend from all of them.

    Raises:
        ValueError: when `deadline` or `budget` is below 0.
    """
    given = {
        "user": user,
        "tenant": tenant,
        "key": key,
        "priority": priority,
        "metadata": metadata,
        "max_retries": max_retries,
        "session": session,
        "profile": profile,
        "regions": regions,
    }
    outer = _scope.get() or {}
    inner = {**outer, **{name: value for name, value in given.items() if value is not None}}
    if deadline is not None:
        end = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
        around = outer.get("deadline")
        inner["deadline"] = end if around is None or end.remaining < around.remaining else around
    if budget is not None:
        purse = budget if isinstance(budget, Purse) else Purse(budget)
        inner["budget"] = (*outer.get("budget", ()), purse)
    token = _scope.set(inner)
    try:
        yield
    finally:
        _scope.reset(token)
