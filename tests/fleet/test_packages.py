"""Hosts that reach nothing but each other, from packages to a fleet: installed, set up, upgraded under a job, removed.

Every command is typed as docs/handbook.md has it.
"""

import json
import shutil
from functools import partial

import pytest

from tests.fleet.bed import missing
from tests.fleet.harness import AGENT, CTL, DAEMON, SCRIPTS
from tests.fleet.installed import PYTHON, Installed, installed
from tests.system.fleet import gang, until

NODE, LOGIN, SPARE = "node1", "login1", "ctl2"
ETC = "/etc/dlroverd"
STOLEN = "A host is not to be trusted any more"
AS_NOBODY = ("runuser", "-u", "nobody", "--", "dlroverctl")
UNITS = ((CTL, DAEMON), (NODE, AGENT))


@pytest.mark.timeout(900)  # it builds the packages
def test_from_packages_to_a_fleet_and_back() -> None:
    if why := missing():
        pytest.skip(why)
    with installed(1, daemons=2) as hosts:
        hosts.walk("Install", only="dpkg")
        assert [hosts.of_us(host) for host in (CTL, NODE)] == [[], []]
        see_the_setup(hosts)
        hosts.walk("Install", only="token")
        hosts.call()
        hosts.until_ready()
        assert NODE in hosts.walk("Install", only="node list")
        see_the_doctor(hosts)
        see_the_login_host(hosts)
        see_a_drain(hosts)
        job = running_job(hosts)
        see_the_upgrade(hosts, job)
        see_the_daemon_s_host_lost(hosts, job)
        see_a_node_shut_out(hosts)
        see_the_removal(hosts)


def see_the_setup(hosts: Installed) -> None:
    said = hosts.walk("Install", only="--dry-run")
    assert "certificate: /etc/dlroverd/tls/daemon.pem" in said
    assert "systemctl enable --now dlroverd.service" in said
    assert hosts.exec(CTL, "ls", "-A", ETC, f"{ETC}/tls") == f"{ETC}:\ntls\n\n{ETC}/tls:\n"
    assert hosts.walk("Install", only="setup daemon", but="--dry-run").count("make ") == 6
    assert "make " not in hosts.walk("Install", only="setup daemon", but="--dry-run")
    owners = hosts.exec(CTL, "stat", "-c", "%n %U %a", f"{ETC}/tls", f"{ETC}/tls/ca.key", f"{ETC}/tls/daemon.key")
    assert owners == f"{ETC}/tls dlroverd 755\n{ETC}/tls/ca.key dlroverd 600\n{ETC}/tls/daemon.key dlroverd 600\n"


def see_the_doctor(hosts: Installed) -> None:
    """See what he says of a node in a fleet; of a bed's kernel he has his own opinion."""
    said = json.loads(hosts.exec(NODE, "dlroverctl", "doctor", "-o", "json", code=None))
    verdicts = {each["check"]: each["verdict"] for each in said["findings"]}
    passed = ("configuration", "systemd", "memory", "certificate", "daemon", "clock skew", "python", "fingerprint")
    assert {name: verdicts[name] for name in passed} == dict.fromkeys(passed, "pass")


def see_the_login_host(hosts: Installed) -> None:
    """See that whoever submits there is the same person to the fleet, and root nobody."""
    hosts.walk("Login hosts")
    assert NODE in hosts.exec(LOGIN, *AS_NOBODY, "node", "list")
    words = ("run", "--workdir", "/tmp", "--nproc-per-node", "1", "id", "-un")
    assert "nobody" in hosts.exec(LOGIN, *AS_NOBODY, *words)
    hosts.exec(LOGIN, *AS_NOBODY, "node", "cordon", NODE, "--reason", "because", code=1)
    hosts.exec(LOGIN, "dlroverctl", "node", "list", code=1)
    said = json.loads(hosts.exec(LOGIN, "dlroverctl", "doctor", "-o", "json", code=None))
    verdicts = {each["check"]: each["verdict"] for each in said["findings"]}
    passed = ("configuration", "certificate", "daemon", "clock skew")
    assert {name: verdicts[name] for name in passed} == dict.fromkeys(passed, "pass")


