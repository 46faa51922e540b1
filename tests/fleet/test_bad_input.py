"""What people get wrong on hosts: each is told in one sentence, with what to do about it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dlroverd.cli.output import clock
from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, DAEMON, PORT, SCRIPTS, Fleet
from tests.system.fleet import ROOT, gang, until

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
STATE_DIR = "/var/lib/dlroverd-agent"
FEW = (str(SCRIPTS / "plain.py"), "5")


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes of one slot each."""
    return boot(agent={"slots": 1})


def failure(fleet: Fleet, job: int) -> str:
    """Wait for a job to fail; why it did, as `dlroverctl why` says it."""
    view = fleet.until_over(job)
    assert view.state == "failed"
    said = view.reason.removeprefix("failed: ")
    assert f"failed at {clock(view.finished_at)}: {said}." in fleet.ctl("why", str(job))
    return said


def until_said(fleet: Fleet, host: str, unit: str, sentence: str) -> None:
    """Wait until a unit has written a sentence."""
    until(lambda: fleet.journal(host, unit, "-o", "cat", "-b"), lambda said: sentence in said)


@contextmanager
def names(fleet: Fleet, host: str, *lines: str) -> Iterator[None]:
    """Have other lines in a host's /etc/hosts."""
    (fleet.root(host) / "run/hosts").write_text("\n".join([*lines, ""]))
    fleet.exec(host, "mount", "--bind", "/run/hosts", "/etc/hosts")
    try:
        yield
    finally:
        fleet.exec(host, "umount", "/etc/hosts")


@contextmanager
def reconfigured(fleet: Fleet, host: str, unit: str, **settings: object) -> Iterator[None]:
    """Have other settings in a host's configuration, and the unit started anew with them, whether or not it can."""
    path = fleet.root(host) / "etc/dlroverd" / ("dlroverd.yaml" if host == CTL else "agent.yaml")
    before = path.read_text()
    fleet.configure(host, {**json.loads(before), **settings})
    fleet.exec(host, "systemctl", "restart", unit, code=None)
    try:
        yield
    finally:
        path.write_text(before)
        fleet.exec(host, "systemctl", "restart", unit)


def test_a_working_directory_that_is_missing_on_one_node(fleet: Fleet) -> None:
    for host in (CTL, "node1"):
        fleet.exec(host, "mkdir", "-p", "/srv/here")
    words = ("submit", "--parsable", "--python", sys.executable, "--workdir", "/srv/here", "--nproc-per-node", "1")
    both = int(fleet.ctl(*words, "--nnodes", "2", *FEW))
    remedy = "make it, or use one on a file system that all nodes share"
    said = (
        f"{both}/trainer/0 was not started: node node2: the working directory /srv/here does not exist there: {remedy}"
    )
    assert failure(fleet, both) == said
    fleet.exec("node1", "rmdir", "/srv/here")
    one = int(fleet.ctl(*words, "--nnodes", "1", *FEW))
    said = "rank 0 on node1 could not be started: its working directory /srv/here cannot be entered"
    assert failure(fleet, one).startswith(f"{said}: No such file or directory: make it there, or use one ")


def submit_as_ann(fleet: Fleet, nnodes: int, *words: str) -> int:
    """Submit a job as a user whom the daemon's host and node1 may know."""
    job = fleet.submit("--nnodes", str(nnodes), "--nproc-per-node", "1", *words)
    spec = fleet.client.job(job, with_spec=True).spec
    assert spec is not None
    fleet.until_over(job)
    ann = replace(spec.user, name="ann", uid=4321, gid=4321, home="/home/ann", groups=(4321,))
    return fleet.client.submit(replace(spec, user=ann))


def test_a_user_who_is_unknown_on_one_node(fleet: Fleet) -> None:
    fleet.exec("node1", "useradd", "-u", "4321", "-U", "ann")
    both = submit_as_ann(fleet, 2, *FEW)
    remedy = "create it with uid 4321 and gid 4321, or leave that node out"
    said = f"{both}/trainer/0 was not started: node node2: user ann (uid 4321) is unknown there: {remedy}"
    assert failure(fleet, both) == said
    fleet.exec("node1", "userdel", "ann")
    one = failure(fleet, submit_as_ann(fleet, 1, *FEW))
    assert f"could not be started: it would run as somebody else: user ann (uid 4321) is unknown there: {remedy}" in one


