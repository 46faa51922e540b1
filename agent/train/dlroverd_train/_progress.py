"""The progress page: where a rank leaves its newest training step, and that of its newest checkpoint, for the agent.

A file of two records, each with a checksum by which a reader tells a whole one from one that is being written: magic,
version, process id, step, wall clock, monotonic clock; and behind it a mark, and the step of the newest checkpoint.
Agents and trainings from before the second one do not look at it, and leave zeros or nothing there. Then comes a mark
of a rank that asks at each step whether to save, and last what the rank is busy with (`_phase`), since when.
dlroverd_agent/progress.py reads it.

Written by pwrite and not through a mapping: a store into a mapped page of a full disk would end the training with
SIGBUS, a failed write is an OSError.
"""

import atexit
import errno
import os
import struct
import zlib
from time import monotonic, time
from typing import Optional

from . import _work
from ._descriptors import opened

MAGIC = b"DLRVDPRG"
VERSION = 1
CHECKPOINT = b"CKPT"
_RECORD = struct.Struct("<8sIIqdd")
_CHECKSUM = struct.Struct("<I")
_CHECKPOINT = struct.Struct("<4sq")
_CHECKPOINT_AT = _RECORD.size + _CHECKSUM.size
_ASKS, _ASKS_AT = b"ASKS", _CHECKPOINT_AT + _CHECKPOINT.size + _CHECKSUM.size
_PHASE, _PHASE_AT = struct.Struct("<4sId"), _ASKS_AT + len(_ASKS)

# How often the page is written at the most, as steps go: of short ones it is behind by that much, until the end.
EVERY_S = 0.1

_descriptor: Optional[int] = None  # noqa: UP045 - Python 3.9
# The newest step that is not on the page, with the monotonic clock of its end; and when the page was last written.
_newest: Optional[tuple[int, float]] = None  # noqa: UP045 - Python 3.9
_written = 0.0
_pid = os.getpid()  # asked for once: it is a call of the kernel's


def progress(step: int) -> None:
    """Say that training step `step` is done. Does nothing outside dlroverd, and never raises."""
    global _newest  # noqa: PLW0603 - one page per process
    now = monotonic()
    if now - _written >= EVERY_S:
        write_step(step)
    else:
        _newest = (step, now)
    _work.stepped()


def is_due() -> bool:
    """Say whether the page's step is so old that the next one is written."""
    return monotonic() - _written >= EVERY_S


def write_step(step: int, at: Optional[float] = None) -> None:  # noqa: UP045 - Python 3.9
    """Write that a step is done, at a time of the monotonic clock (now). Never raises."""
    global _newest, _written
    now = monotonic()
    _newest, _written = None, now
    at = now if at is None else at
    try:
        _write(_RECORD.pack(MAGIC, VERSION, _pid, int(step), time() - (now - at), at), 0)
    except (OSError, ValueError, TypeError, OverflowError, struct.error):
        pass  # a full disk, a step that is no number: nothing that should stop a training


def _catch_up() -> None:
    """Write the newest step, at the end of the process."""
    if _newest is not None:
        write_step(*_newest)


def checkpointed(step: int) -> None:
    """Say that the checkpoint of training step `step` is complete: all of it, of all ranks, is safe in storage.

    The job may be stopped right after it, to make room or to go on with other nodes. One rank saying so is enough.
    Does nothing outside dlroverd, and never raises.
    """
    try:
        _catch_up()
        _write(_CHECKPOINT.pack(CHECKPOINT, int(step)), _CHECKPOINT_AT)
    except (OSError, ValueError, TypeError, OverflowError, struct.error):
        pass


def asks() -> None:
    """Say that this rank asks at each step whether to save. Never raises."""
    try:
        descriptor = _page()
        if descriptor >= 0:
            os.pwrite(descriptor, _ASKS, _ASKS_AT)
    except OSError:
        pass


def write_phase(number: int) -> None:
    """Say which phase begins now, by its number. Never raises."""
    _catch_up()
    try:
        _write(_PHASE.pack(b"PHAS", number, time()), _PHASE_AT)
    except (OSError, struct.error):
        pass


def record() -> bytes:
    """Give the record of the newest step as it is on the page; empty if there is none, OSError if it cannot be read."""
    descriptor = _page()
    return os.pread(descriptor, _CHECKPOINT_AT, 0).strip(b"\0") if descriptor >= 0 else b""


def _write(record: bytes, at: int) -> None:
    """Write one record of the page, with its checksum, if there is a page."""
    descriptor = _page() if _descriptor is None else _descriptor
    if descriptor >= 0:
        try:
            os.pwrite(descriptor, record + _CHECKSUM.pack(zlib.crc32(record)), at)
        except OSError as error:
            if error.errno == errno.EBADF:
                _forget()  # the program closed it


def _page() -> int:
    """Open the page that the agent named, the first time; -1 if there is none or it cannot be had."""
    global _descriptor  # noqa: PLW0603 - one page per process
    if _descriptor is None:
        try:
            _descriptor = opened(os.environ.get("DLROVERD_PROGRESS_FILE", ""), os.O_RDWR)
        except OSError:
            _descriptor = -1
    return _descriptor


def _forget() -> None:
    global _descriptor  # noqa: PLW0603 - one page per process
    _descriptor = None


def _forked() -> None:
    global _newest, _pid
    _newest, _pid = None, os.getpid()
    _work.stop()


atexit.register(_catch_up)
os.register_at_fork(after_in_child=_forked)
