"""Test code that calls language models: a local upstream that does what a script says.

```python
from fairlead.testing import Upstream, fail, ok

with Upstream() as up:
    up.script = [fail(503), ok("hi")]
    ...                                      # call up.base_url with any OpenAI client
    assert len(up.requests) == 2
```

`Upstream` serves the script; `ok`, `fail`, `stream`, `sse`, `raw` and their kin are its steps, and `faults`
holds the ways in which real services misbehave. Nothing here needs the rest of the package or any other one.
"""

from . import faults
from .completion import ok
from .connection import Exchange, Step
from .endpoint import Endpoint
from .replies import tool_call
from .request import Headers, Request
from .steps import STALL, Reply, fail, hang, raw
from .streams import sse, stream, stream_bytes
from .upstream import Upstream

__all__ = [
    "STALL",
    "Endpoint",
    "Exchange",
    "Headers",
    "Reply",
    "Request",
    "Step",
    "Upstream",
    "fail",
    "faults",
    "hang",
    "ok",
    "raw",
    "sse",
    "stream",
    "stream_bytes",
    "tool_call",
]
