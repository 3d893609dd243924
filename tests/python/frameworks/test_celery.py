"""Celery's prefork workers: a client made at import, used before the fork and after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fairlead.testing import Upstream

HERE = Path(__file__).parent
TASKS = 40


def test_prefork_workers_use_a_client_that_was_used_before_the_fork(
    up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()
    given = {"CELERY_FOLDER": str(tmp_path), "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": up.base_url}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(HERE)
    command = [sys.executable, "-m", "celery", "--workdir", str(HERE), "-A", "celery_app", "worker"]
    log = tmp_path / "log"
    with log.open("wb") as told:
        worker = subprocess.Popen(
            [*command, "--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING"],
            env={**os.environ, **given},
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        asked = [_ask().delay(f"prompt {number}") for number in range(TASKS)]
        answers = [one.get(timeout=60, interval=0.05) for one in asked]
    finally:
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)
    assert code == 0, log.read_text(encoding="utf-8")
    for number, (blocking, awaited, _) in enumerate(answers):
        assert blocking == awaited == f"prompt {number}"
    processes = {process for _, _, process in answers}
    assert worker.pid not in processes
    assert len(up.requests) == 1 + 2 * TASKS, "nothing is asked twice"


def _ask() -> Any:
    from celery_app import ask

    return ask
