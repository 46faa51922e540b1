"""dlroverd on a fleet: the daemon on ctl1, agents on node1 to nodeN, by our units and with mutual TLS.

The checkout, its virtual environment and one shared folder are the same in every host as here.

    def test_a_rank_is_killed(fleet: Fleet) -> None:        # fixture `fleet`: two nodes, all ready
        job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), "1000")
        fleet.until_stepping(job)
        fleet.kill("node2")                                  # what the test leaves broken is mended after it
        fleet.until_job(job, lambda view: ...)               # fleet.client is a Client of the daemon
"""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlroverd.client import Client
from dlroverd.protocol.channel import TlsFiles
from dlroverd.testing.certificates import Authority
from tests.fleet.bed import Bed, Process
from tests.system.fleet import DEADLINE_S, ROOT, Waiting, gang, usable

CTL = "ctl1"
DAEMON, AGENT = "dlroverd.service", "dlroverd-agent.service"
SCRIPTS = Path(__file__).parent / "scripts"
PORT = 7700

_PYTHON = Path(sys.executable)
CTL_PROGRAM = str(_PYTHON.parent / "dlroverctl")
_TLS = Path("/etc/dlroverd/tls")


class Fleet(Bed, Waiting):
    """A running fleet. `shared` is a folder that all hosts see under the same path; `nodes` the agents' hosts."""

    def __init__(self, state: Path, shared: Path) -> None:
        super().__init__(state)
        self.shared = shared
        self.nodes: list[str] = []
        self._overridden: list[tuple[str, str]] = []
        self._authority = Authority(shared.parent / "authority")

    def boot(self, nodes: int, *, daemon: Mapping[str, Any], agent: Mapping[str, Any]) -> None:
        """Boot all hosts and start dlroverd on them; `daemon` and `agent` are added to their configurations."""
        binds = [f"{ROOT}:ro", str(self.shared)]
        # What is below /tmp is hidden by the host's own.
        binds += [f"{path}:ro" for path in _needed() if path.is_relative_to("/tmp") and not path.is_relative_to(ROOT)]
        self.up(1, "ctl", binds)
        self.nodes = self.up(nodes, "node", binds)
        self._install(CTL, DAEMON, _confined(), certificate=self._authority.issue("dlroverd", hosts=[CTL]))
        listen = ["unix:///run/dlroverd/dlroverd.sock", f"tcp://{CTL}:{PORT}"]
        self.configure(CTL, {"listen": listen, "tls": _tls_section(), "allow_root": True, **daemon})
        self._enable(CTL, DAEMON)
        for node in self.nodes:
            self._install(node, AGENT, "", certificate=self._authority.issue(node))
            self.configure(node, {"daemon": [f"tcp://{CTL}:{PORT}"], "tls": _tls_section(), **agent})
            self._enable(node, AGENT)
        self.client = self._dial()
        self.until_nodes(lambda views: [view.id for view in views if usable(view)] == sorted(self.nodes))

    def configure(self, host: str, config: Mapping[str, Any]) -> None:
        """Write the whole configuration of a host's daemon or agent; restart its unit to have it read."""
        name = "dlroverd.yaml" if host == CTL else "agent.yaml"
        (self.root(host) / "etc/dlroverd" / name).write_text(json.dumps(config))

    def reconfigure(self, host: str, **changes: Any) -> None:
        """Change settings of a host's daemon or agent, and restart it with them."""
        name, unit = ("dlroverd.yaml", DAEMON) if host == CTL else ("agent.yaml", AGENT)
        config = json.loads((self.root(host) / "etc/dlroverd" / name).read_text())
        self.configure(host, {**config, **changes})
        self.exec(host, "systemctl", "restart", unit)

    def override(self, host: str, unit: str, *lines: str) -> None:
        """Add lines to the [Service] of a unit until the test is over; restart it to have them."""
        drop_in = self.root(host) / f"run/systemd/system/{unit}.d/test.conf"
        _write(drop_in, "\n".join(["[Service]", *lines, ""]).encode())
        self.exec(host, "systemctl", "daemon-reload")
        self._overridden.append((host, unit))

    def start(self, host: str) -> None:
        """Boot a dead host; its units start by themselves."""
        super().start(host)
        self._booted(host)

    def reboot(self, host: str) -> None:
        """Reboot a host in good order."""
        super().reboot(host)
        self._booted(host)

    # ---- what people do

    def ctl(self, *words: str, code: int = 0) -> str:
        """Run dlroverctl on ctl1 as root; gives its stdout. Fails if its exit code is another one."""
        return self.exec(CTL, CTL_PROGRAM, *words, code=code)

    def json(self, *words: str) -> Any:
        """Run dlroverctl with -o json and give what it says."""
        return json.loads(self.ctl(*words, "-o", "json"))

    def submit(self, *words: str) -> int:
        """Submit a job to run in the shared folder with this Python; gives its id."""
        return int(self.ctl("submit", "--parsable", "--python", str(_PYTHON), "--workdir", str(self.shared), *words))

    # ---- what is waited for and looked at (`Waiting` has more)

    def until_ready(self) -> None:
        """Wait until every node is ready."""
        self.until_nodes(lambda views: [view.id for view in views if view.state == "ready"] == sorted(self.nodes))

    def ranks(self, job: int) -> dict[tuple[str, int], Process]:
        """Give the main processes of a job's current ranks by node and rank, as the hosts have them."""
        wanted = {(rank.node, rank.pid): rank.rank for rank in gang(self.client.job(job)).ranks}
        nodes = {node for node, _ in wanted}
        return {
            (node, wanted[node, each.pid]): each
            for node in nodes
            for each in self.processes(node)
            if (node, each.pid) in wanted
        }

    def of_job(self, host: str, job: int) -> list[Process]:
        """Give the processes of a job that run on a host: all that have its number in their environment."""
        return [each for each in self.processes(host) if each.environ.get("DLROVERD_JOB") == str(job)]

    def main_pid(self, host: str, unit: str) -> int:
        """Give the pid of a service's main process in its host; 0 if it has none."""
        return int(self.exec(host, "systemctl", "show", "--value", "-p", "MainPID", unit))

    # ---- between two tests

    def settle(self) -> None:
        """End all faults and all jobs, and wait until every node is ready and nothing of any job is left."""
        self.mend()
        for host, unit in self._overridden:
            (self.root(host) / f"run/systemd/system/{unit}.d/test.conf").unlink(missing_ok=True)
            self.exec(host, "systemctl", "daemon-reload")
            self.exec(host, "systemctl", "restart", unit)
        self._overridden.clear()
        for unit, host in self._services():
            self.exec(host, "systemctl", "start", unit)
        self.until_ready()
        self.end_jobs()
        left = [(node, each) for node in self.nodes for each in self.processes(node) if "DLROVERD_JOB" in each.environ]
        assert not left, f"these processes were left: {left}"

    def journals(self) -> Iterator[str]:
        """Give what the daemon and each agent wrote, for a test that failed."""
        for unit, host in self._services():
            yield f"---- {unit} on {host}\n{self.journal(host, unit, '-o', 'cat', '-n', '100')}"

    def close(self) -> None:
        """Take everything away."""
        if hasattr(self, "client"):
            self.client.close()
        self.down()

    def _services(self) -> list[tuple[str, str]]:
        return [(DAEMON, CTL), *((AGENT, node) for node in self.nodes)]

    def _booted(self, host: str) -> None:
        if host == CTL:
            self.client.close()
            self.client = self._dial()

    def _dial(self) -> Client:
        """Connect to the daemon's socket from outside of its host: works whatever happens to the network."""
        return Client(f"unix://{self.root(CTL)}/run/dlroverd/dlroverd.sock", timeout_s=DEADLINE_S)

    def _install(self, host: str, unit: str, drop_in: str, *, certificate: TlsFiles) -> None:
        """Put a unit, what comes with it, and a certificate into a host."""
        root = self.root(host)
        units = root / "etc/systemd/system"
        for file in (unit, "dlroverd.slice"):
            _write(units / file, (ROOT / "systemd" / file).read_bytes())
        program = _PYTHON.parent / unit.removesuffix(".service")
        _write(units / f"{unit}.d/here.conf", f"[Service]\nExecStart=\nExecStart={program}\n{drop_in}".encode())
        for folder in ("sysusers.d", "tmpfiles.d"):
            _write(root / "etc" / folder / "dlroverd.conf", (ROOT / "systemd" / folder / "dlroverd.conf").read_bytes())
        for name, path in (("ca", certificate.ca), ("certificate", certificate.certificate), ("key", certificate.key)):
            _write(root / str(_TLS).lstrip("/") / f"{name}.pem", Path(path).read_bytes(), mode=0o400)

    def _enable(self, host: str, unit: str) -> None:
        # Users other than root must be able to run this Python, too.
        above = {parent for path in _needed() for parent in path.parents}
        passable = [str(path) for path in above if not path.stat().st_mode & 0o001]
        steps = [
            ("systemd-tmpfiles", "--create", "dlroverd.conf"),
            *([("chmod", "o+x", *passable)] if passable else []),
            ("systemctl", "daemon-reload"),
        ]
        if unit == DAEMON:  # agents may start beside each other: that they are ready is seen in the daemon
            user = [("systemd-sysusers", "dlroverd.conf"), ("chown", "-R", "dlroverd:", str(_TLS))]
            steps += [*user, ("systemctl", "enable", "--now", unit)]
        else:
            steps += [("systemctl", "enable", "--now", "--no-block", unit)]
        self.exec(host, "sh", "-ec", "\n".join(shlex.join(step) for step in steps))


def _needed() -> list[Path]:
    """Give the folders that our programs are in: the checkout, the virtual environment, its Python."""
    return [path for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix)) if path != Path("/usr")]


def _confined() -> str:
    """Let the confined daemon see our programs, wherever they are: /root and /tmp are not there for it."""
    lines = ["ProtectHome=tmpfs", *(f"BindReadOnlyPaths={path}" for path in _needed())]
    return "".join(f"{line}\n" for line in lines)


def _tls_section() -> dict[str, str]:
    return {name: str(_TLS / f"{name}.pem") for name in ("ca", "certificate", "key")}


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
