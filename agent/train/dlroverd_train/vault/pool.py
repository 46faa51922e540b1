"""The vault's memory: one sealed memfd of the whole budget, from which arenas are ranges.

It has no name, so nothing of it is left when the vault ends, and it can neither shrink nor grow: a rank that would
truncate it cannot end the others with SIGBUS.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading

from dlroverd_train.vault import layout

_STEP = 16 << 20
_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14
_HUGE = 2 << 20


class FullError(Exception):
    """The budget does not allow an arena; says the sum."""


class Pool:
    """Memory of `size` bytes, rounded up to whole huge pages."""

    def __init__(self, size: int) -> None:
        self.size = _whole(size)
        self.descriptor = os.memfd_create("dlroverd-vault", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, self.size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
        self._map = mmap.mmap(self.descriptor, self.size)
        self.view = memoryview(self._map)
        self._taken: dict[int, int] = {}
        self._lock = threading.Lock()
        try:
            self._map.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            pass  # a kernel without them: small pages do

    @property
    def used(self) -> int:
        """Bytes in arenas."""
        return sum(self._taken.values())

    def take(self, size: int, near: int = 0) -> int:
        """Give the offset of a new range, its first page zeroed, behind `near` if that can be. Raises FullError."""
        size = _whole(size)
        with self._lock:
            gaps = [(start, end) for start, end in self._gaps() if end - start >= size]
            if not gaps:
                raise FullError(
                    f"an arena of {_mb(size)} is asked for, and {_mb(self.used)} of the checkpoint memory of "
                    f"{_mb(self.size)} are in use: give the job at least {_mb(self.used + size)}"
                )
            behind = [max(start, near) for start, end in gaps if end - max(start, near) >= size]
            at = behind[0] if behind else gaps[0][0]
            self._taken[at] = size
        self.view[at : at + layout.PAGE] = bytes(layout.PAGE)
        return at

    def fits(self, size: int) -> bool:
        """Say whether `take` would give a range of this size."""
        with self._lock:
            return any(end - start >= _whole(size) for start, end in self._gaps())

    def _gaps(self) -> list[tuple[int, int]]:
        edges = [0]
        for at in sorted(self._taken):
            edges += [at, at + self._taken[at]]
        edges.append(self.size)
        return [(edges[each], edges[each + 1]) for each in range(0, len(edges), 2)]

    def give_back(self, at: int) -> None:
        """Let a range be used again."""
        with self._lock:
            del self._taken[at]

    def range(self, at: int) -> memoryview:
        """Give a range that was taken."""
        return self.view[at : at + self._taken[at]]

    def touch(self, at: int, size: int, stop: threading.Event) -> None:
        """Bring a range into memory, a step at a time, so that the first save finds it warm."""
        for start in range(at, at + size, _STEP):
            if stop.is_set():
                return
            length = min(_STEP, at + size - start)
            try:
                self._map.madvise(_POPULATE_WRITE, start, length)
            except OSError:  # an older kernel, or no memory left: the former allocates this way, the latter says so
                os.posix_fallocate(self.descriptor, start, length)


def _whole(size: int) -> int:
    return -(-size // _HUGE) * _HUGE


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
