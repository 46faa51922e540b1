"""The host itself: room on its disk, memory, its clock, its limits."""

import os
import resource
import tempfile
from pathlib import Path

import psutil

from dlroverd.plugin_api import CheckContext, CheckVerdict, Figure
from dlroverd_agent.checkups.builtin.look import bad, lack, ok, unknown

_MIB, _GIB = 1024**2, 1024**3
_LEAST_ROOM, _LEAST_INODES = 64 * _MIB, 1000
_LEAST_MEMORY = 256 * _MIB
# As far as the agent lets its clock be apart before it says so.
_CLOCK_LIMIT_S = 5.0
# A data loader with some workers takes hundreds.
_LEAST_FILES = 1024
_RDMA = Path("/sys/class/infiniband")


def disk(context: CheckContext) -> CheckVerdict:
    """See that what ranks say can be written, and brought to the disk."""
    where = context.state_dir
    found = os.statvfs(where)
    if short := lack(where, found, _LEAST_ROOM, _LEAST_INODES):
        return bad(short)
    try:
        with tempfile.TemporaryFile(dir=where) as file:
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
    except OSError as error:
        return bad(f"{where} cannot be written to ({error.strerror}): see the kernel's log, and mount it anew")
    left = found.f_bavail * found.f_frsize
    return ok(f"{left / _GIB:.1f} GiB are left for {where}", Figure(name="disk_free_bytes", value=left))


def memory(context: CheckContext) -> CheckVerdict:
    """See that there is memory for ranks; as much in all as like nodes have."""
    found = psutil.virtual_memory()
    return of_memory(found.total, found.available, busy=context.busy)


def of_memory(total: int, available: int, *, busy: bool) -> CheckVerdict:
    """Look at how much memory there is and how much of it is free, in bytes."""
    figure = Figure(name="memory_total_bytes", value=total, worse="less")
    if available < _LEAST_MEMORY:
        sentence = f"only {available // _MIB} MiB of memory are free"
        if busy:
            return unknown(f"{sentence}, while a job runs here")
        return bad(f"{sentence}, though no job runs here: see what takes it", figure)
    return ok(f"{available / _GIB:.1f} of {total / _GIB:.1f} GiB of memory are free", figure)


def clock(context: CheckContext) -> CheckVerdict:
    """See that the clock agrees with the daemon's, as it was when the agent connected."""
    off = context.clock_off_s
    if off is None:
        return unknown("no daemon has said its time since this agent began")
    if abs(off) > _CLOCK_LIMIT_S:
        which = "ahead of" if off > 0 else "behind"
        return bad(f"this host's clock is {abs(off):.0f} s {which} the daemon's: fix NTP on the one that is wrong")
    return ok(f"the clock is within {max(abs(off), 0.1):.1f} s of the daemon's")


def limits(_: CheckContext) -> CheckVerdict:
    """See that processes may open files enough, and lock memory where RDMA needs that."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return bounds(files, resource.getrlimit(resource.RLIMIT_MEMLOCK)[1], _RDMA)


def bounds(files: int, locked: int, rdma: Path) -> CheckVerdict:
    """Look at how many files a process may open, and how much it may lock; `rdma` has an entry for each RDMA device."""
    if files != resource.RLIM_INFINITY and files < _LEAST_FILES:
        return bad(f"a process may open {files} files: set LimitNOFILE of dlroverd-agent to {_LEAST_FILES} or more")
    if locked != resource.RLIM_INFINITY and _has(rdma):
        return bad(
            f"a process may lock {locked // 1024} KiB of memory, and RDMA needs to lock all it sends: set "
            "LimitMEMLOCK=infinity for dlroverd-agent"
        )
    return ok(f"a process may open {'any number of' if files == resource.RLIM_INFINITY else files} files")


def _has(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False
