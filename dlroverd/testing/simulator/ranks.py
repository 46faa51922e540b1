"""The process world: ranks as a host runs them, and the training that they do together.

Stands for launcher, kernel and the user's script. A world steps while all its ranks run; what it has trained is
kept (as if in checkpoints) when it breaks. Its agent hears of a rank only through `Rank.report`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from dlroverd.model.fault import PORT_TAKEN, REBOOTED, ErrorReport, ExitInfo
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import RankState
from dlroverd.model.world import Assignment, Progress, RankObservation
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.schedule import Schedule

_PEER_LOST = ErrorReport(source="traceback", type="RuntimeError", message="Connection closed by peer [10.0.0.1]:1234")
_HANGS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a job's script is like. Rates are chances per start of a rank, but for `bug`, which is certain."""

    work_s: float
    flaky: float = 0.0
    hangs_at_start: float = 0.0
    port_taken: float = 0.0
    ignores_term: float = 0.0
    leftovers: float = 0.0
    bug: str = ""


@dataclass(slots=True)
class Rank:
    """One process, from start to gone."""

    node: str
    world_size: int
    seen: RankObservation
    report: Callable[[RankObservation], None]
    later: Callable[[float, Callable[[], None]], None]
    ended: bool = False

    @property
    def key(self) -> RankKey:
        """Its name."""
        return self.seen.key

    def end(self, state: RankState, exit_: ExitInfo) -> None:
        """Go on to a state that nobody sees, its host being down."""
        self.seen = replace(self.seen, state=state, exit=exit_)

    def move(self, state: RankState, **facts: object) -> None:
        """Go on to a state, and have the agent see it."""
        self.seen = replace(self.seen, state=state, **facts)  # type: ignore[arg-type] # fields of RankObservation
        self.report(self.seen)


@dataclass(slots=True)
class _Training:
    left_s: float
    members: dict[RankKey, Rank] = field(default_factory=dict)
    began: float = 0.0
    round: int = 0


