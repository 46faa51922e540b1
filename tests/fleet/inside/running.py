"""Runs the tests of this folder where they belong: within a host."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.bed import Bed, missing, program
from tests.system.fleet import ROOT


def inside(cases: str) -> tuple[str, ...]:
    """Give the command that runs cases of this folder where the checkout can only be read."""
    settings = ("env", f"PYTHONPATH={ROOT}", "PYTHONDONTWRITEBYTECODE=1")
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "--tb=short")
    return (*settings, sys.executable, *words, f"{ROOT}/tests/fleet/inside/{cases}")


def run_inside(bed: Bed, host: str, cases: str) -> None:
    """Run cases of this folder in a host; fails with what they said if one of them does."""
    said = bed.exec(host, *inside(cases), code=None)
    summary = said.rstrip().rpartition("\n")[2]
    assert " passed" in summary, said
    assert "failed" not in summary, said
    assert "error" not in summary, said


def run_on_own_kernel(cases: str, memory: str) -> None:
    """Run cases of this folder on a kernel of its own, which has all controllers of cgroup v2; skip where it cannot."""
    if why := _no_own_kernel():
        pytest.skip(why)
    command = [str(program("v2run")), "-m", memory, "-t", "200", "--", *inside(cases)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _no_own_kernel() -> str:
    if why := missing():
        return why
    if shutil.which("linux.uml") is None:
        return "needs Debian's user-mode-linux and kmod"
    if ROOT.is_relative_to("/tmp"):
        return "v2run's kernel has a /tmp of its own: clone to somewhere else"
    if " amx_tile" in Path("/proc/cpuinfo").read_text():
        return "user-mode Linux 6.1 dies at its first process where a processor has AMX (its registers are too large)"
    return ""
