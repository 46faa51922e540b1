"""Hosts that have of us what packages bring, and whose commands are those of the operator's handbook."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dlroverd.client import Client
from scripts import package
from tests.fleet.harness import CTL, Fleet
from tests.system.fleet import DEADLINE_S, ROOT

# The hosts' own: that of the tests is nothing they have.
PYTHON = Path("/usr/bin/python3").resolve()


class Installed(Fleet):
    """A daemon's host, a login host and nodes, with nothing of this checkout on them but the packages in `shared`."""

    def boot_bare(self, nodes: int, daemons: int) -> None:
        """Boot the hosts."""
        self.up(daemons, "ctl", [str(self.shared)])
        self.up(1, "login", [str(self.shared)])
        self.nodes = self.up(nodes, "node", [str(self.shared)])

    def pack(self, release: str) -> None:
        """Lay packages of this release, and no others, where the hosts see them; those of the first one are built."""
        made = self.shared.parent
        for old in self.shared.glob("*.deb"):
            old.unlink()
        make = package.pack if (made / "root").exists() else package.build
        make(made, python=PYTHON, release=release, formats=["deb"])
        for deb in made.glob("*.deb"):
            deb.rename(self.shared / deb.name)

    def walk(self, section: str, *, only: str = "", but: str = "\n", node: str = "node1", ctl: str = CTL) -> str:
        """Type the commands of a section of the handbook, where it says so; gives what they wrote.

        `only` those with that word in them, none with that of `but`; what it types on node1 is typed on `node`, and
        what on ctl1 on `ctl`.
        """
        text = (ROOT / "docs/handbook.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        commands = [
            (host, command)
            for host, command in re.findall(r"^(\w+)# (.*)$", text, re.MULTILINE)
            if only in command and but not in command
        ]
        assert commands
        places = {"node1": node, CTL: ctl}
        return "".join(self.type(places.get(host, host), command) for host, command in commands)

    def type(self, host: str, command: str) -> str:
        """Type a command on a host, where the packages are; gives all that it writes."""
        return self.exec(host, "sh", "-ec", f"cd {self.shared}; {{ {command}; }} 2>&1")

    def call(self, ctl: str = CTL) -> None:
        """Connect to the daemon, which runs by now."""
        self.client = Client(f"unix://{self.root(ctl)}/run/dlroverd/dlroverd.sock", timeout_s=DEADLINE_S)

    def of_us(self, host: str) -> list[tuple[str, ...]]:
        """Give the command lines of all processes of a host that are ours or of a job."""
        return [
            each.argv
            for each in self.processes(host)
            if "DLROVERD_JOB" in each.environ or any("/dlroverd" in word for word in each.argv)
        ]


@contextmanager
def installed(nodes: int, daemons: int = 1) -> Iterator[Installed]:
    """Build the packages and boot hosts for them."""
    with TemporaryDirectory(prefix="packages-", dir="/var/tmp") as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        Path(folder).chmod(0o755)
        fleet = Installed(Path(f"/run/{Path(folder).name}"), shared)
        fleet.pack("1")
        try:
            fleet.boot_bare(nodes, daemons)
            yield fleet
        finally:
            fleet.close()
