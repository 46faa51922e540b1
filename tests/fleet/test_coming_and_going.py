"""Nodes that leave in good order, that are reset, that take another's name: what the daemon and they say."""

from collections.abc import Callable
from typing import Any

import pytest

from dlroverd.model.view import NodeView
from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, PORT, Fleet

TLS = {name: f"/etc/dlroverd/tls/{name}.pem" for name in ("ca", "certificate", "key")}
CONFIG: dict[str, Any] = {"daemon": [f"tcp://{CTL}:{PORT}"], "tls": TLS, "slots": 1}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Nodes that are unreachable after a second, unless they said that they are away: then after ten minutes."""
    limits = {"unreachable_after": "1s", "lost_by_peers": "5m", "lost_after": "6m", "unreachable_limit": "10m"}
    return boot(2, daemon={"limits": limits}, agent={"slots": 1, "away": "10m"})


def states(*wanted: str) -> Callable[[list[NodeView]], bool]:
    return lambda views: [view.state for view in views] == list(wanted)


def test_a_stopped_agent_is_away_and_a_host_that_goes_down_is_not(fleet: Fleet) -> None:
    fleet.exec("node1", "systemctl", "stop", AGENT)
    fleet.kill("node2", clean=True)
    (away, _) = fleet.until_nodes(states("ready", "unreachable"))  # node1 has been silent for longer
    assert away.reason.startswith("its agent stopped and is waited for ")
    fleet.start("node2")
    fleet.until_nodes(states("ready", "ready"))


def test_a_host_that_was_reset_is_let_in_again_by_itself(fleet: Fleet) -> None:
    before = fleet.boot_id("node1")
    fleet.kill("node1")
    fleet.start("node1")
    assert fleet.boot_id("node1") != before
    fleet.until_nodes(lambda _: "connected" in fleet.journal("node1", AGENT, "-b", "-o", "cat"))
    fleet.until_ready()


def test_a_second_host_with_the_name_and_certificate_of_another_is_told_where_that_is(fleet: Fleet) -> None:
    sessions = fleet.journal("node1", AGENT, "-o", "cat").count('"connected"')
    own = {name: (fleet.root("node2") / path[1:]).read_bytes() for name, path in TLS.items()}
    try:
        for path in TLS.values():
            (fleet.root("node2") / path[1:]).write_bytes((fleet.root("node1") / path[1:]).read_bytes())
        fleet.configure("node2", {**CONFIG, "node": "node1"})
        fleet.exec("node2", "systemctl", "restart", AGENT)
        said = "Another agent is connected as node node1 from 10.77.0.2: stop one of them"
        fleet.until_nodes(lambda _: said in fleet.journal("node2", AGENT, "-o", "cat"))
        assert fleet.journal("node1", AGENT, "-o", "cat").count('"connected"') == sessions
    finally:
        for name, path in TLS.items():
            (fleet.root("node2") / path[1:]).write_bytes(own[name])
        fleet.configure("node2", {**CONFIG, "away": "10m"})
        fleet.exec("node2", "systemctl", "restart", AGENT)


def test_an_address_that_means_loopback_elsewhere_is_refused_with_the_remedy(fleet: Fleet) -> None:
    (fleet.root("node2") / "run/hosts").write_text("127.0.1.1 gpu07\n10.77.0.1 ctl1\n")
    fleet.exec("node2", "mount", "--bind", "/run/hosts", "/etc/hosts")
    try:
        fleet.configure("node2", {**CONFIG, "address": "gpu07"})
        fleet.exec("node2", "systemctl", "restart", AGENT, code=None)
        said = "address: gpu07 resolves to 127.0.1.1, by which a host reaches only itself (a line in /etc/hosts?)"
        assert said in fleet.journal("node2", AGENT, "-o", "cat")
    finally:
        fleet.exec("node2", "umount", "/etc/hosts")
        fleet.configure("node2", {**CONFIG, "away": "10m"})
        fleet.exec("node2", "systemctl", "restart", AGENT)
