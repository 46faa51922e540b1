"""The file that events go to: one write for each, never waited for, and a count of what could not be written.

The agent reads it, and gives the room of what it read back (it punches holes), so what the file occupies is what is
unread. A write is one `os.write` with O_APPEND, so that all processes of a rank may share the file.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from ._descriptors import opened

MAX_UNREAD = 64 * 1024 * 1024  # bytes
FULL, FAILED = "the file is full of what nobody reads", "the file could not be written"
_LOOK_EVERY = 256  # events
_LOOK_AFTER = 1024 * 1024  # bytes


class EventsFile:
    """Where this process's events go; nowhere if no path is known. Nothing here raises an Exception."""

    def __init__(self, report: Callable[[int, str], bytes]) -> None:
        """`report` makes the line that says how many were dropped, and why."""
        self.dropped = 0
        self.cut = 0
        self._report = report
        self._path = os.environ.get("DLROVERD_EVENTS_FILE", "")
        self.is_agents = bool(self._path)
        self._descriptor: int | None = None
        self._looks_in = 0
        self._bytes = 0
        self._full = False
        self._torn = False
        self._counting = threading.RLock()  # held for counts alone; a signal's handler may come in between
        self._owed: dict[str, int] = {}

    def to(self, path: str) -> None:
        """Write to this file from now on; "" is nowhere."""
        self.is_agents = bool(path) and path == os.environ.get("DLROVERD_EVENTS_FILE")
        self._path, self._descriptor, self._looks_in, self._full, self._torn = path, None, 0, False, False

    def is_open(self) -> bool:
        """Say whether events go anywhere."""
        return self._descriptor is not None or bool(self._path)

    def forked(self) -> None:
        """Begin anew in a child: what its parent counted is the parent's to tell."""
        self.dropped = self.cut = 0
        self._owed = {}
        self._counting = threading.RLock()

    def write(self, line: bytes) -> None:
        """Append an event's line, or count it."""
        self._looks_in -= 1
        self._bytes += len(line)
        due = self._looks_in < 0 or self._bytes > _LOOK_AFTER
        if (due or self._full or self._descriptor is None) and not self._look():
            return
        if self._append(line) and self._owed:
            self.tell()

    def drop(self, why: str, count: int = 1) -> None:
        """Count events that are not written."""
        with self._counting:
            self.dropped += count
            self._owed[why] = self._owed.get(why, 0) + count

    def shortened(self) -> None:
        """Count a body that was cut."""
        with self._counting:
            self.cut += 1

    def tell(self) -> None:
        """Write how many were dropped since the last time, if it can be written."""
        with self._counting:
            owed, self._owed = self._owed, {}
        for why, count in owed.items():
            if self._descriptor is None or not self._put(self._report(count, why)):
                with self._counting:
                    self._owed[why] = self._owed.get(why, 0) + count

    def _append(self, line: bytes) -> bool:
        if self._put(line):
            return True
        self.drop(FAILED)
        return False

    def _put(self, line: bytes) -> bool:
        # What a failed write may have left of its line ends before the next one.
        whole = b"\n" + line if self._torn else line
        try:
            self._torn = os.write(self._descriptor or -1, whole) != len(whole)
        except OSError as error:
            self._torn = True
            if error.errno == errno.EBADF:  # the program closed it
                self._descriptor = None
                self._looks_in = 0
        return not self._torn

    def _look(self) -> bool:
        """Open the file if need be, and see whether there is room in it; else count one event as dropped."""
        self._looks_in, self._bytes = _LOOK_EVERY, 0
        try:
            if self._descriptor is None:
                self._descriptor = opened(self._path, os.O_WRONLY | os.O_APPEND)
            self._full = os.fstat(self._descriptor).st_blocks * 512 > MAX_UNREAD
        except (OSError, ValueError, TypeError):
            self._looks_in = 0
            self.drop(FAILED)
            return False
        if self._full:
            self.drop(FULL)
        return not self._full
