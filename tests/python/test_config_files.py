"""Where a configuration is looked for, what lies over what, and how all that is wrong with it is told."""

from __future__ import annotations

import json
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead import _core
from fairlead.testing import Upstream, fail

MESSAGES: Any = [{"role": "user", "content": "hi"}]
FORMATS = {
    "fairlead.toml": '[[models.m.deployments]]\nprovider = "openai"\nmodel = "up"\n'
    'base_url = "URL"\napi_key = "k"\n',
    "fairlead.yaml": "models:\n  m:\n    deployments:\n"
    "      - {provider: openai, model: up, base_url: 'URL', api_key: k}\n",
    "fairlead.jsonc": '{"models": {"m": {"deployments": [ // one\n'
    '{"provider": "openai", "model": "up", "base_url": "URL", "api_key": "k"},]}}}',
    "pyproject.toml": '[project]\nname = "x"\n[[tool.fairlead.models.m.deployments]]\n'
    'provider = "openai"\nmodel = "up"\nbase_url = "URL"\napi_key = "k"\n',
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and an environment that names no configuration."""
    for name in list(os.environ):
        if name.upper().startswith("FAIRLEAD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "own"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


def write(name: str, text: str, up: Upstream | None = None) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text.replace("URL", up.base_url if up else ""), encoding="utf-8")
    return name


def ask(client: fairlead.Client, model: str = "m") -> str:
    with client:
        return str(client.chat.completions.create(model=model, messages=MESSAGES).fairlead.deployment)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_any_format_serves(name: str, up: Upstream) -> None:
    write(name, FORMATS[name], up)
    assert ask(fairlead.Client(name)) == "openai/up"
    assert ask(fairlead.Client(Path(name))) == "openai/up"


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_nobody_named_is_found(name: str, up: Upstream) -> None:
    write(name, FORMATS[name], up)
    assert ask(fairlead.Client()) == "openai/up"


def test_the_first_place_that_has_a_configuration_wins(
    up: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def serves(model: str) -> str:
        return FORMATS["fairlead.toml"].replace('"up"', f'"{model}"')

    write(str(tmp_path / "own" / "fairlead" / "fairlead.toml"), serves("own"), up)
    assert ask(fairlead.Client()) == "openai/own"
    write("pyproject.toml", FORMATS["pyproject.toml"].replace('"up"', '"project"'), up)
    assert ask(fairlead.Client()) == "openai/project"
    write("fairlead.yaml", FORMATS["fairlead.yaml"].replace("up,", "yaml,"), up)
    assert ask(fairlead.Client()) == "openai/yaml"
    write("fairlead.toml", serves("toml"), up)
    assert ask(fairlead.Client()) == "openai/toml"
    monkeypatch.setenv("FAIRLEAD_CONFIG", write("elsewhere.toml", serves("named"), up))
    assert ask(fairlead.Client()) == "openai/named"
    assert ask(fairlead.Client(write("explicit.toml", serves("explicit"), up))) == "openai/explicit"


def test_a_client_that_is_told_where_to_call_looks_for_no_file(up: Upstream) -> None:
    write("fairlead.toml", "this is not TOML")
    assert ask(fairlead.Client(api_key="k", base_url=up.base_url)) == "openai/m"
    fairlead.Client({}).close()
    with pytest.raises(fairlead.ConfigError, match=r"fairlead\.toml"):
        fairlead.Client()


def test_without_any_file_a_client_needs_none(monkeypatch: pytest.MonkeyPatch, up: Upstream) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", up.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert ask(fairlead.Client(), "openai/x") == "openai/x"


def test_several_files_are_laid_over_one_another(monkeypatch: pytest.MonkeyPatch, up: Upstream) -> None:
    base = write("base.toml", FORMATS["fairlead.toml"] + "[retry]\nmax_retries = 5\ncap = 1\n", up)
    prod = write("prod.yaml", "retry: {max_retries: 0}\n")
    told = _core._load([base, prod])
    assert told["config"]["retry"] == {"max_retries": 0, "cap": 1}
    assert told["sources"] == [base, prod]
    monkeypatch.setenv("FAIRLEAD_CONFIG", os.pathsep.join([base, prod]))
    assert _core._load(None)["config"]["retry"]["max_retries"] == 0


def test_the_overlay_of_a_stage_is_laid_over_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("fairlead.toml", "[retry]\nmax_retries = 5\n")
    write("fairlead.prod.toml", "[retry]\nmax_retries = 1\n")
    assert _core._load("fairlead.toml")["config"]["retry"]["max_retries"] == 5
    monkeypatch.setenv("FAIRLEAD_ENV", "prod")
    assert _core._load("fairlead.toml")["config"]["retry"]["max_retries"] == 1
    monkeypatch.setenv("FAIRLEAD_ENV", "test")
    assert _core._load("fairlead.toml")["config"]["retry"]["max_retries"] == 5


def test_variables_override_single_keys(monkeypatch: pytest.MonkeyPatch, up: Upstream) -> None:
    monkeypatch.setenv("FAIRLEAD__RETRY__MAX_RETRIES", "0")
    monkeypatch.setenv("fairlead__models__m__deployments__0__model", "other")
    monkeypatch.setenv("FAIRLEAD__STAGES__HEALTH", "false")
    monkeypatch.setenv("FAIRLEAD__PROVIDERS__HOUSE", f'{{ base_url = "{up.base_url}" }}')
    path = write("fairlead.toml", FORMATS["fairlead.toml"], up)
    assert ask(fairlead.Client(path)) == "openai/other"
    with fairlead.Client(path) as client:
        up.script = [fail(500)] * 3
        with pytest.raises(fairlead.InternalServerError) as raised:
            client.chat.completions.create(model="m", messages=MESSAGES)
    assert len(raised.value.attempts) == 1


def test_a_wrong_override_is_told_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD__RETRY__MAX_RETRIES", "hush-1234567890")
    with pytest.raises(fairlead.ConfigError) as raised:
        fairlead.Client({})
    assert "FAIRLEAD__RETRY__MAX_RETRIES: `retry.max_retries`: expected an integer" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_problems_are_data_and_survive_pickling() -> None:
    path = write("fairlead.toml", "[retry]\nmax_retires = 1\ncap = 'x'\n[[rules]]\nname = 'r'\n")
    with pytest.raises(fairlead.ConfigError) as raised:
        fairlead.Client(path)
    problems = raised.value.problems
    assert [(problem.path, problem.line, problem.column) for problem in problems] == [
        ("retry.max_retires", 2, 1),
        ("retry.cap", 3, 7),
        ("rules[0].when", 4, 1),
        ("rules[0].model", 4, 1),
    ]
    assert problems[0].suggestion == "max_retries"
    assert {problem.file for problem in problems} == {path}
    assert str(problems[0]) in str(raised.value)
    assert pickle.loads(pickle.dumps(raised.value)).problems == problems


def test_all_missing_variables_are_told_at_once() -> None:
    config = {
        "providers": {
            "one": {"base_url": "http://x", "api_key": "${NOBODY_SETS_ONE}"},
            "two": {"base_url": "${NOBODY_SETS_TWO}"},
        }
    }
    with pytest.raises(fairlead.ConfigError) as raised:
        fairlead.Client(config)
    assert [problem.path for problem in raised.value.problems] == [
        "providers.one.api_key",
        "providers.two.base_url",
    ]


def test_all_keys_that_are_left_out_and_not_set_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GROQ_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    deployments = [{"provider": "groq", "model": "a"}, {"provider": "mistral", "model": "b"}]
    with pytest.raises(fairlead.ConfigError) as raised:
        fairlead.Client({"models": {"m": {"deployments": deployments}}})
    assert [problem.path for problem in raised.value.problems] == [
        "models.m.deployments[0]",
        "models.m.deployments[1]",
    ]
    assert "GROQ_API_KEY" in str(raised.value)
    assert "MISTRAL_API_KEY" in str(raised.value)


def test_a_secret_in_a_dict_is_sent_and_never_shown(up: Upstream) -> None:
    secret = fairlead.Secret("hush-1234567890")
    deployment = {"provider": "openai", "model": "up", "base_url": up.base_url, "api_key": secret}
    config = {"models": {"m": {"deployments": [deployment]}}}
    assert ask(fairlead.Client(config)) == "openai/up"
    assert up.requests[-1].headers["authorization"] == "Bearer hush-1234567890"
    assert "hush" not in json.dumps(_core._load(config))
    wrong = {"retry": {"max_retries": secret}, "default_model": secret, **config}
    with pytest.raises(fairlead.ConfigError) as raised:
        fairlead.Client(wrong)
    assert "hush" not in str(raised.value)
    assert len(raised.value.problems) == 2


def test_what_is_shown_of_a_configuration_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hush-1")
    path = write(
        "fairlead.yaml",
        "providers:\n  x:\n    base_url: http://me:hush-2@host/v1\n"
        "    api_key: [hush-3, {env: SHOWN, id: SHOWN}]\n"
        "    headers: {x-team: hush-4}\n    ca: ${SOME_KEY}\n"
        "tenants: {acme: {api_keys: {x: hush-5}}}\n",
    )
    told = json.dumps(_core._load(path))
    assert "hush" not in told
    assert told.count("SHOWN") == 2


@pytest.mark.parametrize("value", [object(), 2**70, {1: 2}, {"a": {2}}])
def test_what_cannot_stand_in_a_configuration_is_told(value: Any) -> None:
    with pytest.raises(fairlead.ConfigError):
        fairlead.Client({"default_model": value})


def test_a_dict_that_holds_itself_is_refused() -> None:
    config: dict[str, Any] = {}
    config["models"] = config
    with pytest.raises(fairlead.ConfigError, match="nested"):
        fairlead.Client(config)


def test_paths_may_stand_where_text_is_wanted(up: Upstream, tmp_path: Path) -> None:
    config = {"providers": {"x": {"base_url": up.base_url, "ca": tmp_path / "gone.pem"}}}
    assert _core._load(config)["config"]["providers"]["x"]["ca"] == str(tmp_path / "gone.pem")


def test_warnings_are_logged_when_a_client_is_made(caplog: pytest.LogCaptureFixture) -> None:
    path = write("fairlead.toml", "[profiles.night]\ntotal = 5\n")
    with caplog.at_level(logging.WARNING, "fairlead"):
        fairlead.Client(path).close()
    assert [record.message for record in caplog.records] == [
        f"configuration: {path}:1:1: `profiles.night`: nothing uses this profile"
    ]


def test_the_schema_is_in_the_package() -> None:
    path = Path(fairlead.__file__).with_name("fairlead.schema.json")
    assert json.loads(path.read_text(encoding="utf-8")) == _core._schema()


def test_a_callable_takes_its_place_by_position() -> None:
    def fast(call: Any) -> bool:
        return True

    config = {
        "models": {"m": {"deployments": [{"provider": "ollama", "model": "x"}]}},
        "rules": [{"name": "r", "when": fast, "model": "m"}],
    }
    told = _core._load(config)["config"]
    assert told["rules"][0]["when"] == {"callable": 0}
    with fairlead.Client(config) as client:
        assert client._engine.callables() == [fast]
