"""Light checks on real hosts: a broken path, two bad hosts and a slow one, each told from the others.

Nodes that cannot meet wait for each other, so this takes minutes: it runs where DLROVERD_LONG is set.
"""

import json
import os
from typing import Any

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import Fleet

pytestmark = [
    pytest.mark.skipif(not os.environ.get("DLROVERD_LONG"), reason="takes minutes; set DLROVERD_LONG to run it"),
    pytest.mark.timeout(1500),
]


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Four nodes, and automation that may take half of them."""
    return boot(4, daemon={"automation": {"ready_share": 0.25, "nodes": 4}})


def checked(fleet: Fleet, code: int) -> dict[str, dict[str, Any]]:
    """Have all nodes checked; what was found of each by the rounds in which they met."""
    nodes = json.loads(fleet.ctl("node", "check", "--all", "--level", "light", "-o", "json", code=code))["nodes"]
    found = {each["node"]: {one["check"]: one for one in each["checks"]} for each in nodes}
    return {node: checks["collective"] for node, checks in found.items()}


def held(fleet: Fleet) -> list[str]:
    return [view.id for view in fleet.client.nodes() if any(hold.owner == "dlroverd" for hold in view.holds)]


def test_faults_of_hosts_and_of_paths_are_told_apart(fleet: Fleet) -> None:
    met = checked(fleet, 0)
    assert {each["state"] for each in met.values()} == {"ok"}, met

    fleet.partition("node3", peers=["node4"])
    met = checked(fleet, 4)
    assert not held(fleet), met
    assert "it does not work with node4" in met["node3"]["sentence"], met
    assert "it does not work with node3" in met["node4"]["sentence"], met
    fleet.heal()

    # Two hosts that reach the daemon, and none of the others.
    fleet.partition("node1", peers=["node2", "node3", "node4"])
    fleet.partition("node2", peers=["node3", "node4"])
    met = checked(fleet, 1)
    assert held(fleet) == ["node1", "node2"], met
    assert {node for node, each in met.items() if each["state"] == "bad"} == {"node1", "node2"}, met
    fleet.heal()
    met = checked(fleet, 0)
    assert not held(fleet), met

    fleet.slow("node2", delay="300ms")
    met = checked(fleet, 1)
    assert held(fleet) == ["node2"], met
    assert "with whomever it meets" in met["node2"]["sentence"], met
    fleet.heal()
    checked(fleet, 0)
    assert not held(fleet)
