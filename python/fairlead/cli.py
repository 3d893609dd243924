"""The command line: `fairlead`, or `python -m fairlead`.

Exit status: 0 fine, 1 something is wrong with what was asked about, 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import stat
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from . import _core
from ._core import __version__
from .errors import ConfigError, FairleadError, PermissionDeniedError, Problem
from .hooks import LOGGER

FINE, WRONG = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    given = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = given.run
    # Warnings of a configuration are printed, not logged.
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        return run(given)
    except ConfigError as error:
        for line in _lines(error):
            _complain(line)
    except BrokenPipeError:
        # Whoever read has gone; nor may the interpreter's own flush at exit complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (FairleadError, OSError) as error:
        _complain(str(error))
    finally:
        logger.setLevel(level)
    return WRONG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead", description="Lead calls to language models.")
    parser.add_argument("--version", action="version", version=f"fairlead {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    route = commands.add_parser("route", help="where a call would go and why; nothing is sent")
    route.add_argument("text", nargs="?", default="", help="the prompt; - reads it from standard input")
    _config(route)
    route.add_argument("--model", help="as the call would name it; default: rules and defaults decide")
    route.add_argument("--metadata", metavar="NAME=VALUE", type=_pair, action="append", default=[])
    route.add_argument("--header", metavar="NAME=VALUE", type=_pair, action="append", default=[])
    for name in ("user", "tenant", "session", "profile"):
        route.add_argument(f"--{name}")
    _json(route, _route)

    check = commands.add_parser("check", help="all that is wrong with a configuration, and what it would do")
    check.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="later ones lie over earlier; default: what a client without arguments finds",
    )
    check.add_argument("--each", action="store_true", help="every FILE is a configuration of its own")
    _json(check, _check)

    config = commands.add_parser("config", help="schema, show, import")
    verbs = config.add_subparsers(title="verbs", required=True, metavar="VERB")
    verbs.add_parser("schema", help="print the JSON Schema of a configuration").set_defaults(run=_schema)
    show = verbs.add_parser("show", help="print a configuration as it is understood, without its keys")
    _config(show)
    show.set_defaults(run=_show)
    importing = verbs.add_parser("import", help="turn another router's configuration into TOML of ours")
    importing.add_argument("file", metavar="FILE")
    importing.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    importing.add_argument("--force", action="store_true", help="overwrite the output where it exists")
    importing.set_defaults(run=_import)

    doctor = commands.add_parser("doctor", help="what is wrong between here and the models")
    _config(doctor)
    doctor.add_argument("--offline", action="store_true", help="ask a local upstream, not the services")
    doctor.add_argument("--ping", action="store_true", help="ask each deployment for one token too")
    doctor.add_argument(
        "--timeout", type=_above_nothing, default=10.0, metavar="S", help="seconds for each step; default: 10"
    )
    _json(doctor, _doctor)

    models = commands.add_parser("models", help="what the catalogue knows of a model")
    models.add_argument("name", metavar="MODEL", help="provider/model, or a model at any provider")
    _json(models, _models)

    simulate = commands.add_parser(
        "simulate",
        help="what would have become of the calls of a trace; nothing is sent",
        description="Run a trace through the engine in virtual time, over simulated upstreams.",
    )
    _config(simulate)
    simulate.add_argument(
        "--trace", metavar="FILE", help="the calls, one JSON object a line; - reads standard input"
    )
    simulate.add_argument(
        "--scenario", metavar="FILE", help="TOML: how the upstreams behave; default: all are well"
    )
    simulate.add_argument("--seed", type=int, default=1, help="the same seed gives the same run; default: 1")
    simulate.add_argument("--plot", metavar="FILE", help="write what happened over time as SVG")
    simulate.add_argument(
        "--generate",
        metavar="RATE",
        type=_above_nothing,
        help="print a trace of so many calls a second (a Poisson process) instead",
    )
    simulate.add_argument("--seconds", type=_above_nothing, default=600.0, help="of that trace; default: 600")
    simulate.add_argument("--model", help="of its calls; default: left to rules and defaults")
    simulate.add_argument("--streams", type=float, default=0.5, help="the share that streams; default: 0.5")
    simulate.add_argument(
        "--input", type=_above_nothing, default=400.0, help="median prompt, in tokens; default: 400"
    )
    simulate.add_argument(
        "--output", type=_above_nothing, default=250.0, help="median answer, in tokens; default: 250"
    )
    _json(simulate, _simulate)
    return parser


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        action="append",
        help="again: laid over the one before; default: what a client without arguments finds",
    )


def _json(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE: {text!r}")
    return name, value


def _above_nothing(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0: {text}")
    return number


# ===== route =====


def _route(given: argparse.Namespace) -> int:
    from .client import Client

    text = sys.stdin.read() if given.text == "-" else given.text
    names = ("user", "tenant", "session", "profile")
    ours = {name: value for name in names if (value := getattr(given, name)) is not None}
    with Client(given.config) as client:
        found = client.route(
            text, model=given.model, metadata=dict(given.metadata), extra_headers=dict(given.header), **ours
        )
    if given.json:
        _say(json.dumps(found.model_dump(), ensure_ascii=False, indent=2))
        return FINE
    _say(f"{_bold('model')}  {found.model}")
    _say(f"{_bold('rule')}   {found.rule or '-'}  ({found.why})")
    _say(_bold("asked, in this order"))
    asked = [(f"{place}.", one.deployment, one.model, one.role, one.reason) for place, one in _counted(found)]
    _table(asked)
    if found.rejected:
        _say(_bold("not asked"))
        _table([("", one.deployment, one.model, one.reason) for one in found.rejected])
    for note in found.notes or ():
        _say(f"note: {note}")
    return FINE


def _counted(found: Any) -> Iterable[tuple[int, Any]]:
    return enumerate(found.candidates, 1)


# ===== check =====


def _check(given: argparse.Namespace) -> int:
    configurations = [[file] for file in given.files] if given.each else [given.files]
    reports = [_report(files) for files in configurations if files or not given.each]
    if given.json:
        _say(json.dumps(reports, ensure_ascii=False, indent=2))
    else:
        for report in reports:
            _tell(report)
    return FINE if all(report["ok"] for report in reports) else WRONG


def _report(files: list[str]) -> dict[str, Any]:
    """All that can be said of one configuration: of `files`, or of what is found where none is named."""
    from .client import Client

    config = files or None
    report: dict[str, Any] = {"file": ", ".join(files), "ok": False, "problems": [], "warnings": []}
    try:
        loaded = _core._load(config)
        report["sources"] = loaded["sources"]
        report["file"] = ", ".join(files or loaded["sources"])
        if not report["file"]:
            report["problems"] = [_problem("no configuration was found; name a FILE")]
            return report
        report["warnings"] = loaded["warnings"]
        with Client(config) as client:
            report["empty_call"] = _outcome(client)
            report["warnings"] += _shut_out(client, loaded["config"])
    except ConfigError as error:
        report["problems"] = [problem._asdict() for problem in error.problems] or [_problem(str(error))]
        return report
    hopeless = {warning["path"]: warning["message"] for warning in loaded["warnings"]}
    found = loaded["config"]
    report["rules"] = list(_dry_run("rules", found.get("rules") or [], hopeless))
    report["tenants"] = {
        tenant: {"rules": list(_dry_run(f"tenants.{tenant}.rules", own.get("rules") or [], hopeless))}
        for tenant, own in (found.get("tenants") or {}).items()
    }
    report["profiles"] = _core._profiles(config)
    report["models"] = sorted(found.get("models") or {})
    report["ok"] = True
    return report


def _shut_out(client: Any, config: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Tenants whose default model is none that they may use."""
    for tenant, own in (config.get("tenants") or {}).items():
        default = own.get("default_model") or config.get("default_model")
        if default is None:
            continue
        try:
            client.route("", tenant=tenant, model=default)
        except PermissionDeniedError:
            path = f"tenants.{tenant}" + (".default_model" if own.get("default_model") else "")
            message = f"the default model `{default}` is none that the tenant may use"
            yield Problem(path, message)._asdict()
        except FairleadError:
            pass