def test_a_rank_s_events_file_is_its_user_s_and_nothing_else_takes_its_place(fleet: Fleet) -> None:
    for node in fleet.nodes:
        fleet.exec(node, "useradd", "-u", "4321", "-U", "ann")
    done = fleet.shared / "done"
    done.touch()
    job = submit_as_ann(fleet, 1, str(ROOT / "tests/system/scripts/events.py"), "0", "0.05", str(done))
    done.unlink()
    (rank,) = gang(fleet.until_job(job, lambda view: view.state == "running")).ranks

    def heard() -> set[str]:
        return {view.name for view in fleet.client.events(job=job)}

    until(heard, {"user.tick"}.__le__)
    file = fleet.exec(rank.node, "find", "/run/dlroverd-agent", "-name", f"j{job}-*").strip()
    folder = os.path.dirname(file)
    assert fleet.exec(rank.node, "stat", "-c", "%U %a %F", file).strip() == "ann 600 regular file"
    assert fleet.exec(rank.node, "stat", "-c", "%U %a", folder, os.path.dirname(folder)).split() == ["root", "711"] * 2
    assert fleet.exec(rank.node, "stat", "-f", "-c", "%T", file).strip() == "tmpfs"
    fleet.exec(rank.node, "runuser", "-u", "ann", "--", "ln", "-sf", "/etc/shadow", file, code=1)

    fleet.exec(rank.node, "ln", "-sf", "/etc/shadow", file)
    fleet.exec(rank.node, "systemctl", "restart", AGENT)
    until_said(fleet, rank.node, AGENT, f"the events of {job}/trainer/0@1#0 are not read: ")
    done.touch()
    assert fleet.until_over(job).state == "succeeded"
    for node in fleet.nodes:
        fleet.exec(node, "userdel", "ann")


def test_a_port_that_is_taken_costs_nothing(fleet: Fleet) -> None:
    """Other programs listen where rank 0 is to: the next ports are tried, at once and for free."""
    words = ("--nnodes", "2", "--nproc-per-node", "1", *FEW)
    before = fleet.submit(*words)
    address, _, last = gang(fleet.until_over(before)).master.rpartition(":")
    master = next(view.id for view in fleet.client.nodes() if view.address == address)
    taken = [int(last) + 1, int(last) + 2]
    listen = (
        "import signal, socket, sys; kept = [socket.create_server(('', int(p))) for p in sys.argv[1:]]; signal.pause()"
    )
    program = (sys.executable, "-c", f"{listen}; signal.pause()", *map(str, taken))
    fleet.exec(master, "systemd-run", "--quiet", "--unit=taken.service", "--service-type=exec", *program)
    try:
        until(lambda: fleet.exec(master, "ss", "-Hltn", f"sport = :{taken[-1]}"), bool)
        view = fleet.until_over(fleet.submit(*words))
    finally:
        fleet.exec(master, "systemctl", "stop", "taken.service")
    assert (view.state, view.restarts, view.restarts_in_window) == ("succeeded", 2, 0)
    assert gang(view).master == f"{address}:{int(last) + 3}"
    for port, incident in zip(taken, view.incidents, strict=True):
        assert incident.action == "restart on another port, at no cost to the job"
        assert incident.cause is not None
        assert incident.cause.sentence == (
            f"{view.id}/trainer/0 was not started: MASTER_PORT {port} is taken on node {master}: end what listens "
            "there, or set another `port_range` in the agent's configuration"
        )


def test_a_full_var(fleet: Fleet) -> None:
    fleet.exec("node2", "systemctl", "stop", AGENT)
    fleet.exec("node2", "mount", "-t", "tmpfs", "-o", "size=32m,mode=0711", "tmpfs", STATE_DIR)
    try:
        fleet.exec("node2", "systemctl", "start", AGENT)
        fleet.until_ready()
        fleet.exec("node2", "dd", "if=/dev/zero", f"of={STATE_DIR}/fill", "bs=1M", code=1)
        job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", *FEW)
        said = f"0 KiB are left there for {STATE_DIR}, where the output of ranks goes: make room for at least 16 MiB"
        assert failure(fleet, job) == f"{job}/trainer/0 was not started: node node2: only {said}"
        until_said(fleet, "node2", AGENT, "what this node follows cannot be kept on disk; make room")
    finally:
        fleet.exec("node2", "systemctl", "stop", AGENT)
        fleet.exec("node2", "umount", STATE_DIR)
        fleet.exec("node2", "systemctl", "start", AGENT)


@pytest.mark.skipif(not os.path.exists(FAKETIME), reason="needs Debian's libfaketime")
class TestAClockThatIsWrong:
    """It is said, with what to do; as long as it can work, the node does."""

    @pytest.fixture
    def off(self, fleet: Fleet, request: pytest.FixtureRequest) -> None:
        """Have node2's agent see another time."""
        fake = (f"LD_PRELOAD={FAKETIME}", f"FAKETIME={request.param}", "FAKETIME_DONT_FAKE_MONOTONIC=1")
        fleet.override("node2", AGENT, *(f"Environment={each}" for each in fake))
        fleet.exec("node2", "systemctl", "restart", AGENT)

    @pytest.mark.parametrize(("off", "how"), [("-1d", "behind"), ("+20h", "ahead of")], indirect=["off"])
    @pytest.mark.usefixtures("off")
    def test_a_node_works_on(self, fleet: Fleet, how: str) -> None:
        until_said(fleet, "node2", AGENT, f" s {how} the daemon's: fix NTP on the one that is wrong; the node works on")
        fleet.until_ready()
        job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", *FEW)
        assert fleet.until_over(job).state == "succeeded"

    @pytest.mark.parametrize("off", ["+2d"], indirect=True)
    @pytest.mark.usefixtures("off")
    def test_past_the_end_of_a_certificate(self, fleet: Fleet) -> None:
        said = "and by this host's clock that is over: renew it, or set the clock (NTP) if that is wrong."
        until_said(fleet, "node2", AGENT, said)


