"""The OpenAI SDK on fairlead's engine: its own classes, its own replies, its own exceptions.

```python
from fairlead.openai import OpenAI

client = OpenAI("fairlead.toml")  # a real `openai.OpenAI`
client.chat.completions.create(model="smart", messages=[{"role": "user", "content": "Hello!"}])
```

`OpenAI` and `AsyncOpenAI` are subclasses of the SDK's clients, so that whatever insists on those (instructor,
pydantic-ai, tracers that patch them) runs through the engine. The transports below them are in
`fairlead.openai.httpx2` and `fairlead.openai.httpx`, for a client of one's own. Only the clients import
the SDK.
"""

from __future__ import annotations

from importlib import import_module

from .told import failure, receipt, receipts

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .clients import AsyncOpenAI, OpenAI

__all__ = ["AsyncOpenAI", "OpenAI", "failure", "receipt", "receipts"]


def __getattr__(name: str) -> Any:
    if name not in ("AsyncOpenAI", "OpenAI"):
        raise AttributeError(f"module 'fairlead.openai' has no attribute '{name}'")
    try:
        found = getattr(import_module(".clients", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "openai":
            raise
        raise ImportError("fairlead.openai needs the OpenAI SDK: pip install 'fairlead[openai]'") from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
