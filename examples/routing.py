"""Rules decide where a call goes; the decision can be asked for, and stands on every reply.

    python examples/routing.py

The upstream is local; with real ones only `base_url` and the keys differ.
"""

from __future__ import annotations

import fairlead
from fairlead.testing import Upstream, fail, ok

HURRY = {"hurry": "true"}


def deployment(up: Upstream, model: str) -> dict[str, str]:
    return {"provider": "openai", "model": model, "api_key": "k", "base_url": up.base_url}


with Upstream() as up:
    up.reply = lambda request: fail(503) if request.model == "quick" else ok(f"answered by {request.model}")
    router = fairlead.Router(
        {
            "default_model": "daily",
            "models": {
                "daily": {"deployments": [deployment(up, "plain")]},
                "fast": {"deployments": [deployment(up, "quick")], "fallbacks": ["daily"]},
                "code": {"deployments": [deployment(up, "coder")]},
            },
            "rules": [
                {"name": "code", "when": "contains(user_input, 'def ')", "model": "code"},
                {"name": "hurry", "when": "metadata.hurry == 'true'", "model": "fast", "weight": 2},
            ],
        }
    )
    for text, metadata in (("Good morning!", {}), ("def f():", {}), ("def f():", HURRY)):
        route = router.route(text, metadata=metadata)
        asked = " -> ".join(choice.deployment for choice in route.candidates)
        print(f"{text:<14} {route.rule or route.why:<18} {asked}")

    reply = router.completion(messages="def f():", metadata=HURRY)
    print(reply.choices[0].message.content, "because of the rule", reply.fairlead.rule)
    # The model that the rule picked failed; its fallback answered, and the reply says so.
    assert reply.fairlead.degraded
    router.close()
