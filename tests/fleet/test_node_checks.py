"""Light checks on real hosts: a broken path, two bad hosts and a slow one, each told from the others.

Nodes that cannot meet wait for each other, so this takes minutes: it runs where DLROVERD_LONG is set.
"""

import os
import time

import pytest

from dlroverd.model.checkup import CheckLevel, CheckResult
from tests.fleet.conftest import Boot
from tests.fleet.harness import Fleet

pytestmark = [
    pytest.mark.skipif(not os.environ.get("DLROVERD_LONG"), reason="takes minutes; set DLROVERD_LONG to run it"),
    pytest.mark.timeout(1800),
]
PATIENCE_S = 600.0


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Four nodes, and automation that may take half of them."""
    return boot(4, daemon={"automation": {"ready_share": 0.25, "nodes": 4}})


def checked(fleet: Fleet) -> dict[str, CheckResult]:
    """Have all nodes checked; what was found of each by the rounds in which they met."""
    number = fleet.client.check(fleet.nodes, CheckLevel.LIGHT)
    deadline = time.monotonic() + PATIENCE_S
    while any(_goes_on(fleet, node, number) for node in fleet.nodes):
        assert time.monotonic() < deadline, [fleet.client.node(node).checkups for node in fleet.nodes]
        time.sleep(0.5)
    found = {node: {each.check: each for each in fleet.client.node(node).checks} for node in fleet.nodes}
    print({node: (checks["compute"].sentence, checks["collective"].sentence) for node, checks in found.items()})  # noqa: T201 - shown with a failure
    return {node: checks["collective"] for node, checks in found.items()}


def _goes_on(fleet: Fleet, node: str, number: int) -> bool:
    return any(each.id >= number and not each.state for each in fleet.client.node(node).checkups)


def states(met: dict[str, CheckResult]) -> dict[str, str]:
    return {node: each.state.value for node, each in met.items()}


def held(fleet: Fleet) -> list[str]:
    return [view.id for view in fleet.client.nodes() if any(hold.owner == "dlroverd" for hold in view.holds)]


def test_faults_of_hosts_and_of_paths_are_told_apart(fleet: Fleet) -> None:
    assert set(states(checked(fleet)).values()) == {"ok"}

    fleet.partition("node3", peers=["node4"])
    met = checked(fleet)
    assert states(met) == {"node1": "ok", "node2": "ok", "node3": "unknown", "node4": "unknown"}
    assert "it does not work with node4, and both work with others" in met["node3"].sentence
    assert not held(fleet)
    fleet.heal()

    # Two hosts that reach the daemon, and none of the others.
    fleet.partition("node1", peers=["node2", "node3", "node4"])
    fleet.partition("node2", peers=["node3", "node4"])
    met = checked(fleet)
    assert states(met) == {"node1": "bad", "node2": "bad", "node3": "ok", "node4": "ok"}
    assert held(fleet) == ["node1", "node2"]
    fleet.heal()
    assert set(states(checked(fleet)).values()) == {"ok"}
    assert not held(fleet)

    fleet.slow("node2", delay="100ms")
    met = checked(fleet)
    assert states(met) == {"node1": "ok", "node2": "bad", "node3": "ok", "node4": "ok"}
    assert "with whomever it meets" in met["node2"].sentence
    assert held(fleet) == ["node2"]
    fleet.heal()
    checked(fleet)
    assert not held(fleet)
