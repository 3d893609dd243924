"""No waits and few attempts, for tests of code that retries."""

from __future__ import annotations

from types import TracebackType

from ._numbers import whole

_attempts: int | None = None
"""Attempts that every `Retry` makes; `None` outside of tests."""


def attempts_in_tests() -> int | None:
    """Attempts that every `Retry` makes now; `None` outside of tests."""
    return _attempts


class set_testing:  # noqa: N801
    """Switch tests on or off: every `Retry` of the process makes `attempts` attempts, and none waits.

    ```python
    fairlead.set_testing(True)                        # until it is set to False
    with fairlead.set_testing(True, attempts=3): ...  # and back
    ```

    Args:
        testing: on or off.
        attempts: how many attempts each makes while it is on.
    """

    def __init__(self, testing: bool, *, attempts: int = 1) -> None:
        global _attempts
        most = whole("set_testing", "attempts", attempts, 1)
        self._before = _attempts
        _attempts = most if testing else None

    def __enter__(self) -> None:
        """It is on already."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        global _attempts
        _attempts = self._before
