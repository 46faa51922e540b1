"""The process world of a long life: what a job's ranks train, keep in checkpoints, lose and do again.

The ranks of one node and world begin and end together, one event for all; only a fault singles one out. A world steps
while all its ranks run and no network between them is cut; what was trained since its last checkpoint is lost when it
breaks. Nothing happens while nothing goes wrong: steps and checkpoints are arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from dlroverd.model.fault import REBOOTED, ErrorReport, ExitInfo
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import RankState
from dlroverd.model.world import Assignment, Progress
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.ranks import Rank
from dlroverd.testing.simulator.scenario import Training as Times
from dlroverd.testing.simulator.schedule import Schedule
from dlroverd.testing.simulator.trace import draw

PEER_LOST = ErrorReport(
    source="traceback", type="DistBackendError", message="NCCL error: ncclRemoteError: remote process exited"
)
_BUG = ErrorReport(source="traceback", type="ValueError", message="shapes do not match", file="train.py", line=7)
# How many of a dead rank's peers say so before they are stopped: most wait within a collective.
_PEERS_THAT_FAIL = 2
_STEP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a job's script is like. `bug`: it raises the same thing at the same place each time."""

    work_s: float
    times: Times
    bug: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """What a job's time went to, in seconds of the whole job: steps that count, steps done again, and the rest."""

    productive_s: float = 0.0
    redone_s: float = 0.0
    checkpointing_s: float = 0.0
    loading_s: float = 0.0
    worlds: int = 0


@dataclass(slots=True)
class _World:
    """The newest world of a gang. `work_s` was done, `kept_s` of it is in checkpoints; the last got to `reached_s`."""

    script: Script
    work_s: float = 0.0
    kept_s: float = 0.0
    reached_s: float = 0.0
    round: int = 0
    stepped: int = 0  # the newest round that made steps
    members: dict[RankKey, Rank] = field(default_factory=dict)
    steps_from: float = 0.0
    seen_at: float = 0.0
    pace: float = 1.0
    life: int = 0  # rises when it becomes whole, and when it breaks
    paced: int = 0  # rises with each change of its pace
    account: Account = field(default_factory=Account)


