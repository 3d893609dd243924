"""Every Python snippet of the README and the docs runs as it stands, against a local upstream.

A snippet runs by itself, in a folder that holds the page's last TOML block before it as `fairlead.toml`, with
the base URLs and keys of providers in the environment. It may await at its top level. A comment on the line
before it scripts the upstream, in the words of `fairlead.testing`:

    <!-- upstream: [fail(503), ok("Hello!")] -->
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead import _core, testing
from fairlead.testing import Upstream

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- upstream: (.*?) -->\n)?```(python|toml|json)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
CHART = "docs/benchmark.svg"
"""Drawn by `make bench`."""
PLUGINS = ("secrets-manager",)
"""Plug-ins that snippets register: they would outlive them."""
PROVIDERS = ("OPENAI", "OPENROUTER", "GROQ", "ANTHROPIC", "DEEPSEEK")


@dataclass(frozen=True)
class Snippet:
    """A block of a page and what it needs."""

    page: Path
    number: int
    kind: str
    text: str
    script: str
    config: str

    def __str__(self) -> str:
        return f"{self.page.name}-{self.number}"


def snippets() -> Iterator[Snippet]:
    for page in PAGES:
        config = ""
        for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), 1):
            script, kind, text = block.groups()
            config = text if kind == "toml" else config
            yield Snippet(page, number, kind, text, script or "", config)


ALL = list(snippets())
PYTHON = [snippet for snippet in ALL if snippet.kind == "python"]
CONFIGS = [snippet for snippet in ALL if snippet.kind != "python"]


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Upstream]:
    with Upstream() as up:
        for provider in PROVIDERS:
            monkeypatch.setenv(f"{provider}_BASE_URL", up.base_url)
            monkeypatch.setenv(f"{provider}_API_KEY", "test")
        monkeypatch.setenv("OPENAI_SECOND_KEY", "test")
        monkeypatch.chdir(tmp_path)
        yield up
    for plugin in PLUGINS:
        _core._register_plugin(plugin, None)


def run(source: str, name: str) -> None:
    code = compile(source, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {"__name__": "snippet"}
    if code.co_flags & inspect.CO_COROUTINE:

        async def awaited() -> None:
            await eval(code, names)

        asyncio.run(awaited())
    else:
        exec(code, names)


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_a_snippet_runs_as_it_stands(snippet: Snippet, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "fairlead.toml").write_text(snippet.config, encoding="utf-8")
    if snippet.script:
        upstream.script = eval(snippet.script, vars(testing))
    run(snippet.text, str(snippet))


@pytest.mark.parametrize("snippet", CONFIGS, ids=str)
def test_a_configuration_is_accepted(snippet: Snippet, upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / f"fairlead.{snippet.kind}"
    path.write_text(snippet.text, encoding="utf-8")
    fairlead.Client(str(path)).close()


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = {link for link in LINK.findall(text) if not (page.parent / link).exists()}
    assert missing - {CHART} == set()


def test_the_pages_have_snippets() -> None:
    assert len(PYTHON) > 20