def see_a_drain(hosts: Installed) -> None:
    """Take a node out of use while nothing runs there, and put it back."""
    hosts.walk(STOLEN, only="drain")
    assert "stolen" in hosts.exec(CTL, "dlroverctl", "node", "why", NODE)
    hosts.exec(CTL, "dlroverctl", "node", "uncordon", NODE)


def running_job(hosts: Installed) -> int:
    """Start a job that needs nothing but the hosts' own Python."""
    (hosts.shared / "plain.py").write_bytes((SCRIPTS / "plain.py").read_bytes())
    words = ("--python", str(PYTHON), "--workdir", "/tmp", str(hosts.shared / "plain.py"), "1000000000")
    job = int(hosts.exec(CTL, *AS_NOBODY, "submit", "--parsable", "--nproc-per-node", "2", *words))
    hosts.until_stepping(job)
    return job


def see_the_upgrade(hosts: Installed, job: int) -> None:
    """Upgrade both hosts: daemon and agent are others then, the job's ranks are not."""
    ranks = hosts.ranks(job)
    before = [hosts.main_pid(host, unit) for host, unit in UNITS]
    hosts.pack("2")
    hosts.walk("Upgrade")
    assert hosts.exec(NODE, "dpkg-query", "-Wf", "${Version}", "dlroverd-agent").endswith("-2")
    for pid, (host, unit) in zip(before, UNITS, strict=True):
        assert hosts.main_pid(host, unit) not in (0, pid)
    hosts.until_ready()
    step = gang(hosts.client.job(job)).step
    view = hosts.until_job(job, lambda view: gang(view).step >= step + 20)
    assert (hosts.ranks(job), view.restarts, view.incidents) == (ranks, 0, ())


def see_the_daemon_s_host_lost(hosts: Installed, job: int) -> None:
    """Lose the daemon's host after a backup: another one goes on with the fleet, and the job's ranks never know."""
    ranks = hosts.ranks(job)
    hosts.walk("Backup")
    (backup,) = (hosts.root(CTL) / "srv/backups").iterdir()
    shutil.copy(backup, hosts.shared)
    hosts.exec(CTL, "systemctl", "disable", "--now", DAEMON)
    hosts.walk("The daemon's host is lost", but="list")
    hosts.call(SPARE)
    hosts.until_ready()
    assert "no differences" in hosts.walk("The daemon's host is lost", only="list")
    assert NODE in hosts.exec(LOGIN, *AS_NOBODY, "node", "list")
    assert hosts.client.job(job).state == "running"
    assert hosts.ranks(job) == ranks


def see_a_node_shut_out(hosts: Installed) -> None:
    """Shut a host out whose ranks run: it is gone from the fleet, and says why."""
    hosts.walk(STOLEN, but="drain", ctl=SPARE)
    for token in json.loads(hosts.exec(SPARE, "dlroverctl", "token", "list", "-o", "json"))["tokens"]:
        hosts.exec(SPARE, "dlroverctl", "token", "revoke", token["id"])
    assert "revoked" in hosts.exec(SPARE, "dlroverctl", "token", "list")
    until(lambda: hosts.client.nodes()[0].state, ("unreachable", "lost").__contains__)
    until(partial(hosts.journal, NODE, AGENT, "-o", "cat"), lambda said: "were revoked by root (stolen)" in said)


def see_the_removal(hosts: Installed) -> None:
    """Remove everything under the running job: no process is left, and what data is left is said."""
    said = hosts.walk("Remove", only="dpkg")
    for host, folder in ((CTL, ETC), (CTL, "/var/lib/dlroverd"), (NODE, "/var/lib/dlroverd-agent")):
        assert f"left {folder} (" in said
        assert (hosts.root(host) / folder.lstrip("/")).is_dir()
    for host in (CTL, NODE, LOGIN):
        until(partial(hosts.of_us, host), lambda found: not found)
        assert list((hosts.root(host) / "opt").glob("dlrover*")) == []