class Training:
    """All processes of the fleet. `stepped` is told the first step of each world, with a node of it."""

    def __init__(self, schedule: Schedule, rng: Random, checks: Checks, scripts: dict[str, Script]) -> None:
        """Begin with none. `scripts` tells by a job's name what it is like."""
        self._schedule = schedule
        self._rng = rng
        self._checks = checks
        self._scripts = scripts
        self._worlds: dict[GangKey, _World] = {}
        self._batches: dict[tuple[str, str, RoundKey], list[Rank]] = {}
        self._slow: dict[str, list[float]] = {}
        self._pids = 1000
        self.stepped: Callable[[str, Progress], None] = lambda _node, _progress: None

    # ---- what an agent does

    def start(self, rank: Rank, assignment: Assignment, name: str) -> None:
        """Begin a process; those of its node and world begin with it."""
        self._checks.rank_started(rank.node, rank.key, assignment.world_size)
        script = self._scripts[name]
        if self._batched("start", rank):
            rank.later(draw(script.times.start, self._rng), lambda: self._run(rank, script))

    def stop(self, rank: Rank, evidence_s: float, grace_s: float, name: str) -> None:  # noqa: ARG002 - all heed TERM
        """TERM after `evidence_s`; those of its node and world end with it."""
        self._checks.rank_signalled(rank.node, rank.key)
        if self._batched("stop", rank):
            rank.later(evidence_s + self._rng.uniform(0.05, 0.5), lambda: self._terminate(rank))

    def power_off(self, rank: Rank) -> None:
        """The host is gone at once, and says nothing; its agent finds out after boot."""
        exit_ = rank.seen.exit or ExitInfo(exited_at=self._schedule.now, lost=REBOOTED)
        self._leave(rank)
        self._batches.pop(("start", rank.node, rank.key.round_key), None)
        self._batches.pop(("stop", rank.node, rank.key.round_key), None)
        if rank.seen.state is not RankState.GONE:
            self._checks.rank_gone(rank.node, rank.key)
            rank.end(RankState.GONE, exit_)

    def freeze(self, rank: Rank) -> None:
        """Its world waits, until its host thaws."""
        self.slow([rank], rank.node, 0.0)

    # ---- what goes wrong

    def crash(self, rank: Rank, error: ErrorReport) -> None:
        """Have a rank raise an exception; some of its peers notice."""
        if rank.ended:
            return
        world = self._worlds.get(rank.key.gang_key)
        peers = [] if world is None or world.round != rank.key.round else list(world.members.values())
        self._fail(rank, error)
        for peer in self._rng.sample(peers, min(_PEERS_THAT_FAIL, len(peers))):
            peer.later(self._rng.uniform(0.1, 3.0), partial(self._fail, peer, PEER_LOST))

    def slow(self, ranks: list[Rank], node: str, pace: float) -> None:
        """Have all steps on a node, of which `ranks` live, take longer: 0 stands still. Ends with `hasten`."""
        self._slow.setdefault(node, []).append(pace)
        self._repace(ranks)

    def hasten(self, ranks: list[Rank], node: str, pace: float) -> None:
        """End what `slow` began."""
        self._slow[node].remove(pace)
        if not self._slow[node]:
            del self._slow[node]
        self._repace(ranks)

    def link_error_s(self, rank: Rank) -> float:
        """How long a rank waits for a peer that is cut off before it raises an error."""
        world = self._worlds.get(rank.key.gang_key)
        return world.script.times.link_error if world is not None else 0.0

    # ---- what is true

    def account(self, gang: GangKey) -> Account | None:
        """What a gang's time went to until now; None if none of its worlds ever was whole."""
        world = self._worlds.get(gang)
        if world is None:
            return None
        self._settle(world)
        return world.account

    def forget(self, gang: GangKey) -> None:
        """Let go of a gang that has ended."""
        self._worlds.pop(gang, None)

    # ---- ranks of one node and world

    def _batched(self, what: str, rank: Rank) -> bool:
        """Put a rank to the others of its node and world; whether it is the first of them."""
        batch = self._batches.setdefault((what, rank.node, rank.key.round_key), [])
        batch.append(rank)
        return len(batch) == 1

    def _run(self, first: Rank, script: Script) -> None:
        now = self._schedule.now
        for rank in self._batches.pop(("start", first.node, first.key.round_key), ()):
            if not rank.ended:
                self._pids += 1
                rank.move(RankState.RUNNING, pid=self._pids, started_at=now)
                self._join(rank, script)

    def _terminate(self, first: Rank) -> None:
        exit_ = ExitInfo(exited_at=self._schedule.now, signal=15, requested=True, step=self._step_of(first))
        for rank in self._batches.pop(("stop", first.node, first.key.round_key), ()):
            if not rank.ended:
                self._leave(rank)
                self._gone(rank, exit_)

    def _fail(self, rank: Rank, error: ErrorReport) -> None:
        if rank.ended:
            return
        exit_ = ExitInfo(exited_at=self._schedule.now, code=1, error=error, step=self._step_of(rank))
        self._leave(rank)
        rank.move(RankState.EXITED, exit=exit_)
        rank.later(0.05, lambda: self._gone(rank, exit_))

    def _gone(self, rank: Rank, exit_: ExitInfo) -> None:
        if rank.seen.state is not RankState.GONE:
            self._checks.rank_gone(rank.node, rank.key)
            rank.move(RankState.GONE, exit=exit_)

    def _leave(self, rank: Rank) -> None:
        """Take a rank out of its world, which breaks if it was whole."""
        if rank.ended:
            return
        rank.ended = True
        self._checks.rank_ended(rank.key)
        world = self._worlds.get(rank.key.gang_key)
        if world is None or world.round != rank.key.round or world.members.pop(rank.key, None) is None:
            return
        if world.steps_from and world.work_s < world.script.work_s:
            self._settle(world)
            world.account.productive_s -= world.work_s - world.kept_s
            world.account.redone_s += world.work_s - world.kept_s
            world.reached_s, world.work_s = world.work_s, world.kept_s
        world.steps_from = 0.0
        world.life += 1

    # ---- worlds

    def _join(self, rank: Rank, script: Script) -> None:
        world = self._worlds.setdefault(rank.key.gang_key, _World(script))
        key = rank.key
        if key.round < world.round:
            return  # too late: it will not find its world any more
        if key.round > world.round:
            world.round, world.members = key.round, {}
        world.members[key] = rank
        if len(world.members) == rank.world_size:
            times = script.times
            world.life += 1
            world.account.worlds += 1
            round_, life = key.round_key, world.life
            self._schedule.after(times.join + times.load, lambda: self._begin(round_, life))

    def _current(self, round_: RoundKey, life: int) -> _World | None:
        world = self._worlds.get(round_.gang_key)
        return world if world is not None and world.life == life else None

    def _begin(self, round_: RoundKey, life: int) -> None:
        world = self._current(round_, life)
        if world is None:
            return
        world.stepped = round_.round
        world.steps_from = world.seen_at = self._schedule.now
        world.pace = self._pace(world)
        world.account.loading_s += world.script.times.join + world.script.times.load
        first = next(iter(world.members.values()))
        if world.script.bug:
            first.later(world.script.times.first_step, lambda: self.crash(first, _BUG))
            return
        self._schedule.after(world.script.times.first_step, lambda: self._step(round_, life))
        self._finish_later(world, round_)

    def _step(self, round_: RoundKey, life: int) -> None:
        """Tell the first step, and then the first that is not done again."""
        world = self._current(round_, life)
        if world is None:
            return
        self._settle(world)
        first = next(iter(world.members.values()))
        self.stepped(first.node, Progress(round=round_, step=int(world.work_s / _STEP_S), at=self._schedule.now))
        left_s, rate = world.reached_s - world.work_s, self._rate(world)
        if left_s > 0.0 and rate:
            self._schedule.after(left_s / rate + 0.001, lambda: self._step(round_, life))

    def _step_of(self, rank: Rank) -> int:
        world = self._worlds.get(rank.key.gang_key)
        if world is None or world.stepped != rank.key.round:
            return -1
        self._settle(world)
        # Its peers may be stopped long after one of them broke the world.
        return int((world.work_s if world.steps_from else world.reached_s) / _STEP_S)

    def _rate(self, world: _World) -> float:
        times = world.script.times
        return world.pace * (1.0 - times.checkpoint_blocks / times.checkpoint_every)

    def _settle(self, world: _World) -> None:
        """Count what was done up to now."""
        now = self._schedule.now
        if not world.steps_from or now <= world.seen_at:
            return
        times, rate, took_s = world.script.times, self._rate(world), now - world.seen_at
        done_s = min(rate * took_s, world.script.work_s - world.work_s)
        world.work_s += done_s
        since_s = (now - world.steps_from) % times.checkpoint_every
        if rate and now - since_s > world.steps_from:
            world.kept_s = max(world.kept_s, world.work_s - rate * since_s)
        world.account.productive_s += done_s
        world.account.checkpointing_s += world.pace * took_s * times.checkpoint_blocks / times.checkpoint_every
        world.seen_at = now

    def _finish_later(self, world: _World, round_: RoundKey) -> None:
        rate, life, paced = self._rate(world), world.life, world.paced
        if rate:
            left_s = (world.script.work_s - world.work_s) / rate
            self._schedule.after(left_s, lambda: self._finish(round_, life, paced))

    def _finish(self, round_: RoundKey, life: int, paced: int) -> None:
        world = self._current(round_, life)
        if world is None or world.paced != paced:
            return
        self._settle(world)
        world.work_s = world.kept_s = world.script.work_s
        world.life += 1
        exit_ = ExitInfo(exited_at=self._schedule.now, code=0, step=int(world.work_s / _STEP_S))
        nodes: dict[str, list[Rank]] = {}
        for rank in world.members.values():
            nodes.setdefault(rank.node, []).append(rank)
        for ranks in nodes.values():
            ranks[0].later(self._rng.uniform(0.0, 0.5), partial(self._succeed, ranks, exit_))

    def _succeed(self, ranks: list[Rank], exit_: ExitInfo) -> None:
        for rank in ranks:
            if not rank.ended:
                self._leave(rank)
                self._gone(rank, exit_)

    def _pace(self, world: _World) -> float:
        if not self._slow:
            return 1.0
        nodes = {rank.node for rank in world.members.values()}
        return min((pace for node in nodes & self._slow.keys() for pace in self._slow[node]), default=1.0)

    def _repace(self, ranks: list[Rank]) -> None:
        for key in sorted({rank.key.round_key for rank in ranks if not rank.ended}):
            world = self._worlds.get(key.gang_key)
            if world is None or world.round != key.round or not world.steps_from:
                continue
            self._settle(world)
            world.pace = self._pace(world)
            world.paced += 1
            self._finish_later(world, key)
