"""Hosts that reach nothing but each other, from packages to a fleet: installed, set up, upgraded under a job, removed.

Every command is typed as docs/handbook.md has it.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dlroverd.client import Client
from scripts import package
from tests.fleet.bed import missing
from tests.fleet.harness import AGENT, CTL, DAEMON, SCRIPTS, Fleet
from tests.system.fleet import DEADLINE_S, ROOT, gang, until

NODE = "node1"
# The hosts' own: that of this test is nothing they have.
PYTHON = Path("/usr/bin/python3").resolve()
ETC = "/etc/dlroverd"


class Installed(Fleet):
    """A daemon's host and a node, with nothing on them but what packages bring; those lie in `shared`."""

    def boot_bare(self) -> None:
        """Boot the hosts."""
        self.up(1, "ctl", [str(self.shared)])
        self.nodes = self.up(1, "node", [str(self.shared)])

    def walk(self, section: str, *, only: str = "", but: str = "\n") -> str:
        """Type the commands of a section of the handbook; gives what they wrote. `only`, `but`: of those words."""
        text = (ROOT / "docs/handbook.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        commands = [
            (host, command)
            for host, command in re.findall(r"^(\w+)# (.*)$", text, re.MULTILINE)
            if only in command and but not in command
        ]
        assert commands
        return "".join(self.exec(host, "sh", "-ec", f"cd {self.shared}; {each} 2>&1") for host, each in commands)

    def call(self) -> None:
        """Connect to the daemon, which runs by now."""
        self.client = Client(f"unix://{self.root(CTL)}/run/dlroverd/dlroverd.sock", timeout_s=DEADLINE_S)

    def of_us(self, host: str) -> list[tuple[str, ...]]:
        """Give the command lines of all processes of a host that are ours or of a job."""
        return [
            each.argv
            for each in self.processes(host)
            if "DLROVERD_JOB" in each.environ or any("/dlroverd" in word for word in each.argv)
        ]


@pytest.fixture
def hosts() -> Iterator[Installed]:
    if why := missing():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="packages-", dir="/var/tmp") as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        Path(folder).chmod(0o755)
        package.build(Path(folder), python=PYTHON, release="1", formats=["deb"])
        fleet = Installed(Path(f"/run/{Path(folder).name}"), shared)
        fleet.boot_bare()
        try:
            yield fleet
        finally:
            fleet.close()


def test_from_packages_to_a_fleet_and_back(hosts: Installed) -> None:
    put(hosts)
    hosts.walk("Install", only="dpkg")
    assert [hosts.of_us(host) for host in (CTL, NODE)] == [[], []]

    said = hosts.walk("Install", only="--dry-run")
    assert "certificate: /etc/dlroverd/tls/daemon.pem" in said
    assert "systemctl enable --now dlroverd.service" in said
    assert hosts.exec(CTL, "ls", "-A", ETC, f"{ETC}/tls") == f"{ETC}:\ntls\n\n{ETC}/tls:\n"
    assert hosts.walk("Install", only="setup daemon", but="--dry-run").count("make ") == 6
    assert "make " not in hosts.walk("Install", only="setup daemon", but="--dry-run")
    owners = hosts.exec(CTL, "stat", "-c", "%n %U %a", f"{ETC}/tls", f"{ETC}/tls/ca.key", f"{ETC}/tls/daemon.key")
    assert owners == f"{ETC}/tls dlroverd 755\n{ETC}/tls/ca.key dlroverd 600\n{ETC}/tls/daemon.key dlroverd 600\n"
    hosts.walk("Install", only="join")
    hosts.call()
    hosts.until_ready()
    see_the_doctor(hosts)

    words = ("--python", str(PYTHON), "--workdir", "/tmp", str(hosts.shared / "plain.py"), "1000000000")
    (hosts.shared / "plain.py").write_bytes((SCRIPTS / "plain.py").read_bytes())
    job = int(hosts.exec(CTL, "dlroverctl", "submit", "--parsable", "--nproc-per-node", "2", *words))
    hosts.until_stepping(job)
    ranks = hosts.ranks(job)
    services = {unit: hosts.main_pid(host, unit) for host, unit in ((CTL, DAEMON), (NODE, AGENT))}
    for old in hosts.shared.glob("*.deb"):
        old.unlink()
    package.pack(hosts.shared.parent, python=PYTHON, release="2", formats=["deb"])
    put(hosts)
    hosts.walk("Upgrade")
    assert hosts.exec(NODE, "dpkg-query", "-Wf", "${Version}", "dlroverd-agent").endswith("-2")
    for host, unit in ((CTL, DAEMON), (NODE, AGENT)):
        assert hosts.main_pid(host, unit) not in (0, services[unit])
    hosts.until_ready()
    step = gang(hosts.client.job(job)).step
    view = hosts.until_job(job, lambda view: gang(view).step >= step + 20)
    assert (hosts.ranks(job), view.restarts, view.incidents) == (ranks, 0, ())

    said = hosts.walk("Remove", only="dpkg")
    for folder in (ETC, "/var/lib/dlroverd", "/var/lib/dlroverd-agent"):
        assert f"left {folder} (" in said
        assert (hosts.root(NODE if "agent" in folder else CTL) / folder.lstrip("/")).is_dir()
    for host in (CTL, NODE):
        until(partial(hosts.of_us, host), lambda found: not found)
        assert list((hosts.root(host) / "opt").glob("dlrover*")) == []


def put(hosts: Installed) -> None:
    """Lay the packages that were made where the hosts see them."""
    for deb in hosts.shared.parent.glob("*.deb"):
        deb.rename(hosts.shared / deb.name)


def see_the_doctor(hosts: Installed) -> None:
    """See what he says of a node in a fleet; of a bed's kernel he has his own opinion."""
    said = json.loads(hosts.exec(NODE, "dlroverctl", "doctor", "-o", "json", code=None))
    verdicts = {each["check"]: each["verdict"] for each in said["findings"]}
    passed = ("configuration", "systemd", "memory", "certificate", "daemon", "clock skew", "python", "fingerprint")
    assert {name: verdicts[name] for name in passed} == dict.fromkeys(passed, "pass")
