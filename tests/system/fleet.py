"""A fleet on one machine: a real daemon, real agents as several nodes, and dlroverctl as people run it."""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dlroverd.client import Client
from dlroverd.model.view import JobView, NodeView
from dlroverd.protocol.errors import CallError

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
DLROVERCTL = (sys.executable, "-m", "dlroverd.cli.app")
DEADLINE_S = 60.0
OVER = ("succeeded", "failed", "cancelled")
T = TypeVar("T")


class Program:
    """A daemon or an agent: one process after the other on one state directory. `code` is where its packages are."""

    def __init__(self, module: str, log: Path, *options: str, code: Path = ROOT) -> None:
        self._command = [sys.executable, "-m", module, *options]
        self._log = log
        self.code = code
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it would tell systemd that it is ready."""
        address = f"dlroverd-test-{secrets.token_hex(8)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, self._log.open("ab") as log:
            told.bind(f"\0{address}")
            told.settimeout(DEADLINE_S)
            python_path = os.pathsep.join([str(self.code), *filter(None, [os.environ.get("PYTHONPATH")])])
            environ = {**os.environ, "NOTIFY_SOCKET": f"@{address}", "PYTHONPATH": python_path}
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self.code, env=environ)
            assert b"READY=1" in told.recv(4096), self._log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Signal it and wait for its end."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)
            self.process = None


class Waiting:
    """Waits for what a daemon says."""

    client: Client

    def until_nodes(self, met: Callable[[list[NodeView]], bool]) -> list[NodeView]:
        """Wait for the nodes to be as wanted."""
        return until(self.client.nodes, met)

    def until_job(self, job: int, met: Callable[[JobView], bool]) -> JobView:
        """Wait for a job to be as wanted."""
        return until(lambda: self.client.job(job), met)

    def until_stepping(self, job: int, round_: int = 1) -> JobView:
        """Wait until a job of one gang trains in that round: one rank may step before another is known to run."""

        def trains(view: JobView) -> bool:
            world = gang(view)
            return world.round == round_ and world.step >= 0 and all(rank.pid for rank in world.ranks)

        return self.until_job(job, trains)

    def until_over(self, job: int) -> JobView:
        """Wait for a job's end."""
        return self.until_job(job, lambda view: view.state in OVER)

    def end_jobs(self) -> None:
        """Cancel every job that goes on, and wait for its end."""
        for view in self.client.jobs():
            if view.state in OVER:
                continue
            try:
                self.client.cancel(view.id)
            except CallError:
                if self.client.job(view.id).state not in OVER:  # else it ended by itself at this very moment
                    raise
            self.until_over(view.id)


