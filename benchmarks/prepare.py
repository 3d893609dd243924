"""What a run needs first: the peers installed, the two Rust programs built, the upstream running."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
ENVIRONMENT = PROJECT / ".venv-bench"
PROGRAMS = PROJECT / "target" / "bench"
OPEN_FILES = 16_384
"""Enough sockets for thousands of calls at once."""


def python() -> Path:
    """The interpreter of the benchmarks' environment, where fairlead is installed; made when missing."""
    interpreter = ENVIRONMENT / "bin" / "python"
    if not interpreter.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    return interpreter


def install(interpreter: Path, distributions: list[str]) -> None:
    """Installs every peer that is missing, each into a folder of its own: the newest litellm wants an older
    openai, and a peer that cannot be installed here must not keep the others out."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for requirement in project["optional-dependencies"]["bench"]:
        distribution = requirement.split(">")[0]
        folder = peer_folder(distribution)
        if distribution not in distributions or folder.exists():
            continue
        print(f"installing {requirement}", file=sys.stderr)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--target", folder, requirement]
        if subprocess.run(command, check=False).returncode:
            print(f"could not install {requirement}", file=sys.stderr)


def peer_folder(distribution: str) -> Path:
    """Where a peer is installed with what it needs."""
    return ENVIRONMENT / "peers" / distribution


def build(program: str) -> Path:
    """Builds one of the Rust programs beside this file; the path of its executable."""
    manifest = HERE / program / "Cargo.toml"
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest]
    subprocess.run([*command, "--target-dir", PROGRAMS], check=True)
    return PROGRAMS / "release" / program


def locked_version(program: str, package: str) -> str:
    """The version of a crate that a Rust program is built with."""
    lock = tomllib.loads((HERE / program / "Cargo.lock").read_text())
    return next(entry["version"] for entry in lock["package"] if entry["name"] == package)


def allow_many_sockets() -> None:
    """Raises the limit of open files for this process and those it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def pinned(position: int) -> Callable[[], None] | None:
    """Keeps a process that is about to start on one CPU: 0 for the client, 1 for the upstream."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cpus = sorted(os.sched_getaffinity(0))
    cpu = cpus[position % len(cpus)]
    return lambda: os.sched_setaffinity(0, {cpu})


@contextmanager
def upstream(events: int) -> Iterator[str]:
    """A running upstream; the origin of its URLs. It ends with this process, whatever happens."""
    command = [str(build("upstream")), str(events)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, preexec_fn=pinned(1)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def machine() -> str:
    """The processor, in a few words."""
    model = platform.processor() or platform.machine()
    with Path("/proc/cpuinfo").open() as lines:
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release().split('-')[0]}"
