"""Names that move, vanish or have a dead address, with a name server of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from names_apart import SCENES

SCRIPT = Path(__file__).with_name("names_apart.py")


def can_have_a_name_server() -> bool:
    """Only root may have a mount namespace and a server on port 53."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-m", "mount", "--bind", "/etc", "/etc"], capture_output=True).returncode
        == 0
    )


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_f03_f04_f05_names(scene: str) -> None:
    if not can_have_a_name_server():
        pytest.skip("a name server of our own needs root and a mount namespace")
    command = ["unshare", "-m", sys.executable, "-W", "error", str(SCRIPT), scene]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert finished.returncode == 0, finished.stderr
