"""A sink that appends events to a file, one JSON object a line, and rotates the file by size.

Settings: `path` (absolute), `rotate_bytes` (default 64 MiB; the file may exceed it by one batch), `keep` (how
many rotated files `path.1` .. `path.keep` stay, newest first; default 5).
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise

from dlroverd.plugin_api import EventView, Sink, hookimpl

DLROVERD_API = 1

_DEFAULTS = {"path": "", "rotate_bytes": str(64 * 1024 * 1024), "keep": "5"}


class FileSink:
    """Keeps one file open for append. Every line in it is whole."""

    def open(self, settings: dict[str, str]) -> None:
        """Check the settings and open the file; a line that a crash left torn was not acknowledged, and goes."""
        unknown = sorted(set(settings) - set(_DEFAULTS))
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]!r}; the file sink has {', '.join(_DEFAULTS)}")
        merged = _DEFAULTS | settings
        self._path = merged["path"]
        if not os.path.isabs(self._path):
            raise ValueError(f"path is {self._path!r}; the file sink needs an absolute path")
        self._rotate_bytes = _positive("rotate_bytes", merged["rotate_bytes"])
        self._keep = _positive("keep", merged["keep"])
        self._open_file()
        os.ftruncate(self._fd, _whole_bytes(self._fd))

    def write(self, batch: tuple[EventView, ...]) -> None:
        """Append the batch and sync it; on failure nothing of it stays."""
        data = b"".join(_line(event) for event in batch)
        if os.fstat(self._fd).st_size >= self._rotate_bytes:
            self._rotate()
        before = os.fstat(self._fd).st_size
        try:
            rest = memoryview(data)
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
        self._open_file()
        os.close(full)

    def _open_file(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        directory = os.open(os.path.dirname(self._path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _line(event: EventView) -> bytes:
    record = asdict(event) | {"body": json.loads(event.body)}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _positive(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} is {text!r}; the file sink needs a whole number of at least 1")
    return int(text)


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


@hookimpl
def dlroverd_register_sink(register: Callable[[Sink], None]) -> None:
    """Hand over the file sink."""
    register(FileSink())
