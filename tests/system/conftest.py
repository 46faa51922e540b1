"""Fixtures of the system tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.fleet import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Make a fleet of so many nodes; whatever it ran is ended with the test, and nothing may be left."""
    made: list[Fleet] = []

    def make(
        nodes: int = 1,
        slots: int = 4,
        limits: dict[str, str] | None = None,
        scheduling: dict[str, object] | None = None,
        daemon: dict[str, object] | None = None,
    ) -> Fleet:
        made.append(Fleet(tmp_path, limits=limits, scheduling=scheduling, daemon=daemon))
        made[0].start(nodes, slots)
        return made[0]

    yield make
    for one in made:
        one.close()
