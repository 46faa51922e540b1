"""The progress page: where a rank leaves its newest training step, and that of its newest checkpoint, for the agent.

A file of two records, each with a checksum by which a reader tells a whole one from one that is being written: magic,
version, process id, step, wall clock, monotonic clock; and behind it a mark, and the step of the newest checkpoint.
Agents and trainings from before the second one do not look at it, and leave zeros or nothing there.
dlroverd_agent/progress.py reads it.

Written by pwrite and not through a mapping: a store into a mapped page of a full disk would end the training with
SIGBUS, a failed write is an OSError.
"""

import os
import struct
import time
import zlib
from typing import Optional

MAGIC = b"DLRVDPRG"
VERSION = 1
CHECKPOINT = b"CKPT"
_RECORD = struct.Struct("<8sIIqdd")
_CHECKSUM = struct.Struct("<I")
_CHECKPOINT = struct.Struct("<4sq")
_CHECKPOINT_AT = _RECORD.size + _CHECKSUM.size

_descriptor: Optional[int] = None  # noqa: UP045 - Python 3.9


def progress(step: int) -> None:
    """Say that training step `step` is done. Does nothing outside dlroverd, and never raises."""
    try:
        _write(_RECORD.pack(MAGIC, VERSION, os.getpid(), int(step), time.time(), time.monotonic()), 0)
    except (OSError, ValueError, TypeError, OverflowError, struct.error):
        pass  # a full disk, a step that is no number: nothing that should stop a training


def checkpointed(step: int) -> None:
    """Say that the checkpoint of training step `step` is complete: all of it, of all ranks, is safe in storage.

    The job may be stopped right after it, to make room or to go on with other nodes. One rank saying so is enough.
    Does nothing outside dlroverd, and never raises.
    """
    try:
        _write(_CHECKPOINT.pack(CHECKPOINT, int(step)), _CHECKPOINT_AT)
    except (OSError, ValueError, TypeError, OverflowError, struct.error):
        pass


def _write(record: bytes, at: int) -> None:
    """Write one record of the page, with its checksum, if there is a page."""
    global _descriptor  # noqa: PLW0603 - one page per process
    if _descriptor is None:
        _descriptor = _open()
    if _descriptor >= 0:
        os.pwrite(_descriptor, record + _CHECKSUM.pack(zlib.crc32(record)), at)


def _open() -> int:
    """Open the page that the agent named; -1 if there is none or it cannot be had."""
    path = os.environ.get("DLROVERD_PROGRESS_FILE", "")
    if not path:
        return -1
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return -1
