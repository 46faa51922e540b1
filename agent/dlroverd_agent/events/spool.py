"""Keeps events on disk until the daemon's log has them: no kill of the agent loses or doubles one.

Files `NUMBER-SPOOL-FIRST.jsonl` in one folder, appended to in turn; FIRST is the sequence of the first event in it.
What was written is safe from the end of this process, and not yet from a power cut: that may lose the last moments,
so each boot of the host begins a spool of its own, and no sequence of one is given twice.
"""

import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from dlroverd.model.spooled import EventBatch, Severity, SpooledEvent
from dlroverd_agent.durable import sync_folder
from dlroverd_agent.events.segment import Entry, entries, event_line, event_of, head_line, read_line

BATCH_EVENTS = 500
BATCH_BYTES = 1024 * 1024
_SEGMENT_BYTES = 8 * 1024 * 1024
_SEGMENTS = 8
# What is left of the room for the events that matter to people, when the others have taken all theirs.
_RESERVE_SHARE = 0.25
_MINOR = frozenset({Severity.DEBUG, Severity.INFO})
_NAME = re.compile(r"(\d{10})-([0-9a-f]{16})-(\d+)\.jsonl", re.ASCII)


@dataclass(slots=True, kw_only=True)
class _Segment:
    """One file. `end` is the size of what is whole in it, `boot_id` that of the boot it was written in."""

    path: Path
    number: int
    spool: str
    first: int
    end: int
    boot_id: str


