"""Two deployments of one model: when the first fails, the second answers.

    python examples/failover.py

The upstreams are local and scripted; with real ones only the configuration differs.
"""

from __future__ import annotations

import fairlead
from fairlead.testing import Upstream, fail, ok

with Upstream() as first, Upstream() as second:
    first.script = [ok("Hello from the first."), fail(503), fail(429, retry_after=30)]
    second.reply = ok("Hello from the second.")
    deployments = [
        {"provider": "openai", "model": "gpt-5", "api_key": "one", "base_url": first.base_url},
        {"provider": "openai", "model": "gpt-5", "api_key": "two", "base_url": second.base_url},
    ]
    with fairlead.Client({"models": {"smart": {"deployments": deployments}}}) as client:
        for _ in range(4):
            reply = client.chat.completions.create(
                model="smart", messages=[{"role": "user", "content": "Hello!"}]
            )
            attempts = [line.error or "ok" for line in reply.fairlead.attempts]
            print(f"{reply.choices[0].message.content:<24} {' -> '.join(attempts)}")
    # After the 429 the first one is left alone for the 30 seconds it asked for.
    assert [len(first.requests), len(second.requests)] == [3, 3]
