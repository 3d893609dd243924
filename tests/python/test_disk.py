"""A disk that takes nothing: fairlead keeps nothing on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fairlead.testing import Upstream, fail, ok

CALLS = """
import resource, signal, sys
import fairlead

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    with open("probe", "w") as probe:
        probe.write("x")
except OSError:
    print("full")
deployment = {"provider": "openai", "model": "m", "base_url": sys.argv[1], "api_key": "k"}
config = {
    "models": {"m": {"deployments": [{**deployment, "price": {"input": 1, "output": 1}}]}},
    "limits": {"user": {"requests_per_minute": 100}},
    "budgets": {"global": {"daily": 1}},
}
with fairlead.Client(config) as client:
    for _ in range(3):
        reply = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], fairlead={"user": "ann"}
        )
        print(reply.choices[0].message.content)
"""


def test_f114_a_full_disk_fails_no_call_for_nothing_is_written(up: Upstream, tmp_path: Path) -> None:
    up.script = [fail(500), ok("one"), ok("two"), ok("three")]
    home = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", CALLS, up.base_url],
        cwd=tmp_path,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["full", "one", "two", "three"], done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.stat().st_size] == []
