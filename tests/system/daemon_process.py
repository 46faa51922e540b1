"""A real daemon process on directories of its own; ready means what systemd would be told."""

import asyncio
import os
import pwd
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dlroverd.client import Client
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.view import JobView

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0


class DaemonProcess:
    """One daemon after the other on one state directory and socket."""

    def __init__(self, root: Path, *options: str, python: Sequence[str] = (sys.executable,)) -> None:
        root.mkdir(exist_ok=True)
        self.state_dir = root / "state"
        self.socket = root / "run" / "s.sock"
        self.address = f"unix://{self.socket}"
        self.stderr = root / "stderr"
        self.process: asyncio.subprocess.Process | None = None
        self._notify = root / "notify"
        self._command = [
            *python,
            "-m",
            "dlroverd.daemon.main",
            "--state-dir",
            str(self.state_dir),
            "--listen",
            self.address,
            *options,
        ]

    async def start(self) -> None:
        """Start it and wait until it serves."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            self._notify.unlink(missing_ok=True)
            told.bind(os.fspath(self._notify))
            told.setblocking(False)
            await self.spawn(NOTIFY_SOCKET=str(self._notify))
            ready = asyncio.create_task(asyncio.get_running_loop().sock_recv(told, 4096))
            assert self.process is not None
            ended = asyncio.create_task(self.process.wait())
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            assert ready.done(), f"the daemon did not start: {self.said()}"
            assert ready.result().startswith(b"READY=1")
            ended.cancel()

    async def spawn(self, **environment: str) -> None:
        """Start it, and wait for nothing."""
        with self.stderr.open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, cwd=ROOT, stderr=stderr, env={**os.environ, **environment}
            )

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait for its end; gives its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; gives its exit status."""
        assert self.process is not None
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()

    def said(self) -> str:
        """Give all that every one of them wrote on stderr."""
        return self.stderr.read_text()

    def client(self) -> Client:
        """Make a client of it."""
        return Client(self.address, timeout_s=DEADLINE_S)


def spec(name: str = "job", *, ranks: int = 2, nodes: int = 1, max_restarts: int = 3) -> JobSpec:
    """Make a job of one gang."""
    role = RoleSpec(
        argv=("/bin/true",),
        cwd="/",
        env={"B": "2", "A": "1"},
        nproc_per_node=ranks // nodes,
        nodes_min=nodes,
        nodes_max=nodes,
    )
    user = User(uid=os.geteuid(), gid=os.getegid(), name=pwd.getpwuid(os.geteuid()).pw_name)
    return JobSpec(name=name, user=user, roles=(role,), max_restarts=max_restarts)


async def until(client: Client, job: int, met: Callable[[JobView], bool]) -> JobView:
    """Wait for a job to be as wanted; fails if it ends otherwise."""

    def watch() -> JobView:
        view = client.job(job)
        for view in client.watch(job):
            if met(view):
                return view
        raise AssertionError(f"it ended as {view}")

    async with asyncio.timeout(DEADLINE_S):
        return await asyncio.to_thread(watch)
