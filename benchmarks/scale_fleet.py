"""A real daemon process and processes full of simulated agents on this machine, over mutual TLS on loopback."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from scale_agents import BEAT_S, SLOTS, node_name
from scale_open_files import allow_connections

from dlroverd.client import Client
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.protocol.channel import DAEMON_NAME
from dlroverd.protocol.errors import CallError
from dlroverd.testing.certificates import Authority

ROOT = Path(__file__).parents[1]
PROCESSES = 4
_LIMIT_S = 180.0
_POLL_S = 0.02
_PROBES_PER_S = 20.0
# What a job's environment is like: some 30 variables, 2 KB.
_ENVIRONMENT = {f"SETTING_OF_THE_JOB_{number:02}": "value" * 8 for number in range(30)}


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen in a while: cores that the daemon and the processes of agents took, on average, and the seconds
    that answers took, of the daemon to beats of agents and to calls of a client.
    """

    daemon: float
    agents: float
    beats: list[float]
    calls: list[float]


class Fleet:
    """One daemon with its agents; every one dialled when it is made."""

    def __init__(self, folder: Path, nodes: int) -> None:
        """Start the daemon, then the agents, and wait until the hello of each was acknowledged."""
        self.nodes = nodes
        self._folder = folder
        self._address = f"unix://{folder}/run/s.sock"
        self._port = _free_port()
        self._write_files()
        self._daemon = self._start_daemon()
        self.client = Client(self._address, timeout_s=60.0)
        self._wait(self._serves, "the daemon does not serve")
        self.empty_rss = self.rss()
        self._agents = [self._start_agents(number) for number in range(PROCESSES)]
        self.until_reconciled(0.0)

    def close(self) -> None:
        """End all of it."""
        self.client.close()
        for process in (self._daemon, *self._agents):
            process.kill()
            process.wait()

    # ---- what is asked of the agents

    def until_reconciled(self, since: float) -> float:
        """Wait until the hello of each agent was acknowledged, the last after `since`; gives when that was."""

        def reconciled() -> float | None:
            notes = self._notes()
            last: float = max(each["reconciled_at"] for each in notes)
            return last if sum(each["reconciled"] for each in notes) == self.nodes and last > since else None

        return float(self._wait(reconciled, "not every hello was acknowledged"))

    def until_told(self, job: int, round_: int, nodes: int) -> float:
        """Wait until so many agents were told to run a round of a job; gives when the last one was."""

        def told() -> float | None:
            found = [each["worlds"].get(f"{job}@{round_}", (0, 0.0)) for each in self._notes()]
            return float(max(last for _, last in found)) if sum(count for count, _ in found) == nodes else None

        return float(self._wait(told, f"round {round_} of job {job} did not reach {nodes} agents"))

    def kill_rank(self) -> float:
        """Have a rank of the last agent of the fleet die; gives when."""
        killed: float = self._ask(self._agents[-1], do="kill", agent=-1)
        return killed

    def watch(self, window_s: float) -> "Window":
        """See for a while what the daemon takes, and how soon it answers agents' beats and a client's small call."""
        self._notes()
        for process in self._agents:
            self._ask(process, do="probe", per_s=_PROBES_PER_S / PROCESSES)
        calls: list[float] = []
        began, before = time.monotonic(), self._cpu_s()
        while (now := time.monotonic()) < began + window_s:
            self.client.info()
            calls.append(time.monotonic() - now)
            time.sleep(1 / _PROBES_PER_S)
        spent, after = time.monotonic() - began, self._cpu_s()
        for process in self._agents:
            self._ask(process, do="probe", per_s=0.0)
        beats = [each for notes in self._notes() for each in notes["round_trips_s"]]
        daemon, agents = ((end - begin) / spent for begin, end in zip(before, after, strict=True))
        return Window(daemon=daemon, agents=agents, beats=beats, calls=calls)

    # ---- the daemon

    def restart_daemon(self) -> tuple[float, float]:
        """Kill the daemon and start it again at once; gives when it was killed, and when it served again."""
        killed = time.monotonic()
        self._daemon.kill()
        self._daemon.wait()
        self._daemon = self._start_daemon()
        self._wait(self._serves, "the daemon does not serve")
        return killed, time.monotonic()

    def rss(self) -> int:
        """Give the daemon's resident memory in bytes."""
        return int(psutil.Process(self._daemon.pid).memory_info().rss)

    def daemon_cpu_s(self) -> float:
        """Give the processor seconds that the daemon has taken since it started, in all its threads."""
        return sum(psutil.Process(self._daemon.pid).cpu_times()[:2])

    def submit(self, nodes: int) -> int:
        """Submit a job of one gang over so many nodes, all their slots; gives its number."""
        role = RoleSpec(
            argv=(sys.executable, "/srv/train.py", "--config", "/srv/config.yaml"),
            cwd="/srv",
            env=_ENVIRONMENT,
            nodes_min=nodes,
            nodes_max=nodes,
            nproc_per_node=SLOTS,
        )
        user = User(uid=1000, gid=1000, name="ann")
        # Nothing but what is measured ends or restarts it.
        spec = JobSpec(
            name="scale",
            user=user,
            roles=(role,),
            start_timeout_s=600.0,
            max_restarts=1000,
            no_progress_restarts=0,
        )
        return self.client.submit(spec)

    def form(self) -> tuple[float, int]:
        """Submit a job over all nodes; gives the seconds until the last agent was told to run it, and its number."""
        began = time.monotonic()
        job = self.submit(self.nodes)
        return self.until_told(job, 1, self.nodes) - began, job

    def until_running(self, job: int) -> None:
        """Wait until every rank of a job is known to run."""
        self._wait(lambda: self.client.job(job).state == "running" or None, f"job {job} does not run", 0.2)

    def finish(self, job: int) -> None:
        """Cancel a job, and wait until it is over."""
        self.client.cancel(job)
        self._wait(lambda: self.client.job(job).state == "cancelled" or None, f"job {job} does not end", 0.2)

    # ---- within

    def _serves(self) -> bool | None:
        try:
            return bool(self.client.info())
        except CallError:
            return None

    def _write_files(self) -> None:
        authority = Authority(self._folder / "tls")
        own = authority.issue(DAEMON_NAME)
        for number in range(self.nodes):
            authority.issue(node_name(number))
        (self._folder / "dlroverd.yaml").write_text(
            f"state_dir: {self._folder}/state\n"
            f'listen: ["{self._address}", "tcp://127.0.0.1:{self._port}"]\n'
            f"tls: {{ca: {own.ca}, certificate: {own.certificate}, key: {own.key}}}\n"
            # Five beats in it: a beat each 5 s.
            f"limits: {{unreachable_after: {5 * BEAT_S:g}s, lost_after: {10 * BEAT_S:g}s, placing: 30s}}\n"
            "log: {level: warning, format: json}\n"
        )

    def _start_daemon(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dlroverd.daemon.main", "--config", str(self._folder / "dlroverd.yaml")]
        with (self._folder / "stderr").open("ab") as stderr:
            return subprocess.Popen(command, cwd=ROOT, stderr=stderr)

    def _start_agents(self, number: int) -> "subprocess.Popen[bytes]":
        first, after = (self.nodes * each // PROCESSES for each in (number, number + 1))
        address, tls = f"tcp://127.0.0.1:{self._port}", str(self._folder / "tls")
        command = [sys.executable, str(Path(__file__).with_name("scale_agents.py")), address, tls]
        return subprocess.Popen(
            [*command, str(first), str(after - first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _notes(self) -> list[dict[str, Any]]:
        return [self._ask(process, do="notes") for process in self._agents]

    def _ask(self, process: "subprocess.Popen[bytes]", **order: Any) -> Any:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process of agents has no pipes")
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("a process of agents has ended; its error is above")
        return json.loads(line)

    def _wait(self, met: Callable[[], Any], sentence: str, poll_s: float = _POLL_S) -> Any:
        end = time.monotonic() + _LIMIT_S
        while (found := met()) is None:
            if self._daemon.poll() is not None:
                raise RuntimeError(f"the daemon has ended: {(self._folder / 'stderr').read_text()[-2000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"{sentence} within {_LIMIT_S:g} s")
            time.sleep(poll_s)
        return found

    def _cpu_s(self) -> tuple[float, float]:
        agents = sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in self._agents)
        return self.daemon_cpu_s(), agents


@contextmanager
def fleet(nodes: int) -> Iterator[Fleet]:
    """Make a daemon with so many agents, for a while."""
    allow_connections()
    with tempfile.TemporaryDirectory(prefix="scale-", dir="/var/tmp") as folder:
        os.mkdir(f"{folder}/state", 0o700)
        made = Fleet(Path(folder), nodes)
        try:
            yield made
        finally:
            made.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
