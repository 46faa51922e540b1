"""File systems: those that are to be mounted, and those that the job's folders are on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dlroverd.plugin_api import CheckContext, CheckState, CheckVerdict
from dlroverd_agent.checkups.builtin.look import bad, lack, ok, unknown

_MIB = 1024**2
_FSTAB, _MOUNTED = Path("/etc/fstab"), Path("/proc/self/mounts")
_NOT_MOUNTED = frozenset({"swap", "ignore", "none"})
_NETWORK = ("nfs", "nfs4", "lustre", "ceph", "cifs", "gpfs", "beegfs", "9p", "fuse")
_ANSWERS_S = 2.0
_LEAST_ROOM, _LEAST_INODES = 16 * _MIB, 100
_LOOK = "import os, sys; os.statvfs(sys.argv[1])"


def mounts(_: CheckContext) -> CheckVerdict:
    """See that all of /etc/fstab is mounted, writable where it says so, and that network file systems answer."""
    return of_tables(_FSTAB, _MOUNTED, answers)


def of_tables(fstab: Path, mounts: Path, answers: Callable[[str], bool]) -> CheckVerdict:
    """Hold what is mounted against what is to be; `answers` says whether a network file system does."""
    mounted = {where: (kind, options) for where, kind, options in _table(mounts)}
    for where, kind, options in _table(fstab):
        if kind in _NOT_MOUNTED or {"noauto", "nofail"} & options or not where.startswith("/"):
            continue
        if where not in mounted:
            return bad(f"{where}, which /etc/fstab names, is not mounted: `mount {where}`")
        if "ro" in mounted[where][1] and "ro" not in options:
            return bad(
                f"{where} is mounted for reading only, against /etc/fstab: see the kernel's log, and mount it anew"
            )
    silent = [where for where, (kind, _) in mounted.items() if kind.startswith(_NETWORK) and not answers(where)]
    if silent:
        return unknown(f"the file system at {silent[0]} does not answer within {_ANSWERS_S:g} s: see its server")
    return ok(f"{len(mounted)} file systems are mounted, with all that /etc/fstab names")


def _table(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        words = line.split()
        if len(words) >= 4 and not line.lstrip().startswith("#"):
            yield words[1].replace("\\040", " "), words[2], set(words[3].split(","))


def answers(where: str, look: str = _LOOK, within_s: float = _ANSWERS_S) -> bool:
    """Ask in a process of its own, which is left to the kernel if it is stuck there."""
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", look, where], stderr=subprocess.DEVNULL)
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return False
    return True


def paths(context: CheckContext) -> CheckVerdict:
    """See that there is room where the job works and writes."""
    job = context.job
    if job is None:
        return ok("no job's folders were to be looked at")
    figures = []
    for where in dict.fromkeys((job.cwd, job.env.get("TMPDIR") or "/tmp", "/dev/shm")):
        try:
            found = os.statvfs(where)
        except OSError as error:
            return _of_job(f"{where} cannot be looked at ({error.strerror}): make it, or use another folder")
        if short := lack(where, found, _LEAST_ROOM, _LEAST_INODES):
            return _of_job(short)
        figures.append(f"{found.f_bavail * found.f_frsize / 1024**3:.1f} GiB in {where}")
    return ok(f"there is room: {', '.join(figures)}")


def _of_job(sentence: str) -> CheckVerdict:
    return CheckVerdict(state=CheckState.BAD, sentence=sentence, of_job=True)
