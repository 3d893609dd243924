"""What all resources of the clients share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar


class Resource:
    """A part of a client: `client.chat`, `client.models`, ..."""

    _name: ClassVar[str] = "this resource"

    if not TYPE_CHECKING:  # To a type checker, what is not there is a mistake.

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
            raise AttributeError(
                f"{self._name} has no `{name}`; use the client's get(path) or post(path, body=...) "
                "for what is not here"
            )