def _problem(message: str) -> dict[str, Any]:
    return Problem("", message)._asdict()


def _outcome(client: Any) -> dict[str, Any]:
    """Where a call goes that says nothing."""
    try:
        found = client.route("")
    except FairleadError as error:
        return {"error": str(error)}
    return {"model": found.model, "rule": found.rule, "why": found.why}


def _dry_run(path: str, rules: list[dict[str, Any]], hopeless: dict[str, str]) -> Iterable[dict[str, Any]]:
    """Every rule in the order in which it is asked, with what keeps it from ever deciding."""
    placed = sorted(enumerate(rules), key=lambda pair: -pair[1].get("weight", 1.0))
    for position, rule in placed:
        yield {
            "name": rule["name"],
            "when": rule["when"],
            "model": rule["model"],
            "weight": rule.get("weight", 1.0),
            "never": hopeless.get(f"{path}[{position}].when"),
        }


def _tell(report: dict[str, Any]) -> None:
    for problem in report["problems"]:
        _complain(str(Problem(**problem)))
    for warning in report["warnings"]:
        _complain(f"warning: {Problem(**warning)}")
    if not report["ok"]:
        name = f"{report['file']}: " if report["file"] else ""
        _complain(f"{name}{len(report['problems'])} wrong")
        return
    _say(f"{_bold(report['file'])}: fine; models: {', '.join(report['models']) or 'those that are named'}")
    _rules("rules, in the order in which they are asked", report["rules"])
    for tenant, own in report["tenants"].items():
        _rules(f"rules of tenant {tenant}, asked before all others", own["rules"])
    outcome = report["empty_call"]
    _say(f"{_bold('a call that says nothing')}: {outcome.get('error') or _went(outcome)}")
    _say(_bold("profiles (seconds)"))
    _table(
        [
            (name, ", ".join(f"{key} {value:g}" for key, value in sets.items()))
            for name, sets in sorted(report["profiles"].items())
        ]
    )


