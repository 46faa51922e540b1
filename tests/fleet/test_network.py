"""Hosts whose likeliest address is not the right one, and hosts that do not hold the same code."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlroverd.model.view import JobView
from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, SCRIPTS, Fleet
from tests.system.fleet import gang

LONELY = "192.168.50.1"


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Hosts that begin with the process launcher: what is shown here is the same with any."""
    return boot(2, agent={"slots": 1, "launcher": "process"})


@pytest.fixture
def two_networks(fleet: Fleet) -> Iterator[Fleet]:
    """Give node1 a second network, which it shares with the daemon's host and with no other, and by which it dials."""
    (link,) = (each["dev"] for each in json.loads(fleet.exec("node1", "ip", "-j", "route", "get", "10.77.0.1")))
    fleet.exec("node1", "ip", "link", "add", "net0", "type", "veth", "peer", "name", "net1")
    fleet.exec("node1", "ip", "addr", "add", f"{LONELY}/32", "dev", "net0")
    for end in ("net0", "net1"):
        fleet.exec("node1", "ip", "link", "set", end, "up")
    fleet.exec(CTL, "ip", "route", "add", f"{LONELY}/32", "via", "10.77.0.2")
    fleet.exec("node1", "ip", "route", "add", "10.77.0.1/32", "dev", link, "src", LONELY)
    restart_agent(fleet, LONELY)
    yield fleet
    fleet.exec("node1", "ip", "route", "del", "10.77.0.1/32")
    fleet.exec("node1", "ip", "link", "del", "net0")
    fleet.exec(CTL, "ip", "route", "del", f"{LONELY}/32")
    restart_agent(fleet, "10.77.0.2")


def restart_agent(fleet: Fleet, address: str) -> None:
    """Restart node1's agent, and wait until the daemon knows it by an address."""
    fleet.exec("node1", "systemctl", "restart", AGENT)
    fleet.until_nodes(lambda views: [view.address for view in views if view.id == "node1"] == [address])
    fleet.until_ready()


@pytest.fixture
def names_of_loopback(fleet: Fleet) -> Iterator[Fleet]:
    """Have each host's own name mean loopback, as Debian's installer writes it."""
    for node in fleet.nodes:
        known = (fleet.root(node) / "etc/hosts").read_text().splitlines()
        others = [line for line in known if node not in line.split()]
        (fleet.root(node) / "run/hosts").write_text("\n".join([f"127.0.1.1 {node}", *others, ""]))
        fleet.exec(node, "mount", "--bind", "/run/hosts", "/etc/hosts")
    yield fleet
    for node in fleet.nodes:
        fleet.exec(node, "umount", "/etc/hosts")


def environ(fleet: Fleet, job: int) -> dict[str, dict[str, str]]:
    return {node: process.environ for (node, _), process in fleet.ranks(job).items()}


def test_the_master_is_met_at_an_address_that_all_nodes_reach(two_networks: Fleet) -> None:
    fleet = two_networks
    job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), "100000")
    view = fleet.until_stepping(job)
    assert gang(view).master.startswith("10.77.0.2:")
    assert gang(view).network == (
        f"10.77.0.2 of node node1 is reached from all 2 nodes; {LONELY} is not reached from node2"
    )
    for node, env in environ(fleet, job).items():
        link = next(each["dev"] for each in json.loads(fleet.exec(node, "ip", "-j", "route", "get", "10.77.0.254")))
        assert (env["MASTER_ADDR"], env["GLOO_SOCKET_IFNAME"], env["NCCL_SOCKET_IFNAME"]) == (
            "10.77.0.2",
            link,
            f"={link}",
        )
    fleet.client.cancel(job)


def test_names_that_mean_loopback_mislead_nobody(names_of_loopback: Fleet) -> None:
    fleet = names_of_loopback
    for node in fleet.nodes:
        assert fleet.exec(node, "getent", "hosts", node).split()[0] == "127.0.1.1"
    job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), "5")
    assert fleet.until_over(job).state == "succeeded"


# ---- the same code everywhere


def of_their_own(fleet: Fleet, texts: dict[str, str]) -> str:
    """Put a script of its own on each host's own disk; gives the path, the same on all."""
    for node, text in texts.items():
        folder = fleet.root(node) / "opt/work"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.py").write_text(text)
    return "/opt/work/train.py"


def run(fleet: Fleet, script: str, *options: str) -> JobView:
    (fleet.root(CTL) / Path(script).parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
    (fleet.root(CTL) / script.removeprefix("/")).write_text("submitted from here")
    job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", *options, script)
    return fleet.until_over(job)


def test_a_script_that_differs_is_refused_and_named(fleet: Fleet) -> None:
    script = of_their_own(fleet, {"node1": "print('step 1')", "node2": "print('step 1') # edited"})
    view = run(fleet, script)
    assert view.state == "failed"
    assert f"{script} differs: sha256" in view.reason
    assert "--allow-mismatch" in view.reason
    assert not gang(view).ranks or all(rank.pid == 0 for rank in gang(view).ranks)
    assert run(fleet, script, "--allow-mismatch").state == "succeeded"


def test_packages_that_differ_are_named(fleet: Fleet) -> None:
    script = of_their_own(fleet, dict.fromkeys(fleet.nodes, "print('step 1')"))
    for node, version in (("node1", "2.0.0"), ("node2", "1.26.4")):
        (fleet.root(node) / f"opt/lib/numpy-{version}.dist-info").mkdir(parents=True)
    view = run(fleet, script, "--env", "PYTHONPATH=/opt/lib")
    assert view.state == "failed"
    assert "numpy 1.26.4 here, 2.0.0 on node1" in view.reason
