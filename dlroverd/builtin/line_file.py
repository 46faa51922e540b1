"""A file of whole lines that is synced and rotated by size: what the file sink writes, and dead letters."""

import os
from contextlib import suppress
from itertools import pairwise


class LineFile:
    """Keeps one file open for append. Every line in it is whole."""

    def __init__(self, path: str, rotate_bytes: int, keep: int) -> None:
        """Open the file, or make it. A line that a crash left torn was not acknowledged, and goes.

        From `rotate_bytes` on it is begun anew, and the `keep` newest ones before it stay as `path.1` .. `path.keep`.
        """
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._open()
        os.ftruncate(self._fd, _whole_bytes(self._fd))

    def append(self, lines: bytes) -> None:
        """Add lines and sync them; on failure (OSError) nothing of them stays."""
        if os.fstat(self._fd).st_size >= self._rotate_bytes:
            self._rotate()
        before = os.fstat(self._fd).st_size
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, before)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _rotate(self) -> None:
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._keep + 1))]
        for newer, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                os.rename(newer, older)
        full = self._fd
        self._open()
        os.close(full)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        directory = os.open(os.path.dirname(self._path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _whole_bytes(fd: int) -> int:
    """How many bytes of the file are whole lines, searched from its end."""
    end = os.fstat(fd).st_size
    while end:
        begin = max(0, end - 65536)
        newline = os.pread(fd, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0
