"""What limits and the kernel's out-of-memory killer do to ranks, on a kernel with all controllers of cgroup v2."""

import shutil
import subprocess

import pytest

from tests.fleet.bed import missing, program
from tests.fleet.inside.running import inside
from tests.system.fleet import ROOT


def test_limits_and_oom_kills() -> None:
    if why := missing():
        pytest.skip(why)
    if shutil.which("linux.uml") is None:
        pytest.skip("needs Debian's user-mode-linux and kmod")
    if ROOT.is_relative_to("/tmp"):
        pytest.skip("v2run's kernel has a /tmp of its own: clone to somewhere else")
    done = subprocess.run(
        [str(program("v2run")), "-m", "1G", "-t", "200", "--", *inside("limits_cases.py")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
