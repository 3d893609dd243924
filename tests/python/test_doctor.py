"""The doctor: what it finds, what it says, and that no key is ever in it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme
from fairlead import cli
from fairlead.doctor import keys, network
from fairlead.doctor.examine import examine
from fairlead.doctor.report import Report
from fairlead.testing import Reply, Request, Upstream, fail, ok

SECRET = "sk-proj-0123456789abcdef"
PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_MODEL", "_PROXY", "_proxy")) or name.startswith(
            "FAIRLEAD"
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def written(up: Upstream, *more: str, provider: str = "openai", model: str = "m") -> str:
    lines = (f'provider = "{provider}"', f'model = "{model}"', f'base_url = "{up.base_url}"')
    text = "\n".join(("[[models.smart.deployments]]", *lines, f'api_key = "{SECRET}"', *more))
    Path("c.toml").write_text(text, encoding="utf-8")
    Path("c.toml").chmod(0o600)
    return "c.toml"


def found(report: Report) -> list[tuple[str, str]]:
    return [(check.subject, check.detail) for check in report.findings]


def outcomes(report: Report, subject: str) -> list[tuple[str, str]]:
    return [(check.outcome, check.detail) for check in report.checks if check.subject == subject]


# ===== the command =====


def test_offline_all_is_well_without_any_key() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fairlead", "doctor", "--offline", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["findings"]) == (0, True, 0)
    assert [check for check in told["checks"] if check["outcome"] == "fine" and check["advice"]] == []
    subjects = {check["subject"] for check in told["checks"]}
    assert subjects >= {"configuration", "dns", "connect", "answer", "key", "credits", "ping"}


def test_offline_looks_at_the_keys_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f'"{SECRET}"')
    monkeypatch.setenv("GROQ_API_KEY", "gsk_0123456789abcdef")
    report = examine(offline=True)
    assert found(report) == [("key", "OPENAI_API_KEY is in quotation marks")]
    assert ("fine", "GROQ_API_KEY is set, 20 characters") in outcomes(report, "key")
    assert cli.main(["doctor", "--offline"]) == 1
    lines = ["[[models.m.deployments]]", 'provider = "groq"', 'model = "m"']
    Path("c.toml").write_text("\n".join(lines), encoding="utf-8")
    assert examine("c.toml", offline=True).is_well, "a key that nothing here uses is nobody's business"


def test_offline_takes_a_configuration_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text(
        """
