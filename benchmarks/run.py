"""Measures fairlead beside its peers: prints a table, writes the raw figures and a chart.

    python benchmarks/run.py [--quick] [--only CLIENT,CLIENT] [--out DIR]

Every figure comes from a process of its own; clients take turns, so that a busy moment of the machine
hits all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import chart
import prepare
from clients import CLIENTS
from measures import CONTENT_EVENTS, Measure, measures

FLOOR = "reqwest"
TITLES = {FLOOR: "reqwest (Rust, no Python)"} | {name: entry.title for name, entry in CLIENTS.items()}
REPEATS = 3
SLOW_S = 10.0
"""A process that took longer is not repeated."""
PROCESS_LIMIT_S = 60.0
RUN_LIMIT_S = 600.0
"""No process starts after this."""


class Programs(NamedTuple):
    """What measures: the interpreter of the Python clients, and the bare reqwest client."""

    python: Path
    floor: Path

    def command(self, client: str, measure: str, *arguments: str) -> list[str]:
        if client == FLOOR:
            return [str(self.floor), measure, *arguments]
        return [str(self.python), str(prepare.HERE / "measures.py"), measure, client, *arguments]


def environment(client: str) -> dict[str, str]:
    """The variables of a client's process: its own packages, no network at import, no proxy."""
    packages = "" if client == FLOOR else str(prepare.peer_folder(CLIENTS[client].distribution))
    own = {"PYTHONPATH": packages, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"}
    return os.environ | own


class Figures:
    """All that was measured: values by client and measure, and why some are missing."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.missing: dict[str, dict[str, str]] = defaultdict(dict)
        self.settled: set[tuple[str, str]] = set()

    def median(self, client: str, measure: str) -> float | None:
        values = self.values[client][measure]
        return statistics.median(values) if values else None

    def raw(self) -> dict[str, Any]:
        """For JSON: each figure with its median, least, most and all values."""
        figures: dict[str, Any] = {}
        for client, by_measure in self.values.items():
            figures[client] = {
                measure: {"median": statistics.median(of), "min": min(of), "max": max(of), "values": of}
                for measure, of in by_measure.items()
                if of
            }
        return {"figures": figures, "missing": self.missing}


def main() -> None:
    options = parse()
    prepare.allow_many_sockets()
    programs = Programs(prepare.python(), prepare.build("floor"))
    columns = measures(quick=options.quick)
    clients = options.only or list(TITLES)
    prepare.install(programs.python, [CLIENTS[client].distribution for client in clients if client != FLOOR])
    versions = {client: installed(programs, client) for client in clients}
    present = [client for client in clients if versions[client]]
    with prepare.upstream(CONTENT_EVENTS) as origin:
        figures = take(programs, present, columns, origin, 1 if options.quick else REPEATS)
    report(options, clients, versions, columns, figures)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure fairlead beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer calls, one repeat: a smoke run")
    parser.add_argument("--only", type=names, help=f"clients to measure, of {', '.join(TITLES)}")
    parser.add_argument("--out", type=Path, help="folder for the figures and the chart")
    return parser.parse_args()


def names(text: str) -> list[str]:
    chosen = text.split(",")
    for name in chosen:
        if name not in TITLES:
            raise argparse.ArgumentTypeError(f"no client `{name}`: choose of {', '.join(TITLES)}")
    return chosen


def installed(programs: Programs, client: str) -> str | None:
    """The version of a client; `None` when it cannot be imported."""
    if client == FLOOR:
        return prepare.locked_version("floor", "reqwest")
    command = programs.command(client, "version")
    done = subprocess.run(command, capture_output=True, check=True, env=environment(client))
    answer = json.loads(done.stdout.splitlines()[-1])
    if "absent" in answer:
        print(f"{TITLES[client]} cannot be imported: {answer['absent']}", file=sys.stderr)
    return answer.get("version")


def take(
    programs: Programs, clients: list[str], columns: dict[str, Measure], origin: str, repeats: int
) -> Figures:
    """Takes every measure of every client `repeats` times, the clients in turn."""
    figures = Figures()
    end = time.monotonic() + RUN_LIMIT_S
    turns = [(column, client) for column in columns for client in clients] * repeats
    for number, (column, client) in enumerate(turns, 1):
        if (client, column) in figures.settled or (client == FLOOR and column == "import"):
            continue
        if time.monotonic() > end:
            if not figures.values[client][column]:
                figures.missing[client][column] = "no time left"
            continue
        progress(f"{number}/{len(turns)} {client} {column}")
        take_one(programs, client, column, columns[column], origin, figures)
    progress("")
    return figures


def progress(what: str) -> None:
    """Shows on a terminal what is being measured."""
    if sys.stderr.isatty():
        print(f"\r{what:60}\r", end="", file=sys.stderr, flush=True)


def take_one(
    programs: Programs, client: str, column: str, measure: Measure, origin: str, figures: Figures
) -> None:
    """Takes one measure of one client in a process of its own."""
    url = f"{origin}/{measure.path}/v1"
    command = programs.command(client, column, url, str(measure.in_flight), str(measure.seconds))
    start = time.monotonic()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=PROCESS_LIMIT_S,
            preexec_fn=prepare.pinned(0),
            env=environment(client),
        )
        figures.values[client][column].append(json.loads(done.stdout.splitlines()[-1])["value"])
    except subprocess.TimeoutExpired:
        figures.missing[client][column] = f"over {PROCESS_LIMIT_S:.0f} s"
    except subprocess.CalledProcessError as error:
        last_line = (error.stderr.strip().splitlines() or ["no message"])[-1]
        figures.missing[client][column] = f"failed: {last_line}"
    if column in figures.missing[client] or time.monotonic() - start > SLOW_S:
        figures.settled.add((client, column))


def report(
    options: argparse.Namespace,
    clients: list[str],
    versions: dict[str, str | None],
    columns: dict[str, Measure],
    figures: Figures,
) -> None:
    """Prints the table and writes figures and chart."""
    about = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": prepare.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": versions,
        "columns": {name: measure._asdict() for name, measure in columns.items()},
    }
    print(table(clients, versions, columns, figures))
    print(f"\n{about['machine']}; {about['python']}; {named_versions(versions)}")
    for client, columns_missing in figures.missing.items():
        for column, why in columns_missing.items():
            print(f"{TITLES[client]}, {column}: {why}")
    folder = options.out or prepare.HERE / "results"
    folder.mkdir(parents=True, exist_ok=True)
    name = "quick" if options.quick else "full"
    (folder / f"{name}.json").write_text(json.dumps(about | figures.raw(), indent=1) + "\n")
    whole_run = not (options.quick or options.only or options.out)
    picture = prepare.PROJECT / "docs" / "benchmark.svg" if whole_run else folder / "benchmark.svg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(chart.draw(panels(clients, columns, figures), caption(about, versions)))
    print(f"figures: {shown(folder / f'{name}.json')}, chart: {shown(picture)}")


def table(
    clients: list[str], versions: dict[str, str | None], columns: dict[str, Measure], figures: Figures
) -> str:
    """The figures as a Markdown table."""
    rows = [["client", *(f"{measure.title}, {measure.unit}" for measure in columns.values())]]
    for client in clients:
        if versions[client]:
            rows.append([TITLES[client], *(cell(figures, client, column) for column in columns)])
        else:
            rows.append([f"{TITLES[client]}: not installed", *("-" for _ in columns)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    lines = (" | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"| {line} |" for line in lines)


def cell(figures: Figures, client: str, column: str) -> str:
    value = figures.median(client, column)
    if value is not None:
        return chart.number(value)
    why = figures.missing[client].get(column, "-")
    return "failed" if why.startswith("failed") else why


def panels(clients: list[str], columns: dict[str, Measure], figures: Figures) -> list[chart.Panel]:
    """What the chart shows: CPU per call and per chunk."""
    shown_columns = {"call": "CPU per call, 64 in flight", "chunk": "CPU per streamed chunk, 32 streams"}
    drawn = []
    for column, title in shown_columns.items():
        bars = [(TITLES[client], figures.median(client, column)) for client in clients]
        drawn.append(
            chart.Panel(title, columns[column].unit, [(name, value) for name, value in bars if value])
        )
    return drawn


def caption(about: dict[str, Any], versions: dict[str, str | None]) -> str:
    runs = "one run" if about["quick"] else f"median of up to {REPEATS} runs"
    return (
        "CPU time of the whole client process (user and system, all threads), logarithmic scale; "
        f"{runs}, each a fresh process, loopback HTTP/1.1 without TLS, upstream on another CPU. "
        f"{about['machine']}; {about['python']}; {named_versions(versions)}; {about['taken'][:10]}."
    )


def named_versions(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{client} {version}" for client, version in versions.items() if version)


def shown(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    main()
