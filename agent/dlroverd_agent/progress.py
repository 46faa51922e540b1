"""Finds the newest training step of each rank that runs: on its progress page, else in its output.

Telemetry: it decides nothing. Everything read was written by a user's program: reads are bounded, and what makes
no sense is no progress.
"""

import asyncio
import re
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dlroverd_train
import structlog

from dlroverd.model.hang import PATIENCE, GangPhase, Phase
from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.job import DEFAULT_CHECKPOINT_PATTERN, DEFAULT_PROGRESS_PATTERN
from dlroverd.model.world import Held, Progress
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.rank_file import RankFile

# What counts the steps of an unchanged script, in the rank (`progress: auto`).
COUNTER = str(Path(dlroverd_train.__file__).with_name("rank_path"))
EAGER_LOOK_S = 0.02
# How long a world's first step is looked for eagerly: beyond it, a beat more or less says nothing about a recovery.
EAGER_S = 120.0
PAGE_BYTES = 96
# So many nodes of a large world tell at each beat how far it is, in turn: they all make the same steps, and each of
# thousands saying so would keep the daemon busy with nothing else.
TELLING_NODES = 64

# The page as dlroverd_train/_progress.py writes it.
_MAGIC = b"DLRVDPRG"
_VERSION = 1
_RECORD = struct.Struct("<8sIIqdd")
_CHECKSUM = struct.Struct("<I")
_CHECKPOINT_MARK = b"CKPT"
_CHECKPOINT = struct.Struct("<4sq")
_ASKS, _ASKS_AT = b"ASKS", 60
_PHASE, _PHASE_AT = struct.Struct("<4sId"), 64
# By the number on the page: dlroverd_train/_phase.py has the same.
_PHASES = (Phase.STEP, Phase.INIT, Phase.CHECKPOINT, Phase.EVALUATE, Phase.IDLE)
_MAX_STEP = 1 << 53

_LOOK_BYTES = 256 * 1024
# A user's pattern may take quadratic time on one line, and holds the interpreter meanwhile.
_LINE_BYTES = 1024

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """A training step and when it was made, or seen (wall clock, seconds)."""

    step: int
    at: float


def read_page(record: bytes) -> Step | None:
    """Read a progress page; None if it is none, or is just being written."""
    if len(record) < _RECORD.size + _CHECKSUM.size:
        return None
    magic, version, _, step, at, _ = _RECORD.unpack_from(record)
    (checksum,) = _CHECKSUM.unpack_from(record, _RECORD.size)
    if (magic, version) != (_MAGIC, _VERSION) or zlib.crc32(record[: _RECORD.size]) != checksum:
        return None
    return Step(step, at) if 0 <= step < _MAX_STEP and 0 < at < _MAX_STEP else None


def read_checkpoint(record: bytes) -> int:
    """Read the step of the newest checkpoint that a page tells of; -1 if it tells of none, as older ones do."""
    start = _RECORD.size + _CHECKSUM.size
    end = start + _CHECKPOINT.size
    if len(record) < end + _CHECKSUM.size:
        return -1
    mark, step = _CHECKPOINT.unpack_from(record, start)
    (checksum,) = _CHECKSUM.unpack_from(record, end)
    if mark != _CHECKPOINT_MARK or zlib.crc32(record[start:end]) != checksum:
        return -1
    return int(step) if 0 <= step < _MAX_STEP else -1


def read_phase(record: bytes) -> tuple[Phase, float]:
    """Read what a page tells that its rank is at, and since when; steps, if it tells nothing."""
    end = _PHASE_AT + _PHASE.size
    if len(record) >= end + _CHECKSUM.size:
        mark, number, since = _PHASE.unpack_from(record, _PHASE_AT)
        whole = zlib.crc32(record[_PHASE_AT:end]) == _CHECKSUM.unpack_from(record, end)[0]
        if mark == b"PHAS" and whole and number < len(_PHASES) and 0 < since < _MAX_STEP:
            return _PHASES[number], since
    return Phase.STEP, 0.0


def read_asks(record: bytes) -> bool:
    """Read whether a page tells that its rank asks at each step whether to save."""
    return record[_ASKS_AT : _ASKS_AT + len(_ASKS)] == _ASKS


def step_pattern(pattern: str) -> re.Pattern[bytes]:
    """Make ready a pattern of a job's; re.error if it is no regular expression with a group, the step."""
    compiled = re.compile(pattern.encode())
    if compiled.groups < 1:
        raise re.error("it has no group for the step")
    return compiled


@dataclass(frozen=True, slots=True)
class Patterns:
    """What a job's steps and complete checkpoints look like in its output."""

    step: re.Pattern[bytes]
    checkpoint: re.Pattern[bytes]

    @classmethod
    def of(cls, progress_pattern: str, checkpoint_pattern: str) -> Self:
        """Make them ready; re.error as for `step_pattern`."""
        return cls(step_pattern(progress_pattern), step_pattern(checkpoint_pattern))


