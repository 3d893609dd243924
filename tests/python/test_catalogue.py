"""The script that makes the table of models and prices: known files give a known table."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "catalogue"
SCRIPT = ROOT / "tools" / "catalogue.py"

EXPECTED = """\
#|litellm|file|MIT|2026-11-21|7
#|models.dev|file|MIT|2026-11-21|2
provider|model|mode|context|output|modalities|capabilities|rejects|prices|since|retires|source
anthropic|house-small|chat||||||input=0.25 output=1.25 write=0.3 write_1h=0.5|||litellm
dashscope|house-steps|chat||||||input=0.05 output=0.4 >256000 input=0.25 output=2|||litellm
deepseek|house-night|chat||||||input=2 output=4 | off_peak@12:0-1,10-24 input=1 output=2|||litellm
ollama|house-local|chat|||||||||litellm
openai|house-free|chat||||-vision -pdf|temperature|input=0.5 output=1.5 cached=0.05|||models.dev
openai|house-large|chat|128000|16384|text,image>text|tools -vision reasoning -pdf|temperature top_p top_k|\
input=0.15 output=0.6 cached=0.075 >200000 input=0.3 output=1.2 | flex input=0.075 output=0.3 >200000|\
|2027-01-14|litellm
openai|house-vectors|embedding||||||input=0.02 output=0|||litellm
perplexity|house-online|chat||||||input=0 output=0.28 request=0.005|||litellm
"""  # fmt: skip


def made(out: Path, *sources: Path) -> str:
    """The table the script makes of the sources."""
    command = [sys.executable, str(SCRIPT), "--taken", "2026-11-21", "--out", str(out), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out.read_text("utf-8")


def test_known_files_give_the_known_table(tmp_path: Path) -> None:
    table = made(tmp_path / "models.tsv", FIXTURES / "model_prices.json", FIXTURES / "api.json")
    assert table.replace(" | ", " ¦ ").replace("\t", "|").replace(" ¦ ", " | ") == EXPECTED


def test_the_order_of_the_arguments_does_not_matter(tmp_path: Path) -> None:
    one = made(tmp_path / "one.tsv", FIXTURES / "model_prices.json", FIXTURES / "api.json")
    other = made(tmp_path / "other.tsv", FIXTURES / "api.json", FIXTURES / "model_prices.json")
    assert one == other


def test_a_file_of_nobody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": {"b": 1}}')
    with pytest.raises(AssertionError, match="none of the known sources"):
        made(tmp_path / "out.tsv", tmp_path / "x.json")
