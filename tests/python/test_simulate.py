"""`fairlead simulate`: the page's own example, the same bytes for the same seed, faults told."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead import cli

PAGE = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
CONFIG = next(text for kind, text in BLOCKS if kind == "toml")
SCENARIO = next(text for kind, text in BLOCKS if "[[phases]]" in text)
CALLS = next(text for kind, text in BLOCKS if text.startswith('{"at"'))
POLICIES = ["bare", "sdk_retries", "written"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FAIRLEAD_CONFIG", "FAIRLEAD_ENV", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(CONFIG, encoding="utf-8")
    Path("s.toml").write_text(SCENARIO, encoding="utf-8")


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = cli.main(["simulate", *argv])
    out = capsys.readouterr()
    return status, out.out, out.err


def generate(capsys: pytest.CaptureFixture[str], *more: str) -> None:
    """Writes `t.jsonl`: 200 s, so that the first phase of illness is in it."""
    argv = ("--generate", "3", "--seconds", "200", "--model", "smart", "--input", "20", *more)
    status, out, err = told(capsys, *argv)
    assert (status, err) == (0, "")
    Path("t.jsonl").write_text(out, encoding="utf-8")


def simulated(capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    scenario = SCENARIO.split("[[phases]]")
    Path("first.toml").write_text("[[phases]]".join(scenario[:2]), encoding="utf-8")
    status, out, err = told(
        capsys, "-c", "c.toml", "--trace", "t.jsonl", "--scenario", "first.toml", "--json", *more
    )
    assert (status, err) == (0, "")
    return json.loads(out)


def test_a_trace_of_calls_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    generate(capsys)
    calls = [json.loads(line) for line in Path("t.jsonl").read_text(encoding="utf-8").splitlines()]
    assert 500 < len(calls) < 700
    assert [call["at"] for call in calls] == sorted(call["at"] for call in calls)
    assert {call["model"] for call in calls} == {"smart"}
    assert 0.3 < sum(call.get("stream", False) for call in calls) / len(calls) < 0.7


def test_the_configuration_is_compared_with_none(capsys: pytest.CaptureFixture[str]) -> None:
    generate(capsys)
    policies = simulated(capsys)["policies"]
    assert list(policies) == POLICIES
    bare, sdk, written = (policies[policy] for policy in POLICIES)
    assert bare["calls"] == sdk["calls"] == written["calls"]
    assert bare["success"] < 0.7, "80 of 200 seconds are an outage"
    assert bare["requests_per_call"] == 1
    assert sdk["requests_per_call"] > 1.5
    assert written["success"] == 1
    assert written["requests_per_call"] < 1.1
    assert written["while_ill"] < bare["while_ill"] / 5
    assert [upstream["name"] for upstream in written["upstreams"]] == ["first", "second"]
    assert sum(span["calls"] for span in written["spans"]) == written["calls"]


def test_the_same_seed_gives_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    generate(capsys)
    first = Path("t.jsonl").read_bytes()
    generate(capsys)
    assert Path("t.jsonl").read_bytes() == first
    runs = [simulated(capsys, "--seed", seed, "--plot", f"{name}.svg") for name, seed in ("a7", "b7", "c8")]
    assert runs[0] == runs[1] != runs[2]
    plots = [Path(f"{name}.svg").read_bytes() for name in "abc"]
    assert plots[0] == plots[1] != plots[2]
    generate(capsys, "--seed", "2")
    assert Path("t.jsonl").read_bytes() != first


def test_a_table_and_a_plot_tell_it_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    generate(capsys)
    argv = ("-c", "c.toml", "--trace", "t.jsonl", "--plot", "p.svg")
    status, out, err = told(capsys, *argv)
    assert (status, err) == (0, "")
    for part in (
        "no policy",
        "an SDK's 2 retries",
        "this configuration",
        "100.00 %",
        "first",
        "errors: none",
    ):
        assert part in out, out
    plot = ElementTree.parse("p.svg").getroot()
    namespace = "{http://www.w3.org/2000/svg}"
    assert plot.tag == f"{namespace}svg"
    lines = list(plot.iter(f"{namespace}polyline"))
    assert len(lines) >= 7
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert len(points) == 120
        width, height = float(plot.attrib["width"]), float(plot.attrib["height"])
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_the_calls_of_the_page_and_all_of_its_scenario_are_understood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("t.jsonl").write_text(CALLS, encoding="utf-8")
    status, out, err = told(capsys, "-c", "c.toml", "--trace", "t.jsonl", "--scenario", "s.toml")
    assert (status, err) == (0, ""), out


def test_no_key_is_needed_and_none_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    keys = 'api_key = ["${NO_SUCH_KEY}", "hush-hush-hush", {exec = ["false"]}]'
    text = CONFIG.replace('id = "first"', f'id = "first"\n{keys}\nheaders = {{x-team = "${{NO_TEAM}}"}}')
    Path("c.toml").write_text(text, encoding="utf-8")
    Path("t.jsonl").write_text(CALLS, encoding="utf-8")
    status, out, err = told(capsys, "-c", "c.toml", "--trace", "t.jsonl", "--json")
    assert status == 0, err
    assert "hush" not in out + err
    assert json.loads(out)["policies"]["written"]["success"] == 1


@pytest.mark.parametrize(
    ("trace", "scenario", "says"),
    [
        ('{"at": 1}\n{"at": "x"}', "", "line 2 of the trace"),
        ('{"at": 1}', "[[phases]]\nfault = 'sulks'", "sulks"),
        ('{"at": 1}', "[[phases]]\ndeployments = ['thrid']\nfault = 'hang'", "`phases[0]` meets nobody"),
        ('{"at": 1}', "[[phases]]\nfrom = 9\nto = 3", "`to`"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(
    trace: str, scenario: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.jsonl").write_text(trace, encoding="utf-8")
    Path("wrong.toml").write_text(scenario, encoding="utf-8")
    status, out, err = told(capsys, "-c", "c.toml", "--trace", "t.jsonl", "--scenario", "wrong.toml")
    assert (status, out) == (1, "")
    assert says in err


@pytest.mark.parametrize("nothing", ["", "\n \n"])
def test_a_trace_without_calls_is_told_by_its_file(nothing: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.jsonl").write_text(nothing, encoding="utf-8")
    status, out, err = told(capsys, "-c", "c.toml", "--trace", "t.jsonl", "--json")
    assert (status, out, err) == (1, "", "t.jsonl: no call is in it\n")


def test_errors_go_by_their_classes_and_what_answered_nothing_cost_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("t.jsonl").write_text('{"at": 1}\n{"at": 2}\n', encoding="utf-8")
    for fault, name in (("error", "InternalServerError"), ("throttled", "RateLimitError")):
        Path("ill.toml").write_text(f"[[phases]]\nfault = '{fault}'", encoding="utf-8")
        argv = ("-c", "c.toml", "--trace", "t.jsonl", "--scenario", "ill.toml")
        status, out, err = told(capsys, *argv)
        assert (status, err) == (0, "")
        assert f"errors: {name} 2" in out
        assert "-0" not in out
        _, out, _ = told(capsys, *argv, "--json")
        policies = json.loads(out)["policies"]
        assert [policies[policy]["errors"] for policy in POLICIES] == [{name: 2}] * 3
        assert all(hasattr(fairlead, error) for error in policies["written"]["errors"])


@pytest.mark.soak
def test_the_page_tells_what_its_example_prints(capsys: pytest.CaptureFixture[str]) -> None:
    _, trace, _ = told(capsys, "--generate", "20", "--seconds", "1200", "--model", "smart")
    Path("t.jsonl").write_text(trace, encoding="utf-8")
    _, out, _ = told(capsys, "-c", "c.toml", "--trace", "t.jsonl", "--scenario", "s.toml", "--plot", "p.svg")
    assert f"<!-- table -->\n```text\n{out}```\n" in PAGE
    chart = Path(__file__).parents[2] / "docs" / "simulate.svg"
    assert Path("p.svg").read_text(encoding="utf-8") == chart.read_text(encoding="utf-8")


def test_a_trace_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "-c", "c.toml")
    assert (status, out) == (1, "")
    assert "--generate" in err
