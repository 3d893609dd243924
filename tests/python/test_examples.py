"""Every example runs offline and says so by its exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fairlead
import pytest
from fairlead import _core

CONFIGS = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))
SERVE = ("fastapi_app.py",)
"""They run until they are told to end, and have tests of their own."""
EXAMPLES = [
    path for path in sorted((Path(__file__).parents[2] / "examples").glob("*.py")) if path.name not in SERVE
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_to_its_end_and_has_nothing_to_complain_of(example: Path) -> None:
    command = [sys.executable, "-W", "error", str(example)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in ("ANTHROPIC", "OPENAI", "GEMINI"):
        monkeypatch.setenv(f"{provider}_API_KEY", "k")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
@pytest.mark.usefixtures("keys")
def test_an_example_configuration_has_nothing_wrong_and_nothing_to_warn_about(config: Path) -> None:
    assert _core._load(config)["warnings"] == []
    fairlead.Client(config).close()


@pytest.mark.usefixtures("keys")
def test_work_of_every_kind_goes_to_its_model() -> None:
    config = next(path for path in CONFIGS if path.name == "daily-complex-fast.toml")
    with fairlead.Client(config) as client:
        assert client.route("Good morning!").model == "daily"
        assert client.route("Good morning!", metadata={"hurry": "true"}).model == "fast"
        assert client.route("Prove that it ends.").model == "complex"
        assert client.route("def f():", metadata={"hurry": "true"}).model == "fast"
        assert client.route("words " * 20_000).model == "complex"
        assert client.route("Think.", reasoning_effort="high").model == "complex"
        providers = {choice.deployment.split("/")[0] for choice in client.route(model="fast").candidates[:2]}
        assert providers == {"openai", "gemini"}


def test_there_are_examples() -> None:
    assert any(path.name == "demo.py" for path in EXAMPLES)
    assert CONFIGS
