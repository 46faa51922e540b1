"""Runs the tests of this folder where they belong: within a host."""

import sys

from tests.fleet.bed import Bed
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
