"""Opens what a rank wrote. A rank's user chose every byte of it, and may have put anything in its place."""

import ctypes
import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

# linux/falloc.h; Python's os.posix_fallocate takes no mode.
_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 0x01, 0x02
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class NoHolesError(OSError):
    """The file system cannot let go of a part of a file."""


class RankFile:
    """A plain file of a rank, read by offset. Blocking: for a thread, or for a bounded look."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        """Open it; OSError if it is not there, or is no plain file with one name (a link, a FIFO, a device)."""
        # A file object and no bare descriptor: it closes with the last reference, if a reader is cancelled midway.
        mode = "r+b" if writable else "rb"
        self._file = open(path, mode, buffering=0, opener=_open_nothing_else)  # noqa: SIM115 - closed by `close`
        self._descriptor = self._file.fileno()
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            self.close()
            raise OSError(f"{path} is no plain file of its own")

    def __enter__(self) -> Self:
        """Give the file itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def size(self) -> int:
        """Count the bytes written so far."""
        return os.fstat(self._descriptor).st_size

    def written_at(self) -> float:
        """Give the time of the last write (wall clock, seconds)."""
        return os.fstat(self._descriptor).st_mtime

    def first_byte(self) -> int:
        """Give the offset of the first byte that is still there; its head may have been let go."""
        try:
            return os.lseek(self._descriptor, 0, os.SEEK_DATA)
        except OSError:
            return 0  # empty, or a file system that knows no holes

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Read at most `limit_bytes` from `offset`; b"" at the end."""
        return os.pread(self._descriptor, limit_bytes, offset)

    def let_go(self, head_bytes: int) -> None:
        """Give the disk back what the file's head takes, whole blocks of it; offsets stay what they were.

        The file is opened `writable`. NoHolesError, or another OSError from the disk.
        """
        block_bytes = os.fstat(self._descriptor).st_blksize
        head_bytes -= head_bytes % block_bytes
        how = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
        if head_bytes and _LIBC.fallocate(self._descriptor, how, 0, head_bytes) != 0:
            number = ctypes.get_errno()
            if number in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise NoHolesError(number, os.strerror(number))
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _open_nothing_else(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
