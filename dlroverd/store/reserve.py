"""Space put aside while there was some, so that the log can still grow when the disk is full."""

import os
from pathlib import Path

from dlroverd.store.failures import is_full

_CHUNKS = 64
_LEAST_CHUNK_BYTES = 64 * 1024
_MARGIN = 4  # a quarter of the reserve must stay free beside it, or it would be spent again at once


class Reserve:
    """A preallocated file of up to `size_bytes`. Opening it takes no space; `restore` does."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _held_bytes(self) -> int:
        return os.fstat(self._file).st_size

    def _free_bytes(self) -> int:
        disk = os.fstatvfs(self._file)
        return disk.f_bavail * disk.f_frsize

    @property
    def whole(self) -> bool:
        """Whether all of it is there."""
        return self._held_bytes() >= self._size_bytes

    def release(self) -> bool:
        """Give a chunk back to the file system; False if nothing was left to give."""
        held_bytes = self._held_bytes()
        if held_bytes == 0:
            return False
        chunk_bytes = max(_LEAST_CHUNK_BYTES, self._size_bytes // _CHUNKS)
        os.ftruncate(self._file, max(0, held_bytes - chunk_bytes))
        os.fsync(self._file)  # some file systems hand out freed blocks only after their journal's commit
        return True

    def make_room(self, needed_bytes: int) -> None:
        """Release chunks until so much is free, or nothing is left to give."""
        while self._free_bytes() < needed_bytes and self.release():
            pass

    def restore(self) -> bool:
        """Fill up again if the disk has room for it and some more; give whether the reserve is whole."""
        held_bytes = self._held_bytes()
        if held_bytes > self._size_bytes:  # it was configured larger before
            os.ftruncate(self._file, self._size_bytes)
        if held_bytes >= self._size_bytes:
            return True
        missing_bytes = self._size_bytes - held_bytes
        if self._free_bytes() < missing_bytes + self._size_bytes // _MARGIN:
            return False
        try:
            os.posix_fallocate(self._file, held_bytes, missing_bytes)
        except OSError as error:
            os.ftruncate(self._file, held_bytes)
            if is_full(error):  # others were quicker
                return False
            raise
        return True

    def close(self) -> None:
        """Let go of the file; the space stays put aside."""
        os.close(self._file)
