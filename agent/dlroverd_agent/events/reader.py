"""Moves what ranks write into their events files to the spool, and lets go of it there once the spool has it."""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import SpooledEvent
from dlroverd_agent.events.lines import MOST_LINE_BYTES, BadLineError, parse
from dlroverd_agent.events.readings import Reading, Readings, reading_of
from dlroverd_agent.events.spool import Spool
from dlroverd_agent.rank_file import NoHolesError, RankFile

# A look takes so much of each rank: some hundred events, and about a hundredth of a second of this process.
_LOOK_BYTES = 64 * 1024
# How often what was read is noted and given back to the host's memory.
_LET_GO_BYTES = 256 * 1024
# What may wait in one file for a spool that cannot take it: it is the host's memory. dlroverd_train stops at 64 MiB.
_MOST_UNREAD_BYTES = 96 * 1024 * 1024
_COUNT_BYTES = 1024 * 1024
_TOO_MUCH = "more than could wait on this node"
_NO_ROOM = "the spool was full"


@dataclass(slots=True, kw_only=True)
class _Source:
    """One rank's file. `skipping`: what comes up to the next line's end belongs to a line that was dropped."""

    name: str
    key: RankKey
    ended: bool
    file: RankFile | None = None
    offset: int = 0
    let_go: int = 0
    skipping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look came to. `kept`: the spool has more; `more`: there is more to read; `problems`: for people."""

    kept: bool = False
    more: bool = False
    problems: tuple[str, ...] = ()


class Reader:
    """All events files of this node. `look` is for one thread at a time, the rest for anyone."""

    def __init__(self, folder: Path, spool: Spool, readings: Readings) -> None:
        """Read no file yet; those to be read are in `folder`."""
        self._folder = folder
        self._spool = spool
        self._readings = readings
        self._sources: dict[str, _Source] = {}
        self._lock = Lock()
        self._dropped: Counter[tuple[str, str]] = Counter()

    def watch(self, name: str, key: RankKey, *, ended: bool = False) -> None:
        """Read a rank's file from now on; `ended`: nobody writes to it any more."""
        with self._lock:
            self._sources.setdefault(name, _Source(name=name, key=key, ended=ended))

    def end(self, key: RankKey) -> None:
        """Note that nothing of a rank is left: its file is read to the end and removed."""
        for source in self._listed():
            if source.key == key:
                source.ended = True

    def drop(self, count: int, why: str, unit: str = "") -> None:
        """Count events that are lost."""
        if count:
            with self._lock:
                self._dropped[unit, why] += count

    def take_dropped(self) -> "Counter[tuple[str, str]]":
        """Give how many events were lost since the last call, by the unit of their rank and why."""
        with self._lock:
            dropped, self._dropped = self._dropped, Counter()
            return dropped

    def busy(self) -> bool:
        """Tell whether there is any file to read, or a loss to be said."""
        with self._lock:
            return bool(self._sources or self._dropped)

    def _listed(self) -> list[_Source]:
        with self._lock:
            return list(self._sources.values())

    def look(self) -> Look:
        """Read on in every file."""
        kept = more = False
        problems = []
        for source in self._listed():
            try:
                found = self._look_at(source)
            except OSError as error:
                problems.append(f"the events of {source.key} wait in {self._folder}: {error}")
                continue
            kept, more = kept or found.kept, more or found.more
            problems.extend(found.problems)
        return Look(kept=kept, more=more, problems=tuple(problems))

    def _look_at(self, source: _Source) -> Look:
        if source.file is None:
            offset = self._spool.read_to(source.name)
            try:
                source.file = self._opened(source, offset)
            except FileNotFoundError:
                self._forget(source)  # removed by an agent that died then
                return Look()
            except OSError as error:
                if not self._let_go_of_another(source):
                    raise
                return Look(problems=(f"the events of {source.key} are not read: {error.strerror or error}",))
        file, ended = source.file, source.ended
        self._catch_up(source, file)
        data = self._read(source, file)
        last = ended and source.offset + len(data) >= file.size()
        whole = len(data) if last else data.rfind(b"\n") + 1
        kept = self._take(source, data[:whole])
        if last:
            self._remove(source)
            return Look(kept=kept)
        self._let_go(source, file)
        unread = source.offset < file.size()
        return Look(kept=kept, more=unread and (ended or whole > 0 or source.skipping))

    def _let_go_of_another(self, source: _Source) -> bool:
        """Remove what is not a rank's file any more; whether that is so."""
        path = self._folder / source.name
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            return False
        if not stat.S_ISDIR(found.st_mode):
            path.unlink()
        self._forget(source)
        return True

    def _opened(self, source: _Source, offset: int) -> RankFile:
        """Open a file where its reading goes on."""
        source.offset = source.let_go = offset
        file = RankFile(self._folder / source.name, writable=True)
        if (first := file.first_byte()) > source.offset:
            # It was let go without a word of it in the spool, whose disk was full, and that agent died.
            source.offset, source.skipping = first, True
            self.drop(1, _TOO_MUCH, source.key.unit)
        return file

    def _catch_up(self, source: _Source, file: RankFile) -> None:
        """Go past what is too much to be kept waiting."""
        size = file.size()
        if source.offset > size:  # its rank has cut it short
            source.offset = source.let_go = size
        if size - source.offset <= _MOST_UNREAD_BYTES:
            return
        target, lines = size - _MOST_UNREAD_BYTES // 2, 1
        while source.offset < target and (data := file.read(source.offset, min(_COUNT_BYTES, target - source.offset))):
            lines += data.count(b"\n")
            source.offset += len(data)
        source.skipping = True
        self.drop(lines, _TOO_MUCH, source.key.unit)
        _let_go(file, source.offset)
        source.let_go = source.offset

    def _read(self, source: _Source, file: RankFile) -> bytes:
        """Read on, with at least one whole line if there is one that is short enough; what is longer is skipped."""
        data = file.read(source.offset, _LOOK_BYTES)
        if b"\n" in data:
            return data
        if not source.skipping:
            if len(data) < _LOOK_BYTES:
                return data
            data = file.read(source.offset, MOST_LINE_BYTES + 1)
            if b"\n" in data or len(data) <= MOST_LINE_BYTES:
                return data
            source.skipping = True
            self.drop(1, "a line that is too long", source.key.unit)
        source.offset += len(data)
        return b""

    def _take(self, source: _Source, data: bytes) -> bool:
        """Bring whole lines into the spool; whether it has more then. OSError: it has nothing of them."""
        if not data:
            return False
        events: list[tuple[SpooledEvent, int]] = []
        readings: list[Reading] = []
        bad: Counter[str] = Counter()
        end, skipping = source.offset, source.skipping
        for line in data.split(b"\n"):
            end = min(end + len(line) + 1, source.offset + len(data))
            if skipping:
                skipping = False
            elif text := line.strip():
                try:
                    event = parse(text, source.key)
                except BadLineError as error:
                    bad[str(error)] += 1
                else:
                    if told := reading_of(event):
                        readings.append(told)
                    else:
                        events.append((event, end))
        refused = self._spool.append(events, source.name) if events else 0
        source.offset, source.skipping = end, skipping
        for told in readings:
            self._readings.note(source.key, told)
        for why, count in bad.items():
            self.drop(count, why, source.key.unit)
        self.drop(refused, _NO_ROOM, source.key.unit)
        return len(events) > refused

    def _let_go(self, source: _Source, file: RankFile) -> None:
        """Give back the memory of what was read, once the spool knows how far that is."""
        if source.offset - source.let_go < _LET_GO_BYTES:
            return
        if self._spool.read_to(source.name) < source.offset:
            self._spool.note_read(source.name, source.offset)
        _let_go(file, source.offset)
        source.let_go = source.offset

    def _remove(self, source: _Source) -> None:
        """Remove the file of a rank that is gone, of which everything is read."""
        os.unlink(self._folder / source.name)
        self._forget(source)
        self._spool.forget(source.name)

    def _forget(self, source: _Source) -> None:
        if source.file is not None:
            source.file.close()
        with self._lock:
            self._sources.pop(source.name, None)
        self._readings.end(source.key)


def _let_go(file: RankFile, end: int) -> None:
    try:
        file.let_go(end)
    except NoHolesError:
        pass  # then it takes its room until its rank is gone
