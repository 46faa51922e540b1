"""Finds the processes of ranks of the process launcher, to end those that no shim and no record answers for any more.

They are known by a variable in their environment, never by name or number alone. What took the variable out of
its environment is not found here; a living shim finds that too.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from dlroverd_agent.launchers import parking, shim

MARKER = "DLROVERD_RANK_DIR"
_SHIMS = {os.fsencode(os.path.abspath(str(program.__file__))) for program in (shim, parking)}


def kill_leftovers(directory: Path) -> list[int]:
    """Send KILL to every process that carries the directory as its marker, and return their pids.

    An empty list means that none was left. Scans /proc, so it is for a thread.
    """
    return signal_carriers(directory, signal.SIGKILL)


def kill_unrecorded(root: Path) -> list[int]:
    """Send KILL to every process of a rank whose directory in `root` was deleted, and return their pids.

    Nobody can supervise, stop or even name such a rank again, and its place may be given to another.
    """
    return _signal_all(lambda marked: marked.parent == root and not marked.exists(), signal.SIGKILL)


def kill_shim(directory: Path) -> list[int]:
    """Send KILL to the shim that works in a rank's directory, which takes its rank along, and return its pid."""

    def is_shim(pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return not _SHIMS.isdisjoint(words) and os.readlink(f"/proc/{pid}/cwd") == os.fspath(directory)
        except OSError:
            return False  # ended meanwhile, or a process of another user

    return [pid for pid in _pids() if _signal(pid, is_shim, signal.SIGKILL)]


def marked(root: Path) -> set[str]:
    """Give the names of those ranks' directories in `root` that processes carry as their marker. Scans /proc."""
    return {path.name for pid in _pids() for path in _markers(pid) if path.parent == root}


def is_alive(pid: int) -> bool:
    """Tell whether a process with that number is there, and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")


def signal_carriers(directory: Path, number: signal.Signals) -> list[int]:
    """Send a signal to every process that carries the directory as its marker; their pids. For a thread."""
    return _signal_all(lambda marked: marked == directory, number)


def signal_carrier(pid: int, directory: Path, number: signal.Signals) -> bool:
    """Send a signal to one process if it carries the directory as its marker; whether it does."""
    return _signal(pid, _carrying(lambda marked: marked == directory), number)


def _signal_all(wanted: Callable[[Path], bool], number: signal.Signals) -> list[int]:
    return [pid for pid in _pids() if _signal(pid, _carrying(wanted), number)]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _signal(pid: int, meant: Callable[[int], bool], number: signal.Signals) -> bool:
    if not meant(pid):
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Looked at again: only now is the pid held to one process.
        if not meant(pid):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it became another user's: it counts as left
    finally:
        os.close(descriptor)
    return True


def _carrying(wanted: Callable[[Path], bool]) -> Callable[[int], bool]:
    return lambda pid: any(map(wanted, _markers(pid)))


def _markers(pid: int) -> list[Path]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return []  # ended meanwhile, or a process of another user, which no rank of ours is
    prefix = f"{MARKER}=".encode()
    return [Path(os.fsdecode(each[len(prefix) :])) for each in variables if each.startswith(prefix)]