def test_two_agents_of_one_name(fleet: Fleet) -> None:
    """A host that was cloned with its certificate is sent away; the one that was there first notices nothing."""
    job = fleet.submit("--nnodes", "1", "--nproc-per-node", "1", str(SCRIPTS / "plain.py"), "1000000")
    fleet.until_stepping(job)
    (rank,) = gang(fleet.client.job(job)).ranks
    clone = next(node for node in fleet.nodes if node != rank.node)
    for name in ("certificate.pem", "key.pem"):
        content = Path(fleet.root(rank.node), "etc/dlroverd/tls", name).read_bytes()
        copy = Path(fleet.root(clone), "run", name)
        copy.touch(mode=0o600)
        copy.write_bytes(content)
    tls = {"ca": "/etc/dlroverd/tls/ca.pem", "certificate": "/run/certificate.pem", "key": "/run/key.pem"}
    address = next(view.address for view in fleet.client.nodes() if view.id == rank.node)
    with reconfigured(fleet, clone, AGENT, node=rank.node, tls=tls):
        until_said(
            fleet,
            clone,
            AGENT,
            f"Another agent is connected as node {rank.node} from {address}: stop one of them, or give this one "
            "another name (`node` in its configuration).",
        )
        assert [each.pid for each in gang(fleet.client.job(job)).ranks] == [rank.pid]
        moved = fleet.client.events(node=rank.node, names=["node_moved"], since=fleet.client.job(job).started_at)
        assert list(moved) == []


def test_a_certificate_of_another_name(fleet: Fleet) -> None:
    with reconfigured(fleet, "node2", AGENT, node="node1"):
        sentence = (
            "/etc/dlroverd/tls/certificate.pem names node2, and must name `node1`: have it issued for that DNS name."
        )
        until_said(fleet, "node2", AGENT, sentence)


def test_an_address_that_resolves_to_loopback(fleet: Fleet) -> None:
    with reconfigured(fleet, "node2", AGENT, address="localhost"):
        until_said(
            fleet,
            "node2",
            AGENT,
            "address: localhost resolves to 127.0.0.1, by which a host reaches only itself (a line in /etc/hosts?): "
            "write an IP address of this host that the other nodes reach, or auto",
        )


def test_the_daemons_name_resolves_to_loopback_on_its_own_host(fleet: Fleet) -> None:
    """As Debian writes it: what listens there hears nobody."""
    with names(fleet, CTL, "127.0.0.1 localhost", f"127.0.1.1 {CTL}"):
        fleet.exec(CTL, "systemctl", "restart", DAEMON, code=None)
        until_said(
            fleet,
            CTL,
            DAEMON,
            f"tcp://{CTL}:{PORT}: its name resolves to 127.0.1.1 here, by which a host reaches only itself (a line in "
            "/etc/hosts?): write an IP address of this host, or 0.0.0.0 for all.",
        )
    fleet.exec(CTL, "systemctl", "restart", DAEMON)


def test_the_daemons_name_resolves_to_loopback_on_a_node(fleet: Fleet) -> None:
    with names(fleet, "node2", "127.0.0.1 localhost", f"127.0.1.1 {CTL}"):
        fleet.exec("node2", "systemctl", "restart", AGENT)
        until_said(
            fleet,
            "node2",
            AGENT,
            f"Nothing answers at tcp://{CTL}:{PORT}, whose name resolves to 127.0.1.1 here (a line in /etc/hosts?): "
            "write an IP address of the daemon's host, or start dlroverd on this one.",
        )
    fleet.exec("node2", "systemctl", "restart", AGENT)  # gRPC looks a name up again after half a minute only


def test_a_nodes_own_name_may_resolve_to_loopback(fleet: Fleet) -> None:
    """No rank is told a name: the address that others reach is found out."""
    lines = ("127.0.0.1 localhost", "127.0.1.1 node1", "10.77.0.1 ctl1", "10.77.0.3 node2")
    with names(fleet, "node1", *lines):
        fleet.exec("node1", "systemctl", "restart", AGENT)
        fleet.until_ready()
        job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", *FEW)
        assert fleet.until_over(job).state == "succeeded"
        assert gang(fleet.client.job(job)).master.startswith("10.77.0.2:")
