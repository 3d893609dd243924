"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead import cli

CONFIG = """
default_model = "plain"
[models]
quick = "plain"
[[models.plain.deployments]]
provider = "ollama"
model = "m"
[[models.vision.deployments]]
id = "eyes"
provider = "groq"
model = "v"
api_key = "hush-hush-hush"
supports = {vision = true}
[[models.vision.deployments]]
provider = "ollama"
model = "blind"
supports = {vision = false, tools = false}
[[rules]]
name = "hurry"
when = "metadata.fast == 'yes' || headers['x-team'] == 'web' || user == 'root'"
model = "vision"
[[rules]]
name = "hopeless"
when = "1 == 2"
model = "vision"
weight = 2
"""

FOREIGN = """
model_list:
  - {model_name: a, litellm_params: {model: ollama/m, made_up: 1}}
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FAIRLEAD_CONFIG", "FAIRLEAD_ENV", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(CONFIG, encoding="utf-8")
    Path("foreign.yaml").write_text(FOREIGN, encoding="utf-8")


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = cli.main(argv)
    out = capsys.readouterr()
    assert "hush" not in out.out + out.err
    return status, out.out, out.err


def loaded(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    status, out, _ = told(capsys, *argv)
    return status, json.loads(out)


def test_a_route_tells_rule_and_candidates_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, "route", "-c", "c.toml", "--metadata", "fast=yes", "hi")
    assert status == 0
    assert [line.split()[:2] for line in out.splitlines()[:2]] == [["model", "vision"], ["rule", "hurry"]]
    assert out.index("1.  eyes") < out.index("2.  ollama/blind")


@pytest.mark.parametrize("more", [("--metadata", "fast=yes"), ("--header", "X-Team=web"), ("--user", "root")])
def test_whatever_rules_read_can_be_said(more: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert loaded(capsys, "route", "-c", "c.toml", "--json", *more, "hi")[1]["rule"] == "hurry"
    assert loaded(capsys, "route", "-c", "c.toml", "--json", "hi")[1]["rule"] is None


def test_several_configurations_are_laid_over_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    over = tmp_path / "over.toml"
    over.write_text('default_model = "vision"', encoding="utf-8")
    assert loaded(capsys, "route", "-c", "c.toml", "--json", "hi")[1]["model"] == "plain"
    laid = loaded(capsys, "route", "-c", "c.toml", "-c", str(over), "--json", "hi")
    assert laid[1]["model"] == "vision"


def test_a_route_as_json_is_the_route_of_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    status, found = loaded(capsys, "route", "-c", "c.toml", "--model", "quick", "--json", "hi")
    with fairlead.Client("c.toml") as client:
        assert (status, found) == (0, client.route("hi", model="quick").model_dump())


def test_who_is_not_asked_is_told_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    places = "".join(
        f'[[models.m.deployments]]\nprovider = "ollama"\nmodel = "{place}"\nregion = "{place}-1"\n'
        for place in ("eu", "us")
    )
    Path("p.toml").write_text(places + '[tenants.acme]\nregions = ["eu-*"]\n', encoding="utf-8")
    status, out, _ = told(capsys, "route", "-c", "p.toml", "--tenant", "acme", "--model", "m", "hi")
    assert status == 0
    asked, not_asked = out.split("not asked")
    assert "ollama/eu" in asked
    assert "ollama/us" in not_asked
    assert "region" in not_asked


def test_a_call_that_cannot_go_anywhere_is_an_error_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = told(capsys, "route", "-c", "c.toml", "--model", "plian", "hi")
    assert (status, out) == (1, "")
    assert "plain" in err
    assert "Traceback" not in err


def test_check_tells_what_would_happen(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "check", "c.toml")
    assert status == 0
    for part in (
        "c.toml: fine",
        "hurry",
        "never: it never holds",
        "says nothing: plain (rule -",
        "chat",
        "batch",
    ):
        assert part in out, out
    assert "warning: c.toml:" in err


def test_check_tells_everything_that_is_wrong_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.toml").write_text("[retry]\nmax_retris = 1\ncap = 'x'\n[models.m]\n", encoding="utf-8")
    status, out, err = told(capsys, "check", "--each", "bad.toml", "c.toml")
    assert status == 1
    assert "bad.toml:2:1: `retry.max_retris`: unknown key; did you mean `max_retries`?" in err
    assert "bad.toml:3:7" in err
    assert "c.toml: fine" in out
    status, reports = loaded(capsys, "check", "--json", "--each", "bad.toml", "c.toml")
    assert (status, [report["ok"] for report in reports]) == (1, [False, True])
    assert {problem["line"] for problem in reports[0]["problems"]} >= {2, 3}
    assert {rule["name"]: rule["never"] for rule in reports[1]["rules"]} == {
        "hopeless": "it never holds",
        "hurry": None,
    }


def test_several_files_are_one_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    Path("over.toml").write_text('default_model = "vision"\n', encoding="utf-8")
    assert told(capsys, "check", "--each", "c.toml", "over.toml")[1].count(": fine") == 2
    status, out, _ = told(capsys, "check", "c.toml", "over.toml")
    assert status == 0
    assert "c.toml, over.toml: fine" in out
    assert "says nothing: vision" in out


def test_without_a_file_what_a_client_finds_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "check")
    assert (status, out) == (1, "")
    assert "no configuration was found" in err
    Path("fairlead.toml").write_text(CONFIG, encoding="utf-8")
    status, out, _ = told(capsys, "check")
    assert (status, out.split(": fine")[0]) == (0, "fairlead.toml")


def test_a_tenants_rules_stand_under_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    own = '[[tenants.acme.rules]]\nname = "theirs"\nwhen = "true"\nmodel = "plain"\n'
    Path("t.toml").write_text(CONFIG + own, encoding="utf-8")
    _, out, _ = told(capsys, "check", "t.toml")
    general, of_acme = out.split("rules of tenant acme")
    assert "theirs" in of_acme
    assert "theirs" not in general
    _, (report,) = loaded(capsys, "check", "--json", "t.toml")
    assert [rule["name"] for rule in report["rules"]] == ["hopeless", "hurry"]
    assert [rule["name"] for rule in report["tenants"]["acme"]["rules"]] == ["theirs"]


@pytest.mark.parametrize(
    ("policy", "is_told"),
    [
        ('default_model = "vision"\nallow = ["plain"]', True),
        ('deny = ["plain"]', True),
        ('default_model = "quick"\nallow = ["plain"]', False),
        ('regions = ["eu-*"]', True),
        ('default_model = "vision"\ndeny = ["plain"]', False),
    ],
)
def test_a_default_model_that_a_tenant_may_not_use_is_told(
    policy: str, is_told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.toml").write_text(f"{CONFIG}[tenants.acme]\n{policy}\n", encoding="utf-8")
    status, _, err = told(capsys, "check", "t.toml")
    assert (status, "none that the tenant may use" in err) == (0, is_told), err


def test_show_prints_what_is_understood_without_keys(capsys: pytest.CaptureFixture[str]) -> None:
    status, shown = loaded(capsys, "config", "show", "-c", "c.toml")
    assert status == 0
    assert shown["models"]["vision"]["deployments"][0]["api_key"] == "***"


def test_the_schema_is_that_of_the_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    status, schema = loaded(capsys, "config", "schema")
    shipped = Path(fairlead.__file__).with_name("fairlead.schema.json").read_text(encoding="utf-8")
    assert (status, schema) == (0, json.loads(shipped))


def test_an_imported_file_means_the_same_and_names_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ours.toml").touch(mode=0o644)
    status, out, err = told(capsys, "config", "import", "foreign.yaml", "-o", "ours.toml", "--force")
    assert (status, out) == (0, "")
    assert "made_up" in err
    assert "# - foreign.yaml:3:" in Path("ours.toml").read_text(encoding="utf-8")
    assert os.name == "nt" or Path("ours.toml").stat().st_mode & 0o077 == 0
    routes = []
    for file in ("foreign.yaml", "ours.toml"):
        with fairlead.Client(file) as client:
            routes.append(client.route("hi", model="a").model_dump())
    assert routes[0] == routes[1]
    assert told(capsys, "config", "import", "foreign.yaml")[1] == Path("ours.toml").read_text(
        encoding="utf-8"
    )
    status, _, err = told(capsys, "config", "import", "c.toml")
    assert (status, "fairlead check" in err) == (1, True)


def test_an_import_overwrites_nothing_unless_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("c.toml").read_text(encoding="utf-8")
    status, _, err = told(capsys, "config", "import", "foreign.yaml", "-o", "c.toml")
    assert (status, "--force" in err) == (1, True)
    assert Path("c.toml").read_text(encoding="utf-8") == before
    assert told(capsys, "config", "import", "foreign.yaml", "-o", "c.toml", "--force")[0] == 0
    assert "foreign.yaml" in Path("c.toml").read_text(encoding="utf-8")


def test_an_import_says_where_it_writes_keys_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert "keys are written" not in told(capsys, "config", "import", "foreign.yaml", "-o", "a.toml")[2]
    keys = FOREIGN.replace("made_up: 1", "api_key: hush-hush-hush")
    keys += "  - {model_name: b, litellm_params: {model: groq/m, api_key: os.environ/SOME_KEY}}\n"
    Path("keys.yaml").write_text(keys, encoding="utf-8")
    err = told(capsys, "config", "import", "keys.yaml", "-o", "b.toml")[2]
    assert "keys are written out at `models.a.deployments[0].api_key`;" in err


def test_the_catalogue_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, "models", "openai/gpt-4o-mini")
    assert status == 0
    assert "0.15 USD per million tokens" in out
    status, found = loaded(capsys, "models", "--json", "gpt-4o-mini")
    assert found["models"][0]["context_window"] == 128_000
    status, _, err = told(capsys, "models", "openai/gpt-4o-mni")
    assert (status, "did you mean" in err) == (1, True)


@pytest.mark.parametrize("argv", [[], ["nothing"], ["route", "--metadata", "x", "hi"]])
def test_wrong_use_ends_with_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_colour_is_for_terminals_and_for_who_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in told(capsys, "check", "c.toml")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in told(capsys, "check", "c.toml")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in told(capsys, "check", "c.toml")[1]


def test_the_module_and_the_script_are_the_same_command() -> None:
    script = Path(sys.executable).with_name("fairlead")
    for command in ([sys.executable, "-m", "fairlead"], [str(script)]):
        done = subprocess.run(
            [*command, "route", "-c", "c.toml", "-"], input="hi", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        assert "plain" in done.stdout
    version = subprocess.run([str(script), "--version"], capture_output=True, text=True, check=True).stdout
    assert version == f"fairlead {fairlead.__version__}\n"


def test_a_reader_that_leaves_early_is_no_error_to_shout_about() -> None:
    command = f"{sys.executable} -m fairlead config schema | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{", "")
