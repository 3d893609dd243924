"""What is shipped: the wheel, its import, its licences."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import fairlead
import pytest

PROJECT = Path(__file__).parents[2]
CARGO = tomllib.loads((PROJECT / "Cargo.toml").read_text(encoding="utf-8"))
LOCK = tomllib.loads((PROJECT / "Cargo.lock").read_text(encoding="utf-8"))
POLICY = tomllib.loads((PROJECT / "deny.toml").read_text(encoding="utf-8"))
VERSION = CARGO["package"]["version"]


# ===== the wheel =====


def wheel() -> zipfile.ZipFile:
    built = sorted((Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")) / "wheels").glob("*.whl"))
    if not built:
        pytest.skip("no wheel: `make test` builds one")
    return zipfile.ZipFile(built[-1])


def test_the_wheel_holds_the_package_its_licences_and_nothing_else() -> None:
    sources = PROJECT / "python"
    package = {
        path.relative_to(sources).as_posix()
        for path in sources.rglob("*")
        if path.suffix in {".py", ".pyi", ".json"} or path.name == "py.typed"
    }
    info = f"fairlead-{VERSION}.dist-info"
    described = {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE-APACHE",
        "licenses/LICENSE-MIT",
    }
    expected = package | {"fairlead/_core.abi3.so"} | {f"{info}/{name}" for name in described}
    assert {name for name in wheel().namelist() if not name.endswith("/")} == expected


def test_the_wheel_needs_no_other_package() -> None:
    required = metadata.requires("fairlead") or []
    assert [line for line in required if "extra ==" not in line] == []


def test_every_version_is_cargos() -> None:
    assert fairlead.__version__ == VERSION == metadata.version("fairlead")
    assert f"## [{VERSION}]" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")


# ===== the import =====

IMPORT = """
import json, os, sys, threading

QUIET = ("import", "compile", "exec", "object.", "marshal.", "code.", "sys._getframe", "os.listdir")
QUIET += ("builtins.id",)

def descriptors():
    return sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else []

def heard(name, given):
    if not name.startswith(QUIET):
        events.append((name, [str(argument) for argument in given]))

events = []
loaded, open_before = set(sys.modules), descriptors()
sys.addaudithook(heard)
{statement}
seen = list(events)
print(json.dumps({{
    "modules": sorted(set(sys.modules) - loaded),
    "threads": threading.active_count(),
    "descriptors": descriptors() == open_before,
    "events": seen,
}}))
"""
MODULE = "import fairlead"
CLIENT = "from fairlead import AsyncClient, Client"


@cache
def imported(statement: str) -> dict[str, Any]:
    """What an import did in a process of its own."""
    script = IMPORT.format(statement=statement)
    done = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("statement", [MODULE, CLIENT])
def test_importing_starts_no_thread_and_leaves_nothing_open(statement: str) -> None:
    assert imported(statement)["threads"] == 1
    assert imported(statement)["descriptors"]


@pytest.mark.parametrize("statement", [MODULE, CLIENT])
def test_importing_reads_files_and_does_nothing_else(statement: str) -> None:
    changing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    events = imported(statement)["events"]
    assert [name for name, _ in events if name != "open"] == []
    assert [given for _, given in events if int(given[2]) & changing] == []


@pytest.mark.parametrize("name", ["openai", "httpx", "pydantic", "asyncio", "ssl", "socket", "logging"])
def test_importing_the_package_does_not_load(name: str) -> None:
    assert name not in imported(MODULE)["modules"]


@pytest.mark.parametrize("name", ["openai", "httpx", "pydantic", "fairlead.testing"])
def test_importing_a_client_does_not_load(name: str) -> None:
    assert name not in imported(CLIENT)["modules"]


def test_the_public_names_are_those_of_all_and_each_can_be_imported() -> None:
    assert len(fairlead.__all__) == len(set(fairlead.__all__))
    assert [name for name in fairlead.__all__ if not hasattr(fairlead, name)] == []
    assert set(fairlead.__all__) <= set(dir(fairlead))


# ===== the policy of deny.toml =====


@cache
def shipped() -> list[dict[str, Any]]:
    """The crates of the wheel for this platform: what the library needs to be built and to run."""
    host = re.search(r"^host: (\S+)$", output("rustc", "-vV"), re.MULTILINE)
    assert host
    options = [
        "--format-version=1",
        "--locked",
        "--offline",
        "--all-features",
        f"--filter-platform={host[1]}",
    ]
    described = json.loads(output("cargo", "metadata", *options))
    nodes = {node["id"]: node for node in described["resolve"]["nodes"]}
    reached: set[str] = set()
    pending = [described["resolve"]["root"]]
    while pending:
        package = pending.pop()
        if package not in reached:
            reached.add(package)
            pending += [
                dependency["pkg"]
                for dependency in nodes[package]["deps"]
                if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
            ]
    return [package for package in described["packages"] if package["id"] in reached]


def output(*command: str) -> str:
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


def permitted(expression: str) -> bool:
    """Can the licence expression be satisfied with what the policy allows?"""
    allowed = set(POLICY["licenses"]["allow"])
    spaced = re.sub(r"([()])", r" \1 ", expression.replace("/", " OR ")).replace(" WITH ", "+WITH+")
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    terms = [words.get(word) or str(word.replace("+WITH+", " WITH ") in allowed) for word in spaced.split()]
    return bool(eval(" ".join(terms)))


def test_every_crate_has_a_licence_that_the_policy_allows() -> None:
    refused = {
        package["name"]: package["license"] for package in shipped() if not permitted(package["license"])
    }
    assert refused == {}


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0", False),
        ("MIT OR AGPL-3.0", True),
        ("MIT AND GPL-2.0", False),
        ("Apache-2.0/MIT", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
    ],
)
def test_a_licence_expression_is_read(expression: str, allowed: bool) -> None:
    assert permitted(expression) is allowed


def test_no_banned_crate_is_locked_for_any_platform() -> None:
    banned = {entry["crate"] for entry in POLICY["bans"]["deny"]}
    assert {"aws-lc-sys", "cmake"} <= banned
    assert banned & {package["name"] for package in LOCK["package"]} == set()


def test_there_is_one_pyo3_and_one_source_of_crates() -> None:
    assert len([package for package in LOCK["package"] if package["name"] == "pyo3"]) == 1
    assert len({package["source"] for package in LOCK["package"] if "source" in package}) == 1


def test_only_the_border_names_pyo3() -> None:
    border = PROJECT / "src" / "python"
    core = [path for path in (PROJECT / "src").rglob("*.rs") if border not in path.parents]
    named = [path.name for path in core if "pyo3" in path.read_text(encoding="utf-8").lower()]
    assert len(core) > 30
    assert named == []