class Spool:
    """The events of one node that its daemon may not have. Blocking; for several threads.

    Every method may raise OSError, of a disk that is full or fails: then it has done nothing, and may be tried again.
    """

    def __init__(self, folder: Path, boot_id: str, most_bytes: int) -> None:
        """Keep at most about `most_bytes` in `folder`; nothing is read or written before there is need."""
        self._folder = folder
        self._boot_id = boot_id
        self._most_bytes = most_bytes
        self._segment_bytes = min(_SEGMENT_BYTES, most_bytes // _SEGMENTS)
        self._lock = Lock()
        self._opened = False
        self._segments: list[_Segment] = []
        self._descriptor = -1
        self._next = 1
        self._read: dict[str, int] = {}
        self._sent = 0  # how much of the oldest file the daemon has
        self._damaged = 0

    # ---- in

    def read_to(self, source: str) -> int:
        """Tell up to where a rank's file was read into the spool."""
        with self._lock:
            self._open()
            return self._read.get(source, 0)

    def append(self, events: Iterable[tuple[SpooledEvent, int]], source: str = "") -> int:
        """Keep events, each with where it ends in the file `source`; how many there was no room for.

        Debug and info have three quarters of the room, what is worse has all of it.
        """
        with self._lock:
            segment = self._open_for_writing()
            size = sum(each.end for each in self._segments)
            lines, refused, sequence, read = [], 0, self._next, 0
            for event, end in events:
                line = event_line(event, sequence, source, end)
                room = self._most_bytes * (1.0 - _RESERVE_SHARE if event.severity in _MINOR else 1.0)
                if size + len(line) > room:
                    refused += 1
                    continue
                lines.append(line)
                size, sequence, read = size + len(line), sequence + 1, end
            if lines:
                self._write(segment, b"".join(lines))
                self._next = sequence
                if source:
                    self._read[source] = read
            return refused

    def note_read(self, source: str, end: int) -> None:
        """Keep that a rank's file was read up to `end`, beyond the last of its events."""
        with self._lock:
            self._write(self._open_for_writing(), read_line(source, end))
            self._read[source] = end

    def forget(self, source: str) -> None:
        """Drop what is known of a rank's file that is removed: its name is never given again."""
        with self._lock:
            self._read.pop(source, None)

    def size_bytes(self) -> int:
        """Tell how much is kept for the daemon."""
        with self._lock:
            return max(0, sum(each.end for each in self._segments) - self._sent)

    def take_damaged(self) -> int:
        """Give how many lines could not be read back since the last call."""
        with self._lock:
            damaged, self._damaged = self._damaged, 0
            return damaged

    # ---- out

    def batch(self, node: str) -> EventBatch | None:
        """Give the oldest events that the daemon is not known to have, of one spool; None if there are none."""
        with self._lock:
            self._open()
            while self._segments:
                segment = self._segments[0]
                data = self._data(segment)
                events = []
                for entry in entries(data):
                    if isinstance(entry, Entry) and entry.sequence:
                        events.append(event_of(entry))
                        if len(events) == BATCH_EVENTS:
                            break
                if events:
                    spool, boot_id = segment.spool, segment.boot_id
                    return EventBatch(node=node, spool=spool, boot_id=boot_id, events=tuple(events))
                if data:
                    self._skip(segment, data, sequence=0)
                elif not self._let_go_of_oldest():
                    break
        return None

    def taken(self, spool: str, sequence: int) -> None:
        """Let go of what the daemon's log has."""
        with self._lock:
            while self._segments and self._segments[0].spool == spool:
                segment = self._segments[0]
                data = self._data(segment)
                if data and not self._skip(segment, data, sequence):
                    break
                if not data and not self._let_go_of_oldest():
                    break

    def from_the_start(self) -> None:
        """Send again all that is kept: another daemon may not have what the last one took."""
        with self._lock:
            self._sent = 0

    def _data(self, segment: _Segment) -> bytes:
        """Read on in the oldest file, whole lines of it."""
        with open(segment.path, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), min(BATCH_BYTES, segment.end - self._sent), self._sent)
        return data[: data.rfind(b"\n") + 1]

    def _skip(self, segment: _Segment, data: bytes, sequence: int) -> bool:
        """Go past what comes up to `sequence` in data of the oldest file; whether that was all of it."""
        past = 0
        for entry in entries(data):
            if isinstance(entry, int):
                self._damaged += 1
                past = entry
            elif entry.sequence <= sequence:
                past = entry.end
            else:
                break
        self._sent = min(segment.end, self._sent + past)
        return past == len(data)

    def _let_go_of_oldest(self) -> bool:
        """Delete the oldest file, which the daemon has, unless it is the one that is written; whether it did."""
        segment = self._segments[0]
        if self._descriptor >= 0 and len(self._segments) == 1:
            return False
        self._damaged += self._sent < segment.end  # its last line is torn
        segment.path.unlink(missing_ok=True)
        # Were it back after a power cut, its events would be sent again when the daemon knows the next spool.
        sync_folder(self._folder)
        del self._segments[0]
        self._sent = 0
        return True

    # ---- the files

    def _open(self) -> None:
        """Find out what an agent before this one left."""
        if self._opened:
            return
        segments: list[_Segment] = []
        for path in sorted(self._folder.iterdir()) if self._folder.exists() else ():
            if (name := _NAME.fullmatch(path.name)) is not None:
                number, spool, first = int(name[1]), name[2], int(name[3])
                end = path.stat().st_size
                segment = _Segment(path=path, number=number, spool=spool, first=first, end=end, boot_id="")
                if self._read_head(segment):
                    segments.append(segment)
            elif path.name.endswith(".new"):
                path.unlink(missing_ok=True)
        if segments and segments[-1].boot_id == self._boot_id:
            self._read_last(segments[-1])
        self._segments = segments
        self._opened = True

    def _read_head(self, segment: _Segment) -> bool:
        """Learn of which boot a file is; whether it has a head, which only one that a power cut met has not."""
        with segment.path.open("rb") as file:
            first = next(entries(file.readline()), None)
        if isinstance(first, Entry):
            segment.boot_id = first.values["boot"]
            return True
        self._damaged += segment.end > 0
        segment.path.unlink(missing_ok=True)
        return False

    def _read_last(self, segment: _Segment) -> None:
        """Go on in the file that an agent of this boot wrote, behind the last line that is whole."""
        data = segment.path.read_bytes()
        read: dict[str, int] = {}
        end, following = 0, segment.first
        for entry in entries(data):
            if not isinstance(entry, Entry):
                break
            end = entry.end
            if entry.sequence:
                following = entry.sequence + 1
            values = entry.values
            if "read" in values:
                read.update(values["read"])
            elif "f" in values:
                read[values["f"]] = values["o"]
        descriptor = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.ftruncate(descriptor, end)
        segment.end = end
        self._descriptor, self._next, self._read = descriptor, following, read

    def _open_for_writing(self) -> _Segment:
        self._open()
        if self._descriptor < 0 or self._segments[-1].end >= self._segment_bytes:
            self._begin_segment()
        return self._segments[-1]

    def _begin_segment(self) -> None:
        """Begin a file: the next of this spool, or the first of one of this boot."""
        same = self._descriptor >= 0
        spool = self._segments[-1].spool if same else secrets.token_hex(8)
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._folder / f"{number:010d}-{spool}-{self._next}.jsonl"
        head = head_line(self._boot_id, self._read)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600)
        try:
            _write_all(descriptor, head)
            new.rename(path)
        except OSError:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        if same:
            os.close(self._descriptor)
        segment = _Segment(
            path=path, number=number, spool=spool, first=self._next, end=len(head), boot_id=self._boot_id
        )
        self._segments.append(segment)
        self._descriptor = descriptor

    def _write(self, segment: _Segment, data: bytes) -> None:
        """Append whole lines, or nothing."""
        try:
            _write_all(self._descriptor, data)
        except OSError:
            os.ftruncate(self._descriptor, segment.end)
            raise
        segment.end += len(data)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
