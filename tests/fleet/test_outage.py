"""Hosts that share a switch and fall silent together: one finding, one incident, one new world."""

import json

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import CTL, Fleet
from tests.fleet.plain import Plain
from tests.system.fleet import gang

LIMITS = {"unreachable_after": "2500ms", "lost_by_peers": "4s", "lost_after": "6s"}
TOPOLOGY = {"nodes": {"node[1-3]": {"switch": "s1"}, "node4": {"switch": "s2"}}}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Four nodes of one slot each; the first three hang on one switch."""
    fleet = boot(4, daemon={"limits": LIMITS}, agent={"slots": 1})
    (fleet.root(CTL) / "etc/dlroverd/topology.yaml").write_text(json.dumps(TOPOLOGY))
    fleet.reconfigure(CTL, topology="/etc/dlroverd/topology.yaml")
    fleet.until_ready()
    return fleet


def test_a_switch_that_fails_is_one_incident_and_one_new_world(fleet: Fleet) -> None:
    job = Plain(fleet, "1:4", "--replace-wait", "0")
    for node in fleet.nodes[:3]:
        fleet.partition(node)
    job.until_round(2, ["node4"])
    job.until_further(20)

    view = job.view()
    (incident,) = view.incidents
    assert (gang(view).round, view.restarts, view.restarts_in_window) == (2, 1, 0)
    assert (incident.domain, incident.nodes) == ("switch s1", 4)
    assert incident.cause is not None
    assert incident.cause.sentence.startswith("3 nodes of switch s1 fell silent within ")
    assert incident.cause.sentence.endswith(f" s (node1-node3), 3 of them under {job.id}/trainer/0")
    found = [json.loads(event.body) for event in fleet.client.events(names=["domain_failed"])]
    assert found[-1]["nodes"] == ["node1", "node2", "node3"]
    assert {(each["kind"], each["name"]) for each in found} == {("switch", "s1")}
    # From the last that was heard of them: so much of its time was lost, by its own ledger too.
    assert incident.phases.detect is not None
    assert view.goodput is not None
    assert view.goodput.times.restarting >= incident.phases.detect

    fleet.mend()
    fleet.until_ready()
    job.until_further(20)
    assert (gang(job.view()).round, len(job.view().incidents)) == (2, 1)
