"""Ranges of memory to files: several streams at once, a cap on all of them together, a checksum for each piece."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

PIECE = 8 << 20
"""Bytes that get a checksum together, and are written by one stream at a stretch."""

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


class Streams:
    """The threads that write; checksums and writes leave the interpreter's lock."""

    def __init__(self, count: int) -> None:
        self.cap = Cap()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="stream")

    def write(self, where: str, memory: memoryview, ranges: Sequence[tuple[int, int]]) -> list[Piece]:
        """Make a file of ranges of memory, durable when this returns. Raises OSError; then what is there is no file."""
        parts = parts_of(ranges)
        descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            writing = [self._threads.submit(self._piece, descriptor, memory, part) for part in parts]
            try:
                pieces = [each.result() for each in writing]
            finally:  # no stream may write on when the descriptor is closed
                for each in writing:
                    if not each.cancel():
                        each.exception()
            os.fsync(descriptor)
            return pieces
        finally:
            os.close(descriptor)

    def _piece(self, descriptor: int, memory: memoryview, part: Part) -> Piece:
        self.cap.wait(part.length)
        piece = memory[part.start : part.start + part.length]
        checksum = zlib.crc32(piece)
        done = 0
        while done < part.length:
            done += os.pwrite(descriptor, piece[done:], part.at + done)
        return part.length, checksum


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