[models."gpt-4.1 x"]
[[models."gpt-4.1 x".deployments]]
provider = "openai"
model = "gpt-5"
[[models."gpt-4.1 x".deployments]]
provider = "openrouter"
id = "far"
model = "openai/gpt-5"
[models]
quick = "far"
""",
        encoding="utf-8",
    )
    assert cli.main(["doctor", "--offline", "-c", "c.toml"]) == 0
    out = capsys.readouterr().out
    assert "openai/gpt-5\n" in out
    assert "\nfar\n" in out
    assert out.count("ping") == 2


def test_a_finding_is_status_1_and_wrong_use_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 1
    assert "no provider has a key" in capsys.readouterr().out
    for wrong in (["--timeout", "-1"], ["--timeout", "soon"], ["--timeout", "nan"], ["--nothing"], ["file"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["doctor", *wrong])
        assert ended.value.code == 2
        expected = f"expected a number above 0: {wrong[1]}" if wrong[0] == "--timeout" else wrong[0]
        assert expected in capsys.readouterr().err


def test_a_broken_configuration_is_told_with_all_its_faults(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text('default_model = 1\nunknown = 2\n[models.m]\nalias = "x"', encoding="utf-8")
    assert cli.main(["doctor", "-c", "c.toml"]) == 1
    out = capsys.readouterr().out
    assert out.count("WRONG configuration c.toml:") >= 2
    assert cli.main(["doctor", "-c", "gone.toml"]) == 1
    assert [subject for subject, _ in found(examine("gone.toml"))] == ["configuration"]


# ===== what is found =====


def test_a_service_that_is_well(up: Upstream) -> None:
    up.reply = ok(models=["m", "n"], headers={"date": formatdate(usegmt=True)})
    report = examine(written(up))
    assert report.is_well, found(report)
    assert {check.subject for check in report.checks} == {
        "configuration",
        "dns",
        "connect",
        "answer",
        "clock",
        "models",
    }
    answer = next(check for check in report.checks if check.subject == "answer")
    assert answer.seconds is not None
    assert up.requests[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("answer", "subject", "words"),
    [
        (fail(401, f"Incorrect API key provided: {SECRET}"), "key", "the key is refused"),
        (fail(403, "this key may not list models"), "key", "the key may not do that"),
        (fail(402, "Insufficient credits", code="402"), "credits", "nothing is left"),
        (fail(429), "answer", "the service asks to wait"),
        (fail(500), "answer", "scripted failure 500"),
    ],
)
def test_what_the_service_refuses_is_told_by_its_meaning(
    answer: Any, subject: str, words: str, up: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    up.reply = answer
    config = written(up)
    report = examine(config)
    assert [(one, words in detail) for one, detail in found(report) if one == subject] == [(subject, True)]
    assert all(check.advice for check in report.findings)
    assert SECRET not in json.dumps(report.as_json())
    assert cli.main(["doctor", "-c", config]) == 1
    assert "->" in capsys.readouterr().out


def test_keys_that_are_refused_before_another_is_taken_are_counted(up: Upstream) -> None:
    up.script = [fail(401), ok()]
    config = written(up)
    text = Path(config).read_text(encoding="utf-8").replace(f'"{SECRET}"', f'["{SECRET}", "another-key"]')
    Path(config).write_text(text, encoding="utf-8")
    assert found(examine(config)) == [("key", "1 keys are refused before one is taken")]


def test_models_that_are_not_listed_are_noted_with_the_nearest(up: Upstream) -> None:
    up.reply = ok(models=["anthropic/claude-haiku", "m2"])
    report = examine(written(up, model="claude-haiku:beta@aws"))
    assert report.is_well
    report = examine(written(up, model="claude-haiku"))
    notes = [(check.detail, check.advice) for check in report.checks if check.subject == "models"]
    assert notes == [("`claude-haiku` is not listed", "did you mean `anthropic/claude-haiku`?")]


@pytest.mark.parametrize(("seconds", "words"), [(-3600, "s ahead"), (3600, "s behind")])
def test_a_clock_that_is_wrong_is_found(seconds: int, words: str, up: Upstream) -> None:
    up.reply = ok(models=["m"], headers={"date": formatdate(time.time() + seconds, usegmt=True)})
    (finding,) = examine(written(up)).findings
    assert (finding.subject, words in finding.detail) == ("clock", True)


def test_a_service_without_a_list_of_models_is_no_finding(up: Upstream) -> None:
    up.reply = fail(404, "no such path", code="not_found")
    report = examine(written(up))
    assert report.is_well
    assert outcomes(report, "answer")[0][0] == "note"


def test_a_name_that_does_not_resolve_and_a_port_that_is_closed(up: Upstream) -> None:
    config = written(up)
    text = Path(config).read_text(encoding="utf-8")
    Path(config).write_text(text.replace(up.base_url, "http://nowhere.invalid/v1"), encoding="utf-8")
    assert [subject for subject, _ in found(examine(config))] == ["dns"]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    Path(config).write_text(text.replace(up.base_url, f"http://127.0.0.1:{port}/v1"), encoding="utf-8")
    assert [subject for subject, _ in found(examine(config))] == ["connect"]
    assert up.requests == []


def test_a_service_that_never_answers_is_told_in_time(up: Upstream) -> None:
    from fairlead.testing import hang

    up.reply = hang()
    began = time.monotonic()
    assert [subject for subject, _ in found(examine(written(up), timeout=0.3))] == ["answer"]
    assert time.monotonic() - began < 5


def test_only_a_ping_costs_anything(up: Upstream) -> None:
    up.reply = ok(models=["m"])
    config = written(up)
    examine(config)
    assert {request.method for request in up.requests} == {"GET"}
    examine(config, ping=True)
    (asked,) = [request for request in up.requests if request.method == "POST"]
    assert asked.json()["max_tokens"] == 1


def test_each_provider_with_a_key_is_looked_at(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "GROQ"):
        monkeypatch.setenv(f"{name}_API_KEY", "gsk_1" if name == "GROQ" else "sk-1")
        monkeypatch.setenv(f"{name}_BASE_URL", up.url(name.lower()))
    report = examine()
    assert report.is_well, found(report)
    assert {check.place for check in report.checks} == {"", "openai", "groq"}
    assert {request.path for request in up.requests} == {"/openai/v1/models", "/groq/v1/models"}


# ===== OpenRouter =====


def account(key: Any, credits_: Any) -> Any:
    def answer(request: Request) -> Any:
        if request.path.endswith("/key"):
            return key
        return credits_ if request.path.endswith("/credits") else ok(models=["m"])

    return answer


def told(up: Upstream, key: Any, credits_: Any) -> Report:
    up.reply = account(key, credits_)
    return examine(written(up, provider="openrouter"))


def test_credits_and_limits_are_told(up: Upstream) -> None:
    key = Reply(body={"data": {"limit_remaining": 0.0, "is_free_tier": True}})
    plenty = Reply(body={"data": {"total_credits": 30, "total_usage": 12.5}})
    report = told(up, key, plenty)
    assert found(report) == [("credits", "$0.00 left of the key's limit")]
    assert ("fine", "$17.50 left of the account's credits") in outcomes(report, "credits")
    assert ("note", "is taken, free tier: 50 calls a day of free models") in outcomes(report, "key")
    unbounded = Reply(body={"data": {"limit_remaining": None}})
    little = Reply(body={"data": {"total_credits": 10, "total_usage": 9.5}})
    report = told(up, unbounded, little)
    assert report.is_well
    assert outcomes(report, "credits") == [("note", "$0.50 left of the account's credits")]
    report = told(up, unbounded, fail(403))
    assert report.is_well
    assert outcomes(report, "credits") == [("note", "this key may not see the account's credits")]


def test_a_key_that_openrouter_refuses_is_found_although_it_lists_models(up: Upstream) -> None:
    assert [subject for subject, _ in found(told(up, fail(401, "No auth credentials found"), ok()))] == [
        "key"
    ]


@pytest.mark.parametrize("body", [b"[]", b"no json", b'{"data": 7}', b'{"data": {"limit_remaining": "x"}}'])
def test_an_account_that_makes_no_sense_is_no_crash(body: bytes, up: Upstream) -> None:
    report = told(up, Reply(body=body), Reply(body=body))
    assert [subject for subject, _ in found(report)] in ([], ["key"])


# ===== certificates =====


def secured(days: float) -> tuple[ssl.SSLContext, trustme.CA]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=days)).configure_cert(
        context
    )
    return context, authority


@pytest.mark.parametrize(("days", "expected"), [(100, []), (5, ["tls"])])
def test_a_certificate_that_ends_soon_is_found(
    days: float, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = secured(days)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    # What the system trusts, for Python's own TLS.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Upstream(tls=context) as up:
        up.reply = ok(models=["m"])
        report = examine(written(up, 'ca = "ca.pem"'))
    assert [subject for subject, _ in found(report)] == expected
    assert "certificate until" in " ".join(detail for _, detail in outcomes(report, "tls"))


def test_an_authority_that_nobody_knows_is_found(tmp_path: Path) -> None:
    context, authority = secured(100)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Upstream(tls=context) as up:
        up.reply = ok(models=["m"])
        report = examine(written(up))
        assert [subject for subject, _ in found(report)] == ["tls"]
        assert outcomes(report, "tls")[0][0] == "note"
        # With the authority in the configuration the service is reached; that the system's differ is a note.
        assert examine(written(up, 'ca = "ca.pem"')).is_well


def test_a_key_in_the_clear_is_found_beyond_this_network(
    up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_is_near", lambda host: False)
    up.reply = ok(models=["m"])
    assert found(examine(written(up))) == [("tls", "the key goes over the network in the clear")]


def test_proxies_of_the_environment_are_noted(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hush@proxy:3128")
    up.reply = ok(models=["m"])
    report = examine(written(up))
    assert report.is_well
    assert outcomes(report, "proxy") == [("note", "HTTPS_PROXY is set; fairlead does not read it")]
    assert "hush" not in json.dumps(report.as_json())


# ===== keys =====


@pytest.mark.parametrize(
    ("provider", "key", "fault"),
    [
        ("openai", "sk-proj-abcdef", None),
        ("openrouter", "sk-or-v1-abcdef", None),
        ("anthropic", "sk-ant-abcdef", None),
        ("groq", "gsk_abcdef", None),
        ("mistral", "abcdef", None),
        ("openai", " sk-abcdef", "white space"),
        ("openai", "sk-abcdef\n", "white space"),
        ("openai", '"sk-abcdef"', "quotation marks"),
        ("openai", "Bearer sk-abcdef", "`Bearer`"),
        ("openai", "sk-your-key-here", "placeholder"),
        ("openai", "sk-xxxxxxxx", "placeholder"),
        ("openai", "sk-or-v1-abcdef", "looks like a key of openrouter"),
        ("openrouter", "sk-proj-abcdef", "looks like a key of openai"),
        ("anthropic", "abcdef", "does not begin with `sk-ant-`"),
        ("openai", "sk-ab cd", "characters that no key has"),
        ("openai", "sk-äöü", "characters that no key has"),
    ],
)
def test_the_shape_of_a_key(provider: str, key: str, fault: str | None) -> None:
    told = keys.fault_of(provider, key)
    assert told is None if fault is None else told is not None and fault in told


def test_variables_are_those_that_the_presets_read() -> None:
    page = (PROJECT / "docs" / "providers.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| `")}
    for provider, names in keys.VARIABLES.items():
        assert [name for name in names if f"`{name}`" not in rows[f"`{provider}`"]] == []


def test_faulty_keys_are_found_and_not_shown(monkeypatch: pytest.MonkeyPatch, up: Upstream) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f'"{SECRET}"')
    monkeypatch.setenv("OPENAI_BASE_URL", up.base_url)
    report = examine()
    assert ("key", "OPENAI_API_KEY is in quotation marks") in found(report)
    assert SECRET not in json.dumps(report.as_json())


def test_the_environment_is_left_as_it_was(up: Upstream) -> None:
    before = dict(os.environ)
    examine(written(up), offline=True)
    assert dict(os.environ) == before
