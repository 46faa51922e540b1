"""When the bytes of a rank's output were written: a small file beside it, since output itself carries no times.

A record says that the file had this size when it was last written to, and that was then. Noted about once a second
while it grows. While no agent lives nothing is noted, so what was written meanwhile counts as new: never less is
shown than was asked for.
"""

import struct
from pathlib import Path

from dlroverd_agent.launchers.shim import replace_file

# 256 KiB, or four and a half hours by the second; beyond that the older half is thinned out, again and again.
MOST_RECORDS = 16384
_RECORD = struct.Struct("<Qd")


class OutputIndex:
    """The index of one rank's output. Blocking; one writer."""

    def __init__(self, path: Path, most_records: int = MOST_RECORDS) -> None:
        """Take what an earlier life of the agent noted."""
        self._path = path
        self._most = most_records
        records = read_index(path)
        self._count = len(records)
        self.size, _ = records[-1] if records else (0, 0.0)
        """The size of the output when it was last noted."""
        self._torn = True  # the last record may be, until the file was written whole

    def note(self, size: int, written_at: float) -> None:
        """Note a file of `size` bytes that was last written to at `written_at`; OSError from the disk."""
        if self._torn or self._count >= self._most:
            records = read_index(self._path)
            if len(records) >= self._most:
                middle = len(records) // 2
                records = records[:middle:2] + records[middle:]
            records.append((size, written_at))
            replace_file(str(self._path), b"".join(_RECORD.pack(*record) for record in records))
            self._count, self._torn = len(records), False
        else:
            self._torn = True
            with self._path.open("ab") as file:
                file.write(_RECORD.pack(size, written_at))
            self._count, self._torn = self._count + 1, False
        self.size = size


def read_index(path: Path) -> list[tuple[int, float]]:
    """Read the (size, time) of all whole records, none if there is no index."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return [_RECORD.unpack_from(data, at) for at in range(0, len(data) - _RECORD.size + 1, _RECORD.size)]


def written_since(records: list[tuple[int, float]], since: float, size: int, written_at: float) -> int:
    """Give the offset from which on a file holds what was written after `since` (wall clock, seconds).

    The file has `size` bytes now, and was last written to at `written_at`.
    """
    known = 0
    for noted_size, noted_at in [*records, (size, written_at)]:
        if noted_at > since:  # what is between this record and the one before was written up to then
            return known
        known = noted_size
    return size
