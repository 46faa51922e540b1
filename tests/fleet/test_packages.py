"""Hosts that reach nothing but each other, from packages to a fleet: installed, set up, upgraded under a job, removed.

Every command is typed as docs/handbook.md has it.
"""

import json
from functools import partial

import pytest

from tests.fleet.bed import missing
from tests.fleet.harness import AGENT, CTL, DAEMON, SCRIPTS
from tests.fleet.installed import PYTHON, Installed, installed
from tests.system.fleet import gang, until

NODE, LOGIN = "node1", "login1"
ETC = "/etc/dlroverd"
AS_NOBODY = ("runuser", "-u", "nobody", "--", "dlroverctl")
UNITS = ((CTL, DAEMON), (NODE, AGENT))


@pytest.mark.timeout(900)  # it builds the packages
def test_from_packages_to_a_fleet_and_back() -> None:
    if why := missing():
        pytest.skip(why)
    with installed(1) as hosts:
        hosts.walk("Install", only="dpkg")
        assert [hosts.of_us(host) for host in (CTL, NODE)] == [[], []]
        see_the_setup(hosts)
        hosts.walk("Install", only="token")
        hosts.call()
        hosts.until_ready()
        assert NODE in hosts.walk("Install", only="node list")
        see_the_doctor(hosts)
        see_the_login_host(hosts)
        see_the_upgrade(hosts, running_job(hosts))
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


def see_the_removal(hosts: Installed) -> None:
    """Remove everything under the running job: no process is left, and what data is left is said."""
    said = hosts.walk("Remove", only="dpkg")
    for host, folder in ((CTL, ETC), (CTL, "/var/lib/dlroverd"), (NODE, "/var/lib/dlroverd-agent")):
        assert f"left {folder} (" in said
        assert (hosts.root(host) / folder.lstrip("/")).is_dir()
    for host in (CTL, NODE, LOGIN):
        until(partial(hosts.of_us, host), lambda found: not found)
        assert list((hosts.root(host) / "opt").glob("dlrover*")) == []
