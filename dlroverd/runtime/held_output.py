"""The newest output of every rank, held at the daemon for when the rank's node is away. Bounded, and soft state.

Nothing here is synced and nothing waits for it: the truth is the file at the node. Each round has a folder,
`<job>/<role,gang,round>`. In it are `ranks`, a journal of what is known of its ranks (all of a node begin in one line,
since tens of thousands begin at once), and for each rank that has written a folder of segments, `<rank>/<number>`. A
segment is frames of (offset, time, length) and data, so a gap shows as offsets that do not meet, and what a crash
tore off is noticed by its length. The oldest segments go first, of one rank beyond `RANK_BYTES`, and of all ranks
beyond the whole store's limit.
"""

import asyncio
import json
import os
import shutil
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, unquote

from dlroverd.model.ids import GangKey, RankKey, RoundKey

P = ParamSpec("P")
T = TypeVar("T")

RANK_BYTES = 1024 * 1024
_SEGMENT_BYTES = RANK_BYTES // 2
_FRAME = struct.Struct("<QdI")
# About what a rank takes on disk that has written little.
_FOLDER_BYTES = 8192
_JOURNAL = "ranks"
# The disk is the log's as well, and that comes first.
LEAVE_FREE = 0.05


class NoRoomError(OSError):
    """The disk has too little space left for output to be held."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Output as it came: `data` from byte `offset` on, and when (the daemon's wall clock, seconds)."""

    offset: int
    at: float
    data: bytes


@dataclass(slots=True)
class _Rank:
    """What is held of one rank. `sizes` is that of each segment, by number; to the newest is added if `open`."""

    node: str
    sizes: dict[int, int] = field(default_factory=dict)
    complete: bool = False
    end: int | None = None
    open: bool = False

    @property
    def bytes(self) -> int:
        return _FOLDER_BYTES + (sum(self.sizes.values()) if self.sizes else 0)