class Ranks:
    """All processes of the fleet."""

    def __init__(self, schedule: Schedule, rng: Random, checks: Checks, scripts: dict[str, Script]) -> None:
        """Begin with none. `scripts` tells by a job's name what it is like."""
        self._schedule = schedule
        self._rng = rng
        self._checks = checks
        self._scripts = scripts
        self._training: dict[GangKey, _Training] = {}
        self._pids = 1000
        self.stepped: Callable[[str, Progress], None] = lambda _node, _progress: None

    def start(self, rank: Rank, assignment: Assignment, name: str) -> None:
        """Begin a process."""
        script = self._scripts[name]
        self._checks.rank_started(rank.node, rank.key, assignment.world_size)
        self._pids += 1
        rank.move(RankState.STARTING)
        if self._rng.random() < script.port_taken:
            self._end(rank, ExitInfo(exited_at=self._schedule.now, launch_error=PORT_TAKEN))
        elif self._rng.random() >= script.hangs_at_start:
            pid = self._pids
            rank.later(self._rng.uniform(0.05, 2.0), lambda: self._run(rank, script, pid))

    def stop(self, rank: Rank, evidence_s: float, grace_s: float, name: str) -> None:
        """TERM after `evidence_s`, KILL `grace_s` later; a shorter order overtakes a longer one."""
        self._checks.rank_signalled(rank.node, rank.key)
        ignores = self._rng.random() < self._scripts[name].ignores_term
        term_s = evidence_s + (grace_s if ignores else self._rng.uniform(0.0, 0.1))
        signal = 9 if ignores else 15
        rank.later(term_s, lambda: self.kill(rank, signal, requested=True))

    def kill(self, rank: Rank, signal: int, *, requested: bool = False) -> None:
        """End a process by a signal."""
        self._end(rank, ExitInfo(exited_at=self._schedule.now, signal=signal, requested=requested))

    def power_off(self, rank: Rank) -> None:
        """The host is gone at once, and says nothing; its agent finds out after boot."""
        exit_ = rank.seen.exit or ExitInfo(exited_at=self._schedule.now, lost=REBOOTED)
        if not rank.ended:
            rank.ended = True
            self._leave(rank)
        if rank.seen.state is not RankState.GONE:
            self._checks.rank_gone(rank.node, rank.key)
            rank.end(RankState.GONE, exit_)

    def freeze(self, rank: Rank) -> None:
        """Its host stands still: the others of its world wait in vain, and some give up."""
        if not rank.ended:
            self._peers_fail(rank, 10.0, 60.0)

    def _run(self, rank: Rank, script: Script, pid: int) -> None:
        if rank.ended:
            return
        rank.move(RankState.RUNNING, pid=pid, started_at=self._schedule.now)
        if script.bug:
            rank.later(self._rng.uniform(0.1, 1.0), lambda: self._fail(rank, _bug(script.bug)))
            return
        if self._rng.random() < script.flaky:
            error = ErrorReport(source="traceback", type="RuntimeError", message="loss is NaN", file="a.py", line=pid)
            rank.later(self._rng.uniform(0.1, 30.0), lambda: self._fail(rank, error))
        self._join(rank, script)

    def _join(self, rank: Rank, script: Script) -> None:
        training = self._training.setdefault(rank.key.gang_key, _Training(left_s=script.work_s))
        if rank.key.round < training.round:
            return  # too late: it will not find its world any more
        if rank.key.round > training.round:
            training.round, training.members, training.began = rank.key.round, {}, 0.0
        training.members[rank.key] = rank
        if len(training.members) == rank.world_size:
            training.began = self._schedule.now
            round_ = rank.key.round_key
            self._schedule.after(self._rng.uniform(0.2, 2.0), lambda: self._step(round_))
            self._schedule.after(training.left_s, lambda: self._finish(round_))

    def _whole(self, round_: RoundKey) -> _Training | None:
        training = self._training[round_.gang_key]
        return training if training.round == round_.round and training.began else None

    def _step(self, round_: RoundKey) -> None:
        training = self._whole(round_)
        if training is not None:
            first = next(iter(training.members.values()))
            self.stepped(first.node, Progress(round=round_, step=1, at=self._schedule.now))

    def _finish(self, round_: RoundKey) -> None:
        training = self._whole(round_)
        if training is None:
            return
        training.left_s = 0.0
        for rank in list(training.members.values()):
            rank.later(self._rng.uniform(0.0, 0.5), partial(self._succeed, rank))

    def _succeed(self, rank: Rank) -> None:
        self._end(rank, ExitInfo(exited_at=self._schedule.now, code=0))

    def _fail(self, rank: Rank, error: ErrorReport) -> None:
        self._end(rank, ExitInfo(exited_at=self._schedule.now, code=1, error=error))

    def _end(self, rank: Rank, exit_: ExitInfo) -> None:
        if rank.ended:
            return
        rank.ended = True
        self._leave(rank)
        rank.move(RankState.EXITED, exit=exit_)
        slow = self._rng.random() < 0.05
        rank.later(self._rng.uniform(0.5, 3.0) if slow else 0.01, lambda: self._vanish(rank))

    def _vanish(self, rank: Rank) -> None:
        if rank.seen.state is not RankState.GONE:
            self._checks.rank_gone(rank.node, rank.key)
            rank.move(RankState.GONE)

    def _leave(self, rank: Rank) -> None:
        self._checks.rank_ended(rank.key)
        training = self._training.get(rank.key.gang_key)
        if training is None or training.members.pop(rank.key, None) is None:
            return
        if training.began and training.left_s:
            training.left_s -= 0.9 * min(training.left_s, self._schedule.now - training.began)
            self._peers_fail(rank, 0.05, 3.0)
        training.began = 0.0

    def _peers_fail(self, lost: Rank, soonest_s: float, latest_s: float) -> None:
        training = self._training.get(lost.key.gang_key)
        if training is None or training.round != lost.key.round:
            return
        for peer in list(training.members.values()):
            if peer is not lost and self._rng.random() >= _HANGS:
                delay_s = self._rng.uniform(soonest_s, latest_s)
                peer.later(delay_s, partial(self._fail, peer, _PEER_LOST))


def _bug(kind: str) -> ErrorReport:
    return ErrorReport(source="traceback", type=kind, message="always", file="train.py", line=7)
