"""Removes the shared memory that a rank's libraries left: the kernel keeps it until the next boot.

A user may keep data in /dev/shm on purpose (a copy of a data set, for the next round too). So a file goes only if a
library named it, it is the job's user's, it was made in the rank's life, and no process has it open or mapped. A
System V segment goes only if the rank's main process itself made it and nobody is attached.
"""

import asyncio
import ctypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from dlroverd_agent.launchers.files import Record

_FOLDER = Path("/dev/shm")
# multiprocessing's shared memory and semaphores, torch's tensors, NCCL's and Gloo's rings.
_PREFIXES = ("psm_", "wnsm_", "sem.mp-", "torch_", "nccl-", "gloo")
_SEGMENTS = Path("/proc/sysvipc/shm")
_IPC_RMID = 0
# A process that hangs in the kernel may keep who asks for its maps waiting.
_LOOK_S = 5.0

_log = structlog.get_logger()


async def clear_left(record: Record, rank: str) -> None:
    """Remove what a rank left that is gone, as is every other one of its user, and tell of it."""
    if record.uid < 0 or not record.pid:
        return
    work = asyncio.create_task(asyncio.to_thread(_remove_left, record.uid, record.pid, record.started_at))
    done, _ = await asyncio.wait({work}, timeout=_LOOK_S)
    if not done:
        _log.warning("shared memory of a rank may be left: who uses it cannot be learnt", rank=rank)
    elif removed := work.result():
        _log.info("shared memory that a rank left is removed", rank=rank, removed=removed)


def _remove_left(uid: int, pid: int, since: float) -> list[str]:
    files = {path for path in _FOLDER.iterdir() if _may_go(path, uid, since)}
    removed = []
    for path in files - _in_use() if files else ():
        path.unlink(missing_ok=True)
        removed.append(str(path))
    for segment in _own_segments(uid, pid):
        ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
        removed.append(f"System V segment {segment}")
    return sorted(removed)


def _may_go(path: Path, uid: int, since: float) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    # The kernel's clock of files is some milliseconds behind; the change time is never before the birth.
    made_here = found.st_ctime >= since - 1.0
    return path.name.startswith(_PREFIXES) and stat.S_ISREG(found.st_mode) and found.st_uid == uid and made_here


def _in_use() -> set[Path]:
    """List the files of /dev/shm that any process has open or mapped."""
    return {Path(name) for process in Path("/proc").glob("[0-9]*") for name in _names_of(process)}


def _names_of(process: Path) -> Iterator[str]:
    try:
        for line in (process / "maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, slash, name = line.partition(f" {_FOLDER}/")
            if slash:
                yield f"{_FOLDER}/{name}"
        for descriptor in (process / "fd").iterdir():
            yield os.readlink(descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return  # it ended meanwhile


def _own_segments(uid: int, pid: int) -> Iterator[int]:
    if not _SEGMENTS.exists():
        return
    header, *lines = _SEGMENTS.read_text(encoding="ascii").splitlines()
    for line in lines:
        segment = dict(zip(header.split(), map(int, line.split()), strict=True))
        if (segment["uid"], segment["cpid"], segment["nattch"]) == (uid, pid, 0):
            yield segment["shmid"]
