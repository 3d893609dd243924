"""What a docstring says of a function and its parameters: Google's, numpy's and Sphinx' ways of writing."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Warns):?\s*$"
)
_PARAMETERS = re.compile(r"(Args|Arguments|Parameters|Params):?\s*$")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_NUMPY = re.compile(r"(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?$")
_SPHINX = re.compile(r":param\s+(?:[^:]*\s)?(\w+):\s*(.*)$")


def read(doc: str | None) -> tuple[str, dict[str, str]]:
    """What it says of the function, without its sections; and of each parameter, in one line."""
    lines = inspect.cleandoc(doc or "").splitlines()
    summary: list[str] = []
    told: dict[str, list[str]] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        sphinx = _SPHINX.match(line)
        if sphinx is not None:
            told[sphinx[1]] = [sphinx[2]]
            at = _indented(lines, at + 1, told[sphinx[1]])
        elif line.startswith(":"):
            at = _indented(lines, at + 1, [])
        elif _SECTION.match(line) and (line.rstrip().endswith(":") or _is_rule(lines, at + 1)):
            at = _section(lines, at, told)
        else:
            summary.append(line)
            at += 1
    parameters = {name: " ".join(part for part in parts if part) for name, parts in told.items()}
    return "\n".join(summary).strip(), {name: text for name, text in parameters.items() if text}


def _is_rule(lines: list[str], at: int) -> bool:
    return at < len(lines) and re.fullmatch(r"-{3,}\s*", lines[at]) is not None


def _indented(lines: list[str], at: int, into: list[str]) -> int:
    """Take the lines that are indented, from `at` on; returns where they end."""
    while at < len(lines) and (lines[at][:1].isspace() or not lines[at]):
        if not lines[at]:
            return at + 1
        into.append(lines[at].strip())
        at += 1
    return at


def _section(lines: list[str], at: int, told: dict[str, list[str]]) -> int:
    is_wanted, is_numpy = _PARAMETERS.match(lines[at]) is not None, _is_rule(lines, at + 1)
    at += 2 if is_numpy else 1
    names: list[str] = []
    depth: int | None = None
    while at < len(lines):
        line = lines[at]
        indent = len(line) - len(line.lstrip())
        if line and indent == 0 and (not is_numpy or _SECTION.match(line) or line.startswith(":")):
            return at
        if is_wanted and line:
            depth = indent if depth is None else depth
            head = (_NUMPY if is_numpy else _GOOGLE).match(line.strip()) if indent == depth else None
            if head is not None:
                names = re.split(r"\s*,\s*", head[1])
                told.update({name: [] if is_numpy else [head[2]] for name in names})
            else:
                for name in names:
                    told[name].append(line.strip())
        at += 1
    return at
