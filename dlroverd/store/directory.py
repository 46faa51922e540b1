"""The state directory: private to the daemon's user, and had by one process at a time."""

import fcntl
import os
import stat
from pathlib import Path

from dlroverd.store.interface import StoreLocked, StoreNotWritable

_PID_WIDTH = 20


def lock_directory(directory: Path) -> int:
    """Make the directory if it is missing, see that it is private, and lock it.

    Returns:
        The descriptor that holds the lock until it is closed or the process ends, however it ends.

    Raises:
        StoreNotWritable: others may enter the directory, or it is another user's.
        StoreLocked: another process has it.
        OSError: it cannot be made or written.
    """
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True)
        sync_directory(directory.parent)
    found = directory.stat()
    # Refused, not repaired: a mistyped path may name a directory that others need as it is.
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreNotWritable(
            f"the state directory {directory} must be its user's alone: "
            f"run `chown {os.geteuid()} {directory} && chmod 700 {directory}`, or name another one"
        )
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock, directory)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _take(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, _PID_WIDTH, 0).decode().strip()
        raise StoreLocked(
            f"the state directory {directory} is in use by another daemon (pid {pid or 'not known yet'}): "
            "stop that one, or name another state directory"
        ) from None
    # Written over in place at a fixed width: needs no new space, so a full disk does not stop a start.
    os.pwrite(lock, f"{os.getpid():<{_PID_WIDTH - 1}}\n".encode(), 0)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
