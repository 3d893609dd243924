"""docs/guarantees.md promises nothing without a test, and names no test that is gone."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import fault_table
import pytest

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "guarantees.md"
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| id ")
]
MATRIX = "test_a_lone_deployment_ends_in_the_stated_class"
BEHIND_THE_MATRIX = {"R4"}
"""A promise that all its rows keep together."""
TEST = re.compile(r"`([^`]+?)::([^`]+)`")


RUST = re.compile(r"#\[(?:tokio::)?test\b[^\n]*\n(?:\s*#\[[^\n]*\n)*\s*(?:async )?fn (\w+)\(")
PYTHON = re.compile(
    r"^(?:async )?def (test_\w+)\(|^@pytest\.fixture\(autouse=True\)\ndef (\w+)\(", re.MULTILINE
)


@cache
def proofs_in(path: Path) -> set[str]:
    """The names of the tests in a Rust or Python file, and of what goes with every test."""
    pattern = PYTHON if path.suffix == ".py" else RUST
    return {name for found in pattern.finditer(path.read_text(encoding="utf-8")) for name in found.groups()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_promise_is_proved_by_tests_that_exist(row: list[str]) -> None:
    _, promise, proof = row
    named = TEST.findall(proof)
    assert promise
    assert named, "no test"
    for path, name in named:
        assert name in proofs_in(PROJECT / path), f"{path} has no test called {name}"


@pytest.mark.parametrize("row", [row for row in ROWS if MATRIX in row[2]], ids=lambda row: row[0])
def test_a_promise_about_a_fault_stands_in_the_matrix(row: list[str]) -> None:
    known = {fault.fault.split("/")[0] for fault in fault_table.ROWS}
    assert row[0] in known | BEHIND_THE_MATRIX


def test_every_promise_has_an_id_of_its_own() -> None:
    ids = [row[0] for row in ROWS]
    assert len(ids) > 20
    assert len(ids) == len(set(ids))
