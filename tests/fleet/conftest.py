"""Fixtures of the fleet tests: hosts are booted once a module, and settled after each test."""

import compileall
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.bed import missing
from tests.fleet.harness import Fleet
from tests.system.fleet import ROOT

Boot = Callable[..., Fleet]


@pytest.fixture(scope="module")
def boot() -> Iterator[Boot]:
    """Boot fleets; all of them are taken away with the module."""
    if why := missing():
        pytest.skip(why)
    # An installed release is compiled; hosts see the checkout read-only, and would compile it at every start.
    for package in ("dlroverd", "agent/dlroverd_agent"):
        compileall.compile_dir(ROOT / package, quiet=2)
    made: list[Fleet] = []
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")

    def make(nodes: int = 2, *, daemon: dict[str, Any] | None = None, agent: dict[str, Any] | None = None) -> Fleet:
        shared = Path(folder) / f"shared{len(made)}"
        shared.mkdir()
        made.append(Fleet(Path(f"/run/fleet-{worker}-{os.getpid()}-{len(made)}"), shared))
        try:
            made[-1].boot(nodes, daemon=daemon or {}, agent={"slots": 2, **(agent or {})})
        except AssertionError:
            print("\n".join(made[-1].journals()))  # noqa: T201 - shown with the failure
            raise
        return made[-1]

    # Not pytest's folder: its names are long, and only its user may enter it.
    with tempfile.TemporaryDirectory(prefix="fleet-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - it holds nothing secret, and ranks of any user are to enter it
        try:
            yield make
        finally:
            for fleet in made:
                fleet.close()


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes of two slots each. A module that wants others has a fixture of this name itself."""
    return boot()


@pytest.fixture
def fleet(hosts: Fleet, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """The module's fleet, all nodes ready; whatever the test did to it is undone after it."""
    failed = request.session.testsfailed
    yield hosts
    if request.session.testsfailed > failed:
        print("\n".join(hosts.journals()))  # noqa: T201 - shown with the failure
    hosts.settle()
