"""When nodes are checked, seen on real agents in one fleet: as they join, before a job, after its failure, and idle."""

import os
from pathlib import Path

import pytest

from dlroverd.testing.plant import plant
from tests.system.fleet import Fleet, gang, pids, until

# Its check is not over before a file is there.
GATE = """
import os, time
from dlroverd.plugin_api import *
DLROVERD_API = 1
class Gate:
    name, level, cap_s, meets = "gate", CheckLevel.INSTANT, 50.0, False
    def run(self, context):
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.05)
        return CheckVerdict(state=CheckState.OK, sentence="it is open")
@hookimpl
def dlroverd_register_node_check(register):
    register(Gate())
"""


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file without which no checkup ends."""
    site = tmp_path / "site"
    site.mkdir()
    plant(site, "gate", GATE)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.setenv("GATE", str(site / "open"))
    return site / "open"


def causes(fleet: Fleet, node: str) -> set[str]:
    """Give why a node's last checkups were made."""
    return {run.cause for run in fleet.client.node(node).checkups}


def test_nodes_are_checked_as_they_join_before_a_job_after_its_failure_and_idle(gate: Path, tmp_path: Path) -> None:
    root = tmp_path / "fleet"
    root.mkdir()
    daemon: dict[str, object] = {"automation": {"ready_share": 0.0}, "checks": {"interval": "2s"}}
    fleet = Fleet(root, agent={"checks": ["instant_checks", "gate"]}, daemon=daemon)
    try:
        fleet.daemon.start()
        for _ in range(2):
            fleet.add_node(1)
        fleet.until_nodes(lambda views: [view.state for view in views] == ["ready", "ready"])
        wanted = ("--check", "instant", "--max-restarts", "0", "--nnodes", "2", "--no-python", "sleep", "600")
        job = int(fleet.ctl("submit", "--parsable", *wanted).stdout)
        waits = until(lambda: fleet.client.job(job), lambda view: "cordoned by dlroverd" in view.reason)
        assert waits.state == "queued"
        why = fleet.ctl("node", "why", "n2").stdout
        assert "cordon by dlroverd: it is new here, and its first checks are not over" in why

        gate.touch()
        view = fleet.until_job(job, lambda view: view.state == "running" and all(pids(view)))
        assert {"joined", "job"} <= causes(fleet, "n1") & causes(fleet, "n2")
        assert not [hold for node in fleet.client.nodes() for hold in node.holds]
        said = f"Network of trainer gang 0: {gang(view).master.rpartition(':')[0]} of node n1; whether all reach it"
        assert said in fleet.ctl("job", "why", str(job)).stdout

        os.kill(pids(view)[1], 7)  # SIGBUS
        assert fleet.until_over(job).state == "failed"
        until(lambda: causes(fleet, gang(view).ranks[1].node), lambda seen: "failure" in seen)
        until(lambda: causes(fleet, "n1"), lambda seen: "idle" in seen)
    finally:
        fleet.close()
