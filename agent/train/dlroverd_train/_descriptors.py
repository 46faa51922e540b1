"""Descriptors that stay ours for as long as the process lives."""

import fcntl
import os
import stat

# A program that closes every descriptor it does not know (a daemon does) opens its next files from the lowest number
# on: up here ours becomes a bad descriptor, not one of its checkpoints.
_FROM = 700


def opened(path: str, flags: int) -> int:
    """Open a regular file, made if need be; OSError if it cannot be had, or is something else, which may block."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        try:
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FROM)
        except OSError:  # the limit is below
            return os.dup(descriptor)
    finally:
        os.close(descriptor)
