"""Ranges of memory to files: several streams at once, a cap on all of them together, a checksum for each piece.

Whole blocks go from memory to the device without a copy (O_DIRECT): the page cache would cost a copy, push out what the
training reads, and have written nothing by the time of the sync. Where a file system has no such writes, the kernel is
told to begin each piece when it has it.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

PIECE = 8 << 20
"""Bytes that get a checksum together, and are written by one stream at a stretch."""

BLOCK = 4096
"""Bytes that memory and file offset of a direct write must be multiples of, for nearly every device."""

Piece = tuple[int, int]  # bytes, CRC-32


class Cap:
    """At most `rate` bytes a second, over all streams; 0 is no cap."""

    def __init__(self, rate: float = 0.0) -> None:
        self.rate = rate
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self, size: int) -> None:
        """Wait until `size` more bytes may go."""
        if not self.rate:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free_at)
            self._free_at = begin + size / self.rate
        time.sleep(begin - now)


class Part(NamedTuple):
    """Bytes `start` to `start + length` of the memory, to be written at `at` of the file."""

    at: int
    start: int
    length: int


def parts_of(ranges: Sequence[tuple[int, int]]) -> list[Part]:
    """Cut ranges of memory (start, length), which follow each other in the file, into pieces."""
    parts, at = [], 0
    for start, length in ranges:
        for offset in range(0, length, PIECE):
            size = min(PIECE, length - offset)
            parts.append(Part(at, start + offset, size))
            at += size
    return parts


class _File:
    """A file of a known size that is being written, from memory of whole pages."""

    def __init__(self, where: str, size: int) -> None:
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._buffered = os.open(where, flags | os.O_CREAT | os.O_EXCL, 0o644)
        self._direct = -1
        try:
            os.ftruncate(self._buffered, size)  # a write that makes a file longer holds up the others
            self._direct = os.open(where, flags | os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:  # there are no direct writes here
                self.close()
                raise

    def write(self, part: Part, piece: memoryview) -> None:
        """Write one piece. Only what begins and ends with a block, in memory and in the file, goes directly."""
        done = 0
        if self._direct >= 0 and not (part.at % BLOCK or part.start % BLOCK):
            try:
                done = self._write_to(self._direct, piece[: part.length // BLOCK * BLOCK], part.at)
            except OSError as error:
                if error.errno != errno.EINVAL:  # a device with larger blocks
                    raise
        if done < part.length:
            self._write_to(self._buffered, piece[done:], part.at + done)
            os.posix_fadvise(self._buffered, part.at + done, part.length - done, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make it durable."""
        os.fsync(self._buffered)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._buffered)
        if self._direct >= 0:
            os.close(self._direct)

    def _write_to(self, descriptor: int, piece: memoryview, at: int) -> int:
        """Write all of a piece; directly, up to where a write ended within a block, and give how much that is."""
        done = 0
        while done < len(piece) and not (descriptor == self._direct and done % BLOCK):
            done += os.pwrite(descriptor, piece[done:], at + done)
        return done


class Streams:
    """The threads that write; checksums and writes leave the interpreter's lock."""

    def __init__(self, count: int) -> None:
        self.cap = Cap()
        self._threads = ThreadPoolExecutor(count, "stream", _yield_to_training)

    def write(self, where: str, memory: memoryview, ranges: Sequence[tuple[int, int]]) -> list[Piece]:
        """Make a file of ranges of memory, durable when this returns. Raises OSError; then what is there is no file.

        Memory that does not begin with a page is written by way of the page cache.
        """
        parts = parts_of(ranges)
        file = _File(where, sum(part.length for part in parts))
        try:
            writing = [self._threads.submit(self._piece, file, memory, part) for part in parts]
            try:
                pieces = [each.result() for each in writing]
            finally:  # no stream may write on when the file is closed
                for each in writing:
                    if not each.cancel():
                        each.exception()
            file.sync()
            return pieces
        finally:
            file.close()

    def _piece(self, file: _File, memory: memoryview, part: Part) -> Piece:
        self.cap.wait(part.length)
        piece = memory[part.start : part.start + part.length]
        checksum = zlib.crc32(piece)
        file.write(part, piece)
        return part.length, checksum


def _yield_to_training() -> None:
    """Leave busy processors to the training, but for a sixtieth; one that it leaves free is all ours."""
    os.nice(19)  # of this thread, on Linux; all that is more is the least


def write_whole(where: str, content: bytes) -> None:
    """Write a small file, durable and under its name only when it is whole."""
    with open(where + ".new", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(where + ".new", where)


def sync_folder(where: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