def patterns_of(key: RankKey, held: Held) -> Patterns:
    """Choose how progress is found in a rank's output; the default if its job's own way is not known or usable."""
    for each in held.jobs:
        if each.job == key.job:
            try:
                return Patterns.of(each.spec.progress_pattern, each.spec.checkpoint_pattern)
            except re.error as error:
                _log.warning("a job's patterns are not usable; the default is used", job=key.job, error=str(error))
    return Patterns.of(DEFAULT_PROGRESS_PATTERN, DEFAULT_CHECKPOINT_PATTERN)


class RankProgress:
    """One rank's newest step, and that of its newest checkpoint (-1: none). Blocking, each look bounded: for a thread.

    The page tells both, or what it does not tell is looked for in the output.
    """

    def __init__(self, files: RankFiles, patterns: Patterns) -> None:
        self._files = files
        self._patterns = patterns
        self._page: RankFile | None = None
        self._output: RankFile | None = None
        self._offset = 0
        self._rest = b""
        self._paged: Step | None = None
        self._paged_checkpoint = -1
        self.newest: Step | None = None
        self.checkpoint = -1
        self.asks = False
        self.phase = (Phase.STEP, 0.0)

    def look(self, *, final: bool = False) -> None:
        """Bring both up to date; `final` also takes a last line that has no end."""
        try:
            self._page = self._page or _opened(self._files.progress)
            if self._page is not None:
                self._read_page(self._page.read(0, PAGE_BYTES))
                if self._paged is not None and self._paged_checkpoint >= 0:
                    return
            self._output = self._output or _opened(self._files.output)
            if self._output is not None:
                self._read_output(self._output, final=final)
        except OSError:
            pass  # a disk that cannot be read shows no progress, and says so itself

    def close(self) -> None:
        """Close its files."""
        for file in (self._page, self._output):
            if file is not None:
                file.close()

    def _read_page(self, record: bytes) -> None:
        self._paged = read_page(record) or self._paged
        self._paged_checkpoint = max(read_checkpoint(record), self._paged_checkpoint)
        self.asks = self.asks or read_asks(record)
        self.phase = read_phase(record)
        self.newest = self._paged or self.newest
        self.checkpoint = max(self._paged_checkpoint, self.checkpoint)

    def _read_output(self, output: RankFile, *, final: bool) -> None:
        size = output.size()
        if size - self._offset > _LOOK_BYTES:  # only the newest counts
            self._offset, self._rest = size - _LOOK_BYTES, b""
        new = output.read(self._offset, _LOOK_BYTES)
        self._offset += len(new)
        lines = (self._rest + new).replace(b"\r", b"\n").split(b"\n")
        self._rest = b"" if final else lines.pop()[-_LINE_BYTES:]
        if self._paged is None and (step := _last(self._patterns.step, lines)) >= 0:
            self.newest = Step(step, time.time())
        if self._paged_checkpoint < 0:
            self.checkpoint = max(self.checkpoint, _last(self._patterns.checkpoint, lines))


def _last(pattern: re.Pattern[bytes], lines: list[bytes]) -> int:
    """Find the last step that some lines name; -1 if they name none."""
    for line in reversed(lines):
        found = deque(pattern.finditer(line[:_LINE_BYTES]), maxlen=1)
        # Fifteen digits are below _MAX_STEP; more are no step.
        if found and re.fullmatch(rb"\d{1,15}", found[0][1] or b""):
            return int(found[0][1])
    return -1


def _opened(path: Path) -> RankFile | None:
    try:
        return RankFile(path)
    except OSError:
        return None


