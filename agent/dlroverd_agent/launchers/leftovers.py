"""Ends the processes of a rank whose shim was killed.

They are known by a variable in their environment, never by name or number alone. What took the variable out of
its environment is not found here; a living shim finds that too.
"""

import os
import signal
from pathlib import Path

MARKER = "DLROVERD_RANK_DIR"


def kill_leftovers(directory: Path) -> list[int]:
    """Send KILL to every process that carries the directory as its marker, and return their pids.

    An empty list means that none was left. Scans /proc, so it is for a thread.
    """
    wanted = f"{MARKER}={directory}".encode()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _kill(int(name), wanted)]


def _kill(pid: int, wanted: bytes) -> bool:
    if not _carries(pid, wanted):
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Looked at again: only now is the pid held to one process.
        if not _carries(pid, wanted):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it became another user's: it counts as left
    finally:
        os.close(descriptor)
    return True


def _carries(pid: int, wanted: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return wanted in file.read().split(b"\0")
    except OSError:
        return False  # ended meanwhile, or a process of another user, which no rank of ours is
