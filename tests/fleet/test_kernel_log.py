"""The kernel's log from end to end, on a kernel of its own: hosts of the test bed share one that is not theirs."""

import shutil
import subprocess

import pytest

from tests.fleet.bed import missing, program
from tests.fleet.inside.running import inside
from tests.system.fleet import ROOT


def test_a_kernels_line_is_a_signal() -> None:
    if why := missing():
        pytest.skip(why)
    if shutil.which("linux.uml") is None:
        pytest.skip("needs Debian's user-mode-linux and kmod")
    if ROOT.is_relative_to("/tmp"):
        pytest.skip("v2run's kernel has a /tmp of its own: clone to somewhere else")
    done = subprocess.run(
        [str(program("v2run")), "-m", "512M", "-t", "200", "--", *inside("kernel_log_cases.py")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