def _rules(title: str, rules: list[dict[str, Any]]) -> None:
    if rules:
        _say(_bold(title))
        rows = ((rule["name"], str(rule["when"]), f"-> {_target(rule)}", _never(rule)) for rule in rules)
        _table([(f"{rule['weight']:g}", *row) for rule, row in zip(rules, rows, strict=True)])


def _target(rule: dict[str, Any]) -> str:
    model = rule["model"]
    return model if isinstance(model, str) else " | ".join(share["model"] for share in model)


def _never(rule: dict[str, Any]) -> str:
    return f"never: {rule['never']}" if rule["never"] else ""


def _went(outcome: dict[str, Any]) -> str:
    return f"{outcome['model']} (rule {outcome['rule'] or '-'}: {outcome['why']})"


# ===== config, models =====


def _schema(given: argparse.Namespace) -> int:
    _say(json.dumps(_core._schema(), ensure_ascii=False, indent=2))
    return FINE


def _show(given: argparse.Namespace) -> int:
    loaded = _core._load(given.config)
    for source in loaded["sources"]:
        _complain(f"from {source}")
    _say(json.dumps(loaded["config"], ensure_ascii=False, indent=2))
    return FINE


def _import(given: argparse.Namespace) -> int:
    imported = _core._import(given.file)
    if imported is None:
        _complain(f"{given.file}: no format of another router; `fairlead check` reads ours")
        return WRONG
    notes = [str(Problem(**note)) for note in imported["notes"]]
    head = [f"Made from {Path(given.file).name}, {imported['format']}."]
    head += ["", "What it says and this file does not:", *(f"- {note}" for note in notes)] if notes else []
    text = (
        "".join(f"# {line}".rstrip() + "\n" for line in "\n".join(head).splitlines())
        + "\n"
        + imported["toml"]
    )
    if given.output is None:
        _say(text, end="")
    else:
        try:
            output = Path(given.output)
            is_free = given.force or (output.exists() and not output.is_file())
            _write(output, text, os.O_TRUNC if is_free else os.O_EXCL)
        except FileExistsError:
            _complain(f"{given.output}: exists already; --force overwrites it")
            return WRONG
    for note in notes:
        _complain(f"note: {note}")
    keys = ", ".join(f"`{path}`" for path in _literal_keys(tomllib.loads(imported["toml"])))
    if keys:
        _complain(f"note: keys are written out at {keys}; `${{NAME}}` reads a variable instead")
    return FINE


