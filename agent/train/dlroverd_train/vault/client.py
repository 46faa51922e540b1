"""The rank's end of the vault's socket, and how a rank finds a vault or starts one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from dlroverd_train.vault import frames
from dlroverd_train.vault.server import VERSION

SOCKET = "DLROVERD_CHECKPOINT_SOCKET"
_START = 30.0  # seconds that a vault may take to listen


class UnavailableError(Exception):
    """There is no vault, or it refuses; one sentence."""


class Vault:
    """A connection that speaks for one rank of one session. Any thread may use it; one request goes at a time."""

    def __init__(self, path: str, session: str, rank: int, local: int, about: Mapping[str, Any]) -> None:
        """Attach to a vault. `about`: the path, keep and bandwidth of the session. Raises UnavailableError."""
        self._lock = threading.Lock()
        self.path = path
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with frames.short_name(path) as name:
                self._connection.connect(name)
            hello = {"session": session, "rank": rank, "local": local, "world": _world(), **about}
            answer, descriptors = self._exchange({"op": "attach", "version": VERSION, **hello})
        except (OSError, UnavailableError) as error:
            self._connection.close()
            raise (
                error if isinstance(error, UnavailableError) else UnavailableError(f"no vault at {path}: {error}")
            ) from error
        self.descriptor = descriptors[0]
        self.size, self.warm = int(answer["size"]), bool(answer["warm"])
        self.share_at, self.share, self.pid = int(answer["share_at"]), int(answer["share"]), int(answer["pid"])

    def ask(self, operation: str, **fields: Any) -> frames.Message:
        """Ask the vault for something. Raises UnavailableError."""
        return self._exchange({"op": operation, **fields})[0]

    def lost(self) -> bool:
        """Say whether the vault has ended. Costs one look at the socket."""
        if self._connection.fileno() < 0:
            return True
        ready, _, _ = select.select([self._connection], [], [], 0)
        return bool(ready)  # it never speaks first: this is its end

    def close(self) -> None:
        """End the connection; what the rank has in the vault stays."""
        self._connection.close()
        os.close(self.descriptor)

    def _exchange(self, message: frames.Message) -> tuple[frames.Message, list[int]]:
        with self._lock:
            try:
                frames.send(self._connection, message)
                answer, descriptors = frames.receive(self._connection, idle=60.0)
            except frames.GoneError as gone:
                raise UnavailableError(f"the vault at {self.path} has ended: {gone}") from gone
        if "refused" in answer:
            raise UnavailableError(str(answer["refused"]))
        return answer, descriptors


def find(run: str, memory: int, *, ranks: int, warm: bool, linger: float) -> str:
    """Give the socket of the vault for a run of this node's ranks: the agent's, one that is there, or a new one.

    `run` names the run equally on all ranks of the node. Raises UnavailableError.
    """
    given = os.environ.get(SOCKET)
    if given:
        return given
    above = f"/tmp/dlroverd-vault-{os.geteuid()}"
    folder = os.path.join(above, hashlib.sha256(run.encode()).hexdigest()[:16])
    try:
        for each in (above, folder):
            os.makedirs(each, mode=0o700, exist_ok=True)
            about = os.lstat(each)
            if about.st_uid != os.geteuid() or about.st_mode & 0o077:
                raise UnavailableError(f"{each} is not a folder that only user {os.geteuid()} may enter: remove it")
        lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = os.path.join(folder, "socket")
            if not _listens(path):
                _start(folder, memory, ranks, linger, warm=warm)
            return path
        finally:
            os.close(lock)
    except OSError as error:
        raise UnavailableError(f"no vault could be started in {folder}: {error}") from error


def _world() -> list[str] | None:
    """Name the world that this rank is of, as the agent gave it; None where no agent did."""
    names = ("DLROVERD_JOB", "DLROVERD_ROLE", "DLROVERD_GANG", "DLROVERD_ROUND")
    return [os.environ[name] for name in names] if all(name in os.environ for name in names) else None


def free_memory() -> int:
    """Give the bytes that this host has available."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) * 1024


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with frames.short_name(path) as name:
                connection.connect(name)
        except OSError:
            return False
        return True


def _start(folder: str, memory: int, ranks: int, linger: float, *, warm: bool) -> None:
    """Start a vault that outlives this process."""
    if memory > (free := free_memory()):
        raise UnavailableError(
            f"{memory / 1e6:,.1f} MB of checkpoint memory are asked for, this host has {free / 1e6:,.1f} MB available"
        )
    ready, told = os.pipe()
    main = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    arguments = [sys.executable, "-I", "-S", main, "--folder", folder, "--memory", str(memory)]
    arguments += ["--ranks", str(ranks), "--linger", str(linger), "--ready", str(told)] + ["--warm"] * warm
    try:
        with open(os.path.join(folder, "log"), "ab") as log:
            vault = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                pass_fds=(told,),
            )  # fmt: skip
        os.close(told)
        told = -1
        heard, _, _ = select.select([ready], [], [], _START)
        if not heard or vault.poll() is not None:
            vault.kill()
            raise UnavailableError(f"the vault did not start: {os.path.join(folder, 'log')} says why")
    finally:
        os.close(ready)
        if told >= 0:
            os.close(told)
