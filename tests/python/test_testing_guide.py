"""Every snippet of the testing guide runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import fairlead
import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "testing.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_guide_runs(number: int) -> None:
    snippet = SNIPPETS[number]
    wanted = [name for name in ("AsyncClient", "Client") if f"fairlead.{name}(" in snippet]
    missing = [name for name in wanted if not hasattr(fairlead, name)]
    if missing:
        pytest.skip(f"this build of fairlead has no {' and no '.join(missing)}")
    exec(compile(snippet, f"{GUIDE.name} snippet {number + 1}", "exec"), {"__name__": "guide"})


def test_the_guide_has_snippets() -> None:
    assert len(SNIPPETS) >= 5
