"""Hosts that have nothing but the programs become a fleet: by `setup`, a token, and what renews and ends it."""

import json

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, CTL_PROGRAM, DAEMON, SCRIPTS, Fleet
from tests.system.fleet import until

SETUP = (CTL_PROGRAM, "setup")
TOKEN = "/root/token"
AWAY = ("unreachable", "lost")


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes whose certificates, and the daemon's, are taken away again: they get others themselves."""
    fleet = boot(daemon={"limits": {"unreachable_after": "3s"}}, agent={"away": "1s"})
    for unit, host in (*((AGENT, node) for node in fleet.nodes), (DAEMON, CTL)):
        if unit == DAEMON:  # a name whose agent is there is nobody else's
            fleet.until_nodes(lambda views: all(view.state in AWAY for view in views))
        fleet.exec(host, "systemctl", "disable", "--now", unit)
        fleet.exec(host, "sh", "-ec", "rm -rf /etc/dlroverd/tls /etc/dlroverd/*.yaml")
    return fleet


def give_token(fleet: Fleet, node: str, uses: int = 1) -> str:
    """Make a token, and put it on a node as a terminal pastes it; gives the token."""
    made = json.loads(fleet.ctl("token", "create", "--uses", str(uses), "-o", "json"))["token"]
    text: str = made["token"]
    (fleet.root(node) / TOKEN.lstrip("/")).write_text(f"{text[:50]}\n{text[50:]}\n")
    return text


def test_bare_hosts_become_a_fleet(fleet: Fleet) -> None:
    one, two = fleet.nodes
    fleet.exec(CTL, *SETUP, "daemon")
    # Once more, with a line of the operator's own in what it wrote: that is kept.
    mine = "echo 'allow_root: true' >>/etc/dlroverd/dlroverd.yaml && systemctl restart dlroverd"
    fleet.exec(CTL, "sh", "-ec", mine)
    assert "make" not in fleet.exec(CTL, *SETUP, "daemon")
    token = give_token(fleet, one, uses=2)
    (fleet.root(two) / "root/token").write_text(token)
    join = (*SETUP, "agent", "--token-file", TOKEN, "--join")
    # Told first, and nothing is done; then by the agents' port, which people have at hand, and by its own.
    shown = fleet.exec(one, *join, CTL, "--dry-run")
    assert "node.pem" in shown
    assert not (fleet.root(one) / "etc/dlroverd/agent.yaml").exists()
    fleet.exec(one, *join, f"{CTL}:7700")
    fleet.exec(two, *join, CTL)
    fleet.until_ready()
    said = fleet.exec(one, *join, CTL)
    assert "make" not in said, said
    (listed,) = fleet.json("token", "list")["tokens"]
    assert (listed["state"], listed["joined"]) == ("used up", [one, two])
    job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "plain.py"), "1")
    assert fleet.until_over(job).state == "succeeded"
    # Neither the token nor its secret is anywhere but where it was put.
    for unit, host in ((DAEMON, CTL), (AGENT, one)):
        assert token[5:] not in fleet.journal(host, unit, "-o", "cat")
    # Whoever is on the daemon's host may look, and no more.
    as_nobody = ("runuser", "-u", "nobody", "--", CTL_PROGRAM)
    assert one in fleet.exec(CTL, *as_nobody, "node", "list")
    fleet.exec(CTL, *as_nobody, "node", "cordon", one, "--reason", "because", code=1)


def test_a_node_that_was_shut_out_joins_again_by_a_new_token_alone(fleet: Fleet) -> None:
    _, two = fleet.nodes
    give_token(fleet, two)
    fleet.ctl("node", "revoke", two, "--reason", "stolen", "--yes")
    fleet.until_nodes(lambda views: {view.id: view.state for view in views}[two] in AWAY)
    until(lambda: fleet.journal(two, AGENT, "-o", "cat"), lambda said: "were revoked by root (stolen)" in said)
    fleet.exec(two, "sh", "-ec", "rm /etc/dlroverd/tls/node.pem")
    join = (*SETUP, "agent", "--join", CTL, "--token-file", TOKEN)
    fleet.exec(two, *join, code=1)  # that token is older than the revocation
    give_token(fleet, two)
    fleet.exec(two, *join)
    fleet.until_ready()
