"""A base URL with its own script and log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from .completion import ok
from .connection import Step
from .request import Request

Answer = Step | Callable[[Request], Step]
"""A step, or a function that makes one from the request."""


class Endpoint:
    """A base URL with its own script and log."""

    def __init__(self, base_url: str, fallback: Endpoint | None = None) -> None:
        self.base_url = base_url
        """What a client is given."""
        self._script: list[Answer] = []
        self.reply: Answer | None = None
        """What a request gets when the script is used up; `None` is the upstream's own, at first an echo."""
        self.requests: list[Request] = []
        """Every request that was answered here, in order of arrival."""
        self._fallback = fallback

    @property
    def script(self) -> list[Answer]:
        """What the next requests get, in order, whichever connection they come on.

        Setting it copies what is set; steps disappear from it as requests take them.
        """
        return self._script

    @script.setter
    def script(self, steps: Iterable[Answer]) -> None:
        self._script = list(steps)

    def reset(self) -> None:
        """Forget script, reply and log."""
        self.script, self.reply, self.requests = [], None, []

    def next_answer(self) -> Answer:
        """Take what comes next."""
        with contextlib.suppress(IndexError):
            return self._script.pop(0)
        if self.reply is not None:
            return self.reply
        return ok() if self._fallback is None else self._fallback.reply or ok()

    def is_early(self) -> bool:
        """Whether what comes next acts before the request body is read."""
        answer = self.script[0] if self.script else self.reply
        return not getattr(answer, "reads_body", True)


def condition(where: str | Callable[[Request], bool]) -> Callable[[Request], bool]:
    """Whether a request is meant: by the end of its path, its model, or a function."""
    if callable(where):
        return where
    if where.startswith("/"):
        return lambda request: request.path.endswith(where)
    return lambda request: request.model == where