def is_turn(beats: int, group_rank: int, nodes: int) -> bool:
    """Whether the node of a group rank, of so many, tells the step of their world at the `beats`-th beat."""
    return (beats + group_rank) % -(-nodes // TELLING_NODES) == 0


@dataclass(slots=True)
class _World:
    """What one world was seen at, by its node of a group rank, of so many. Times are monotonic seconds."""

    since: float
    group_rank: int = 0
    nodes: int = 1
    newest: Step | None = None
    checkpoint: int = -1
    asks: bool = False
    moved_at: float = 0.0
    went_back: bool = False
    phase: tuple[Phase, float] = (Phase.STEP, 0.0)
    sent: Step | None = None
    sent_checkpoint: int = -1
    sent_asks: bool = False
    sent_at: float = 0.0
    sent_moved_at: float = 0.0


class ProgressWatch:
    """Looks at all ranks that run, and sends each world's highest step: the first at once, then at beats (`is_turn`).

    A checkpoint, and that its ranks ask whether to save, are told when they are seen.
    """

    def __init__(self, files: Callable[[RankKey], RankFiles], send: Callable[[Progress | GangPhase], None]) -> None:
        self._files = files
        self._send = send
        self.beat_s = 1.0
        self._ranks: dict[RankKey, RankProgress] = {}
        self._worlds: dict[RoundKey, _World] = {}
        self._counts: dict[RankKey, Step] = {}
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()  # a rank is looked at by one thread at a time

    def watch(self, key: RankKey, patterns: Patterns, held: Held) -> None:
        """Look at a rank of one of the assignments that are held from now on."""
        if key not in self._ranks:
            self._ranks[key] = RankProgress(self._files(key), patterns)
            part = next(((a.group_rank, a.group_world_size) for a in held.assignments if a.round == key.round_key), ())
            self._worlds.setdefault(key.round_key, _World(asyncio.get_running_loop().time(), *part))
            self._wake.set()

    async def last_step(self, key: RankKey, patterns: Patterns) -> int:
        """Look at a rank that ended for the last time; its last step, -1 if it made none."""
        async with self._looking:
            self._counts.pop(key, None)
            rank = self._ranks.pop(key, None) or RankProgress(self._files(key), patterns)
            try:
                await asyncio.to_thread(rank.look, final=True)
            finally:
                rank.close()
        self._note(key, rank)
        if all(other.round_key != key.round_key for other in self._ranks):
            self._worlds.pop(key.round_key, None)
        return rank.newest.step if rank.newest is not None else -1

    def steps(self) -> dict[RankKey, Step]:
        """Give the newest step of each rank that runs and has made one."""
        return {key: rank.newest for key, rank in self._ranks.items() if rank.newest is not None}

    def repeat(self) -> None:
        """Say again how far every world is: the daemon may have been away when it was said."""
        for round_, world in self._worlds.items():
            if world.newest is not None:
                self._tell(round_, world, world.newest)
            if world.phase[1]:
                self._send(GangPhase(round=round_, phase=world.phase[0], since=world.phase[1]))

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            async with self._looking:
                await asyncio.to_thread(_look_all, tuple(self._ranks.values()))
            for key, rank in self._ranks.items():
                self._note(key, rank)
            self._note_phases()
            now = loop.time()
            eager = any(each.newest is None and now - each.since < EAGER_S for each in self._worlds.values())
            pause_s = EAGER_LOOK_S if eager else self.beat_s
            try:
                async with asyncio.timeout(pause_s if self._ranks else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    def _note(self, key: RankKey, rank: RankProgress) -> None:
        """Take what a rank was seen at into its world, and tell it if it is time to."""
        world, step = self._worlds.get(key.round_key), rank.newest
        if step is None and rank.checkpoint >= 0:
            step = Step(rank.checkpoint, time.time())  # whose state is saved has been made
        if world is None or step is None:
            return
        if world.newest is None or (step.step, -step.at) > (world.newest.step, -world.newest.at):
            world.newest = step
        self._note_move(key, world, step)
        world.checkpoint = max(world.checkpoint, rank.checkpoint)
        world.asks = rank.asks and all(each.asks for of, each in self._ranks.items() if of.round_key == key.round_key)
        now = asyncio.get_running_loop().time()
        due = now - world.sent_at >= self.beat_s and is_turn(int(now / self.beat_s), world.group_rank, world.nodes)
        news = world.checkpoint > world.sent_checkpoint or world.asks > world.sent_asks
        # That ranks count on without a new highest step shows that they work; every second beat will do for that.
        counts = world.sent_moved_at < world.moved_at and now - world.sent_at >= 2 * self.beat_s
        if world.sent is None or news or (due and (counts or world.sent.step < world.newest.step)):
            self._tell(key.round_key, world, world.newest)

    def _note_move(self, key: RankKey, world: _World, step: Step) -> None:
        """Take it that a rank counts on, be it back: a script may count anew in each epoch, and is at work."""
        before, self._counts[key] = self._counts.get(key), step
        if before is None or before != step:
            world.moved_at = max(world.moved_at, step.at)
        if before is not None and step.step < before.step and not world.went_back:
            world.went_back = True
            _log.warning(
                f"{key} told of step {step.step} after step {before.step}: that it counts shows that it works, and its "
                "progress is the highest step; count all steps of the training in one go"
            )

    def _note_phases(self) -> None:
        """Find what each world is at, which is what the most patient of its ranks is at, and tell it if that is new."""
        for round_, world in self._worlds.items():
            told = [rank.phase for key, rank in self._ranks.items() if key.round_key == round_]
            phase = max(told, key=lambda each: PATIENCE.index(each[0]), default=world.phase)
            if phase[0] is not world.phase[0]:
                world.phase = phase
                self._send(GangPhase(round=round_, phase=phase[0], since=phase[1]))

    def _tell(self, round_: RoundKey, world: _World, step: Step) -> None:
        world.sent, world.sent_checkpoint, world.sent_asks = step, world.checkpoint, world.asks
        world.sent_at, world.sent_moved_at = asyncio.get_running_loop().time(), world.moved_at
        self._send(
            Progress(
                round=round_,
                step=step.step,
                at=step.at,
                checkpoint=world.checkpoint,
                asks=world.asks,
                moved_at=world.moved_at,
            )
        )


def _look_all(ranks: tuple[RankProgress, ...]) -> None:
    for rank in ranks:
        rank.look()
