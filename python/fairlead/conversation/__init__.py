"""A conversation that always fits its model's window."""

from ._conversation import Conversation

__all__ = ["Conversation"]
