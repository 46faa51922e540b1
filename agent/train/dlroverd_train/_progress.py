"""The progress page: where a rank leaves its newest training step for the agent.

A file of one record: magic, version, process id, step, wall clock, monotonic clock, and a checksum of these by
which a reader tells a whole record from one that is being written. dlroverd_agent/progress.py reads it.

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
PAGE_BYTES = 64
_RECORD = struct.Struct("<8sIIqdd")
_CHECKSUM = struct.Struct("<I")
_PADDING = bytes(PAGE_BYTES - _RECORD.size - _CHECKSUM.size)

_descriptor: Optional[int] = None  # noqa: UP045 - Python 3.9


def progress(step: int) -> None:
    """Say that training step `step` is done. Does nothing outside dlroverd, and never raises."""
    global _descriptor  # noqa: PLW0603 - one page per process
    try:
        if _descriptor is None:
            _descriptor = _open()
        if _descriptor >= 0:
            record = _RECORD.pack(MAGIC, VERSION, os.getpid(), int(step), time.time(), time.monotonic())
            os.pwrite(_descriptor, record + _CHECKSUM.pack(zlib.crc32(record)) + _PADDING, 0)
    except (OSError, ValueError, TypeError, OverflowError, struct.error):
        pass  # a full disk, a step that is no number: nothing that should stop a training


def _open() -> int:
    """Open the page that the agent named; -1 if there is none or it cannot be had."""
    path = os.environ.get("DLROVERD_PROGRESS_FILE", "")
    if not path:
        return -1
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return -1
