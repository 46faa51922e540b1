"""Opens what a rank wrote. A rank's user chose every byte of it, and may have put anything in its place."""

import os
import stat
from pathlib import Path


class RankFile:
    """A plain file of a rank, read by offset. Blocking: for a thread, or for a bounded look."""

    def __init__(self, path: Path) -> None:
        """Open it; OSError if it is not there, or is no plain file with one name (a link, a FIFO, a device)."""
        # A file object and no bare descriptor: it closes with the last reference, if a reader is cancelled midway.
        self._file = open(path, "rb", buffering=0, opener=_open_nothing_else)  # noqa: SIM115 - closed by `close`
        self._descriptor = self._file.fileno()
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            self.close()
            raise OSError(f"{path} is no plain file of its own")

    def size(self) -> int:
        """Count the bytes written so far."""
        return os.fstat(self._descriptor).st_size

    def first_byte(self) -> int:
        """Give the offset of the first byte that is still there; its head may have been let go."""
        try:
            return os.lseek(self._descriptor, 0, os.SEEK_DATA)
        except OSError:
            return 0  # empty, or a file system that knows no holes

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Read at most `limit_bytes` from `offset`; b"" at the end."""
        return os.pread(self._descriptor, limit_bytes, offset)

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _open_nothing_else(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