class Fleet(Waiting):
    """One daemon and its nodes, all below one folder; each side may run other code than this checkout's.

    `limits` are those of the daemon's configuration, `daemon` is more of that, and `agent` more of that of each agent;
    it serves at `listen` too.
    """

    def __init__(
        self,
        root: Path,
        *,
        limits: dict[str, str] | None = None,
        scheduling: dict[str, object] | None = None,
        agent: dict[str, object] | None = None,
        daemon: dict[str, object] | None = None,
        daemon_code: Path = ROOT,
        agent_code: Path = ROOT,
        listen: Sequence[str] = (),
    ) -> None:
        self.root = root
        config = root / "daemon.yaml"
        content = {"limits": limits or {}} | ({"scheduling": scheduling} if scheduling else {}) | (daemon or {})
        config.write_text(json.dumps(content))
        self._agent_code = agent_code
        self._agent = agent or {}
        self.address = f"unix://{root}/run/d.sock"
        self.state_dir = root / "daemon"
        self.daemon = Program(
            "dlroverd.daemon.main",
            root / "daemon.log",
            *("--config", str(config), "--state-dir", str(self.state_dir)),
            *(word for where in (self.address, *listen) for word in ("--listen", where)),
            code=daemon_code,
        )
        self.agents: dict[str, Program] = {}
        self.client = Client(self.address, timeout_s=DEADLINE_S)

    def start(self, nodes: int, slots: int) -> None:
        """Start the daemon and so many agents, and wait until all nodes are ready."""
        self.daemon.start()
        for _ in range(nodes):
            self.add_node(slots)
        self.until_nodes(lambda views: len(views) == nodes and all(usable(view) for view in views))

    def add_node(self, slots: int) -> str:
        """Start one more agent, and give its node's name."""
        node = f"n{len(self.agents) + 1}"
        first = random.randrange(20000, 29900, 100)  # tests run beside each other, and nodes share one host
        config = {
            "node": node,
            "daemon": [self.address],
            "state_dir": str(self.root / node),
            "slots": slots,
            **({"run_dir": str(self.root / f"{node}-run")} if self._agent_code == ROOT else {}),
            "port_range": f"{first}-{first + 99}",
            **self._agent,
        }
        file = self.root / f"{node}.yaml"
        file.write_text(json.dumps(config))
        log = self.root / f"{node}.log"
        self.agents[node] = Program("dlroverd_agent.main", log, "--config", str(file), code=self._agent_code)
        self.agents[node].start()
        return node

    def ctl(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run dlroverctl; fails if its exit code is another one."""
        done = dlroverctl(*words, DLROVERD_ADDRESS=self.address)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str) -> Any:
        """Run dlroverctl with -o json and give what it says."""
        return json.loads(self.ctl(*words, "-o", "json").stdout)

    def submit(self, *words: str) -> int:
        """Submit a job and give its id."""
        return int(self.ctl("submit", "--parsable", "--python", sys.executable, *words).stdout)

    def close(self) -> None:
        """End all jobs and processes, and see that none is left."""
        try:
            if self.daemon.process is not None:
                self.end_jobs()
        finally:
            self.client.close()
            for program in (*self.agents.values(), self.daemon):
                program.stop(signal.SIGKILL)
            left = until_none(self.root)
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        assert not left, f"these processes were left: {left}"


def gang(view: JobView) -> Any:
    """Give the gang of a job that has one."""
    (role,) = view.roles
    return role.gangs[0] if role.gangs else NO_GANG


class NO_GANG:  # noqa: N801 - stands for a value
    """What a job that was not placed yet has for a gang."""

    round = 0
    step = -1
    ranks = ()


def pids(view: JobView) -> list[int]:
    """Give the pids of a job's ranks, by rank."""
    return [rank.pid for rank in gang(view).ranks]


def dlroverctl(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run dlroverctl to its end."""
    return subprocess.run(
        [*DLROVERCTL, *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * 2,
        check=False,
    )


def usable(view: NodeView) -> bool:
    """Whether a node is ready and nobody holds it: new ones of a larger fleet are held until they have been checked."""
    return view.state == "ready" and not view.holds


def until(look: Callable[[], T], met: Callable[[T], bool]) -> T:
    """Look again until what is seen is as wanted."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not met(seen := look()):
        assert time.monotonic() < deadline_s, f"not seen in {DEADLINE_S:g} s; last: {seen}"
        time.sleep(0.02)
    return seen


def until_ended(pid: int) -> None:
    """Wait for a process's end."""
    until(lambda: Path(f"/proc/{pid}").exists(), lambda exists: not exists)


def until_none(folder: Path) -> list[int]:
    """Wait until no process has anything open below a folder; gives those that stay."""
    deadline_s = time.monotonic() + 10.0
    while (left := list(processes_of(folder))) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return left


def processes_of(folder: Path) -> Iterator[int]:
    """Yield the processes that have a file below a folder open, or name it in their environment."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) != os.getpid() and any(str(folder) in text for text in _facts(pid)):
            yield int(pid)


def _facts(pid: str) -> Iterator[str]:
    try:
        yield Path(f"/proc/{pid}/environ").read_text(errors="replace")
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            yield os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return  # it ended meanwhile
