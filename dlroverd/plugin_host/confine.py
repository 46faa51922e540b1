"""Binds a child process to the life of the one that started it, and to less than its share. Cheap to import."""

import ctypes
import os
import resource
import signal
import sys

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# The daemon and the ranks go first for CPU, and this goes first when memory is short (of -1000..1000).
_NICE = 10
_OOM_SCORE_ADJ = 500


def confine(memory_bytes: int, host_pid: int) -> None:
    """Bind this process, and what it starts, to the host's life and to less than the host's share."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_CHILD_SUBREAPER, 1)):
        if libc.prctl(option, int(value), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != host_pid:
        sys.exit("the host is gone")
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.nice(_NICE)
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(_OOM_SCORE_ADJ))