class HeldOutput:
    """The store in one directory. Its methods but `run` and `close` block: call them through `run`."""

    def __init__(self, directory: Path, limit_bytes: int, leave_free: float = LEAVE_FREE) -> None:
        """Begin with what an earlier life of the daemon left in `directory`; that is read in the background.

        At most `limit_bytes` are held, and none while less of the disk is free than the share `leave_free`.
        """
        self._leave_free_share = leave_free
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._ranks: dict[RankKey, _Rank] = {}  # the least recently written first
        self._known: Counter[RoundKey] = Counter()  # how many of those each round has
        self._bytes = 0
        # One thread: what is asked for happens in order, and nothing in here needs a lock.
        self._thread = ThreadPoolExecutor(1, "held-output")
        self._scanned = self._thread.submit(self._scan)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of the other methods; OSError if the store or its disk cannot be used."""

        def scanned() -> T:
            self._scanned.result()
            return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, scanned)

    def close(self) -> None:
        """Finish what was begun."""
        self._thread.shutdown(cancel_futures=True)

    def begin(self, node: str, keys: Sequence[RankKey]) -> dict[RankKey, int]:
        """Note where ranks of one round run; of those that are not held to their ends, how far they are."""
        new = [key for key in keys if key not in self._ranks]
        if new:
            self._round_folder(new[0].round_key).mkdir(parents=True, exist_ok=True)
            self._note(new[0].round_key, {"node": node, "ranks": [key.rank for key in new]})
            for key in new:
                self._know(key, _Rank(node))
            self._make_room()
        return {key: self.end(key) for key in keys if not self.complete(key)}

    def add(self, node: str, key: RankKey, piece: Piece) -> None:
        """Hold a piece of a rank's output; NoRoomError, or another OSError, and it is not held."""
        if key not in self._ranks:  # let go meanwhile, to make room
            self.begin(node, (key,))
        rank = self._ranks[key] = self._ranks.pop(key)  # the most recently written
        newest = max(rank.sizes, default=0)
        if not rank.open or rank.sizes[newest] >= _SEGMENT_BYTES:
            self._leave_free()
            self._folder(key).mkdir(exist_ok=True)
            newest += 1
            rank.sizes[newest] = 0
        # What failed half way, or was torn off by a crash, is never written behind.
        rank.open = False
        frame = _FRAME.pack(piece.offset, piece.at, len(piece.data)) + piece.data
        with (self._folder(key) / str(newest)).open("ab") as file:
            file.write(frame)
        rank.open, rank.end = True, piece.offset + len(piece.data)
        rank.sizes[newest] += len(frame)
        self._bytes += len(frame)
        while sum(rank.sizes.values()) - rank.sizes[min(rank.sizes)] >= RANK_BYTES:
            self._drop_segment(key, rank)
        self._make_room()

    def finish(self, keys: Sequence[RankKey]) -> None:
        """Note that nothing comes after what is held of ranks of one round."""
        known = [key for key in keys if key in self._ranks]
        if known:
            self._note(known[0].round_key, {"complete": [key.rank for key in known]})
        for key in known:
            self._ranks[key].complete = True

    def forget(self, job: int) -> None:
        """Let go of a job."""
        for key in [key for key in self._ranks if key.job == job]:
            self._unknow(key)
        shutil.rmtree(self._directory / str(job), ignore_errors=True)

    def where(self, round_: RoundKey) -> dict[RankKey, str]:
        """Give the ranks of a world that are known here, each with its node."""
        return {key: rank.node for key, rank in self._ranks.items() if key.round_key == round_}

    def end(self, key: RankKey) -> int:
        """Give the offset behind the last byte that is held of a rank, 0 if none is."""
        rank = self._ranks.get(key)
        if rank is not None and rank.end is None:
            pieces = self.read(key)
            rank.end = pieces[-1].offset + len(pieces[-1].data) if pieces else 0
        return rank.end or 0 if rank is not None else 0

    def complete(self, key: RankKey) -> bool:
        """Tell whether what is held of a rank goes up to its end."""
        return key in self._ranks and self._ranks[key].complete

    def read(self, key: RankKey) -> list[Piece]:
        """Give what is held of a rank, in order of offset."""
        rank = self._ranks.get(key)
        pieces: list[Piece] = []
        for number in sorted(rank.sizes) if rank is not None else ():
            data = (self._folder(key) / str(number)).read_bytes()
            at = 0
            while at + _FRAME.size <= len(data):
                offset, time, length = _FRAME.unpack_from(data, at)
                at += _FRAME.size
                if at + length > len(data):
                    break  # torn
                pieces.append(Piece(offset, time, data[at : at + length]))
                at += length
        return pieces

    def _folder(self, key: RankKey) -> Path:
        return self._round_folder(key.round_key) / str(key.rank)

    def _round_folder(self, key: RoundKey) -> Path:
        return self._directory / str(key.job) / ",".join(map(str, (quote(key.role, safe=""), key.gang, key.round)))

    def _note(self, round_: RoundKey, line: dict[str, Any]) -> None:
        with (self._round_folder(round_) / _JOURNAL).open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(line)}")  # so a line that a crash tore off spoils no other

    def _know(self, key: RankKey, rank: _Rank) -> None:
        self._ranks[key] = rank
        self._bytes += rank.bytes
        self._known[key.round_key] += 1

    def _unknow(self, key: RankKey) -> None:
        self._bytes -= self._ranks.pop(key).bytes
        self._known[key.round_key] -= 1
        if not self._known[key.round_key]:
            del self._known[key.round_key]

    def _scan(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: list[tuple[float, RankKey, _Rank]] = []
        for folder in self._directory.glob("*/*"):
            try:
                role, *numbers = folder.name.split(",")
                gang, number = map(int, numbers)
                round_ = GangKey(int(folder.parent.name), unquote(role), gang).at(number)
                ranks = _read_journal(folder / _JOURNAL)
            except (ValueError, FileNotFoundError):  # an older release's, or a crash in the middle of `begin`
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for rank, held in ranks.items():
                own = folder / str(rank)
                if own.exists():
                    held.sizes = {int(each.name): each.stat().st_size for each in own.iterdir()}
                found.append(((own if held.sizes else folder).stat().st_mtime, round_.rank(rank), held))
        for _, key, held in sorted(found, key=lambda each: each[0]):
            self._know(key, held)

    def _make_room(self) -> None:
        while self._bytes > self._limit_bytes and len(self._ranks) > 1:
            self._drop(next(iter(self._ranks)))

    def _drop_segment(self, key: RankKey, rank: _Rank) -> None:
        oldest = min(rank.sizes)
        self._bytes -= rank.sizes.pop(oldest)
        (self._folder(key) / str(oldest)).unlink(missing_ok=True)

    def _drop(self, key: RankKey) -> None:
        self._unknow(key)
        if key.round_key in self._known:
            self._note(key.round_key, {"dropped": key.rank})
            shutil.rmtree(self._folder(key), ignore_errors=True)
        else:
            shutil.rmtree(self._round_folder(key.round_key), ignore_errors=True)

    def _leave_free(self) -> None:
        disk = os.statvfs(self._directory)
        if disk.f_bavail < disk.f_blocks * self._leave_free_share:
            raise NoRoomError(f"less than {self._leave_free_share:.0%} of the disk of {self._directory} is free")


def _read_journal(path: Path) -> dict[int, _Rank]:
    """Give what a round's journal says of its ranks."""
    ranks: dict[int, _Rank] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn: what it said comes again
        match line:
            case {"node": str(node), "ranks": list(numbers)}:
                ranks.update({number: _Rank(node) for number in numbers})
            case {"complete": list(numbers)}:
                for number in ranks.keys() & numbers:
                    ranks[number].complete = True
            case {"dropped": int(number)}:
                ranks.pop(number, None)
    return ranks
