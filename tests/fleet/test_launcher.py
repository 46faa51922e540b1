"""The systemd launcher within a host that systemd runs: tests/fleet/inside/launcher_cases.py, run there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.bed import Bed, missing
from tests.fleet.inside.running import run_inside
from tests.system.fleet import ROOT


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    """One bare host that sees the checkout."""
    if why := missing():
        pytest.skip(why)
    bed = Bed(Path(f"/run/fleet-launcher-{os.getpid()}"))
    try:
        bed.up(1, "node", [f"{ROOT}:{ROOT}:ro"])
        yield bed
    finally:
        bed.down()


@pytest.mark.parametrize("part", ["launcher_cases.py::TestContract", "launcher_cases.py::TestUnits", "spare_cases.py"])
def test_the_systemd_launcher(bed: Bed, part: str) -> None:
    run_inside(bed, "node1", part)
