"""The lines of a spool's files: each has a checksum, so that a torn or rotten one is found.

`CHECKSUM SEQUENCE JSON`. An event has its sequence; the head of a file, and a note of how far a rank's file was read,
have 0. Pure: bytes in, values out.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import EventKind, Severity, SpooledEvent

# Made once: to make it takes as long as a line.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line that is whole, and where it ends in the data it was read from."""

    sequence: int
    end: int
    text: bytes

    @property
    def values(self) -> dict[str, Any]:
        """What it says."""
        values: dict[str, Any] = json.loads(self.text)
        return values


def entries(data: bytes) -> Iterator[Entry | int]:
    """Read the lines of `data`; of one that is not whole, the end alone. What follows the last line's end is left."""
    begin = 0
    while (stop := data.find(b"\n", begin)) >= 0:
        entry = _entry(data[begin:stop], stop + 1)
        yield entry if entry is not None else stop + 1
        begin = stop + 1


def _entry(line: bytes, end: int) -> Entry | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    sequence, _, values = text.partition(b" ")
    return Entry(sequence=int(sequence), end=end, text=values)


def head_line(boot_id: str, read: Mapping[str, int]) -> bytes:
    """Write the first line of a file: of which boot it is, and how far each rank's file had been read before it."""
    return _line(0, {"boot": boot_id, "read": dict(read)})


def read_line(source: str, end: int) -> bytes:
    """Write the note that the file `source` was read up to `end`, where nothing in it was an event to keep."""
    return _line(0, {"f": source, "o": end})


def event_line(event: SpooledEvent, sequence: int, source: str = "", end: int = 0) -> bytes:
    """Write an event, and up to where its file had been read with it; "" if it is from none."""
    rank = event.rank
    values = {
        "n": event.name,
        "v": event.version,
        "k": event.kind.value,
        "s": event.severity.value,
        "t": event.time,
        "m": event.monotonic,
        "r": [rank.job, rank.role, rank.gang, rank.round, rank.rank] if rank is not None else None,
        "p": event.pid,
        "u": event.unit,
        "sp": event.span,
        "pa": event.parent,
        "b": event.body,
    }
    return _line(sequence, {**values, "f": source, "o": end} if source else values)


def event_of(entry: Entry) -> SpooledEvent:
    """Read the event of a line that has one."""
    values = entry.values
    return SpooledEvent(
        sequence=entry.sequence,
        name=values["n"],
        version=values["v"],
        kind=EventKind(values["k"]),
        severity=Severity(values["s"]),
        time=values["t"],
        monotonic=values["m"],
        rank=RankKey(*values["r"]) if values["r"] is not None else None,
        pid=values["p"],
        unit=values["u"],
        span=values["sp"],
        parent=values["pa"],
        body=values["b"],
    )


def _line(sequence: int, values: Mapping[str, object]) -> bytes:
    text = b"%d %s" % (sequence, _ENCODER.encode(values).encode())
    return b"%08x %s\n" % (zlib.crc32(text), text)
