"""A notebook: cells await at the top level, block, and stream, in a kernel whose loop is running."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from fairlead.testing import Upstream
from nbclient import NotebookClient

CELLS = [
    "import fairlead\nclient = fairlead.AsyncClient()\nblocking = fairlead.Client()",
    'await client.generate("m", "awaited")',
    'blocking.generate("m", "blocked")',
    'print("".join([piece async for piece in client.stream("m", "piece by piece")]))',
    'print("".join(blocking.stream("m", "and without a loop")))',
    "client",
]


@pytest.mark.filterwarnings("default")  # the kernel's client warns of its own ways
def test_a_notebook_awaits_blocks_and_streams(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", up.base_url)
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook: Any = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [_shown(cell) for cell in notebook.cells]
    assert shown[:5] == ["", "'awaited'", "'blocked'", "piece by piece\n", "and without a loop\n"]
    assert shown[5].startswith("<fairlead.AsyncClient")


def _shown(cell: Any) -> str:
    outputs = (one.get("text") or one.get("data", {}).get("text/plain") or "" for one in cell.outputs)
    return "".join(outputs)