def _write(path: Path, text: str, existing: int) -> None:
    """The file may hold keys: it is its owner's alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | existing, 0o600), "w", encoding="utf-8") as file:
        if os.name != "nt" and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), 0o600)
        file.write(text)


def _literal_keys(value: Any, path: str = "", is_key: bool = False) -> Iterable[str]:
    """The paths of keys that stand there as they are."""
    if isinstance(value, dict):
        for name, member in value.items():
            below = f"{path}.{name}" if path else name
            yield from _literal_keys(member, below, (is_key and name == "key") or name == "api_key")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _literal_keys(item, f"{path}[{position}]", is_key)
    elif is_key and isinstance(value, str) and not re.fullmatch(r"\$\{[^}]*\}", value):
        yield path


def _models(given: argparse.Namespace) -> int:
    found = _core._models(given.name)
    if given.json:
        _say(json.dumps(found, indent=2))
    for entry in () if given.json else found["models"]:
        _say(_bold(f"{entry['provider']}/{entry['model']}"))
        members = (
            ("context window", entry["context_window"], "tokens"),
            ("answer at most", entry["max_output"], "tokens"),
            ("prompt", entry["input"], "USD per million tokens"),
            ("answer", entry["output"], "USD per million tokens"),
            ("can", ", ".join(entry["capabilities"]) or None, ""),
            ("refuses", ", ".join(entry["rejects"]) or None, ""),
            ("served until", entry["retires"], ""),
            ("followed by", entry["successor"], ""),
            ("source", entry["source"], ""),
        )
        _table([("", name, f"{value} {unit}".rstrip()) for name, value, unit in members if value is not None])
    if found["models"]:
        return FINE
    near = "; did you mean " + " or ".join(found["nearest"]) + "?" if found["nearest"] else ""
    _complain(f"the catalogue knows no {given.name}{near}")
    return WRONG


def _doctor(given: argparse.Namespace) -> int:
    from .doctor.examine import examine

    report = examine(given.config, offline=given.offline, timeout=given.timeout, ping=given.ping)
    if given.json:
        _say(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        _say("\n".join(report.lines()))
    return FINE if report.is_well else WRONG


# ===== simulate =====

POLICIES = {"bare": "no policy", "sdk_retries": "an SDK's 2 retries", "written": "this configuration"}


def _simulate(given: argparse.Namespace) -> int:
    seed = given.seed % 2**64
    if given.generate is not None:
        share = min(max(given.streams, 0.0), 1.0)
        sizes = (given.input, given.output)
        _say(_core._trace(given.generate, given.seconds, given.model, share, sizes, seed), end="")
        return FINE
    if given.trace is None:
        _complain("--trace FILE is needed; --generate RATE prints one")
        return WRONG
    trace = sys.stdin.read() if given.trace == "-" else Path(given.trace).read_text(encoding="utf-8")
    if not trace.strip():
        _complain(f"{'standard input' if given.trace == '-' else given.trace}: no call is in it")
        return WRONG
    scenario = Path(given.scenario).read_text(encoding="utf-8") if given.scenario else ""
    told = _core._simulate(given.config, trace, scenario, seed)
    if given.plot is not None:
        from ._chart import draw

        Path(given.plot).write_text(draw(told, POLICIES), encoding="utf-8")
    if given.json:
        _say(json.dumps(told, ensure_ascii=False, indent=2))
        return FINE
    policies = told["policies"]
    head = ("", "answered", "p50", "p99", "first token p99", "requests a call", "to the ill", "cost")
    _table([head, *(_amounts(name, policies[policy]) for policy, name in POLICIES.items())])
    written = policies["written"]
    _say(_bold(f"with {POLICIES['written']}"))
    total = max(sum(upstream["requests"] for upstream in written["upstreams"]), 1)
    rows = [("deployment", "requests", "share", "while ill")]
    for upstream in written["upstreams"]:
        ill = f"{upstream['while_ill']:,}" if upstream["falls_ill"] else "-"
        share = f"{100 * upstream['requests'] / total:.1f} %"
        rows.append((upstream["name"], f"{upstream['requests']:,}", share, ill))
    _table(rows)
    errors = ", ".join(f"{error} {count:,}" for error, count in written["errors"].items())
    _say(f"errors: {errors or 'none'}")
    return FINE


def _amounts(name: str, summary: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        f"{100 * summary['success']:.2f} %",
        f"{summary['p50']:.1f} s",
        f"{summary['p99']:.1f} s",
        f"{summary['first_token_p99']:.1f} s",
        f"{summary['requests_per_call']:.3f}",
        f"{summary['while_ill']:,}",
        f"${summary['cost']:.2f}",
    )


# ===== the terminal =====


def _lines(error: ConfigError) -> list[str]:
    return [str(problem) for problem in error.problems] or [str(error)]


def _say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if _is_coloured() else text


def _is_coloured() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _say("  " + "  ".join(cells).rstrip())
