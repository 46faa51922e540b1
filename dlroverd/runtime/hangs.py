"""Watches the steps of gangs: which makes none for too long, and what the stacks of its ranks say then.

What was learnt is soft state: after a restart of the daemon a gang has its ceilings until it has made some steps. A
suspicion is a fact of the log, so one that was not judged yet is looked at again. No step counts while it cannot be
seen: across a rendezvous, while a node is silent, and while a stop is under way.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.budgets import History, budget
from dlroverd.model.hang import OFF, PATIENCE, Budget, GangPhase, HangView, Phase
from dlroverd.model.hang_sample import Signs, waves
from dlroverd.model.hang_verdict import Circumstances, judge
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobState
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeState
from dlroverd.model.stacks import RankStack
from dlroverd.model.world import Progress
from dlroverd.runtime.hang_signs import HangSigns
from dlroverd.runtime.inbox import Entry, Inbox
from dlroverd.runtime.stacks import StackRequests

# Part of how long a hang takes to be named, as are the beats; a look costs a comparison for each gang.
LOOK_S = 0.5
# A beat may be left out, never two in a row (ARCHITECTURE, "Pace"): so late is a step seen, and a third is for delay.
_LATE_BEATS, _LEAST_BEATS = 2, 3
# A suspicion that turned out to be none is looked into again after half as long once more: so a look at a bad moment (a
# rank that was late for the collective, a host too busy to read stacks) costs seconds, and the log gets few of them.
_AGAIN = 0.5


@dataclass(slots=True)
class _World:
    """What one world was seen at, on the monotonic clock, since `began`. `at` is its last sign of life.

    `phases` is what its nodes say, which is so `since`. `shown` is a phase that its stacks showed. Nothing is suspected
    before `next_at`.
    `dismissed`: it was suspected, and worked. `went_on`: there was a sign of life since it was looked at last.
    """

    round: int
    began: float
    at: float
    step: int = -1
    moved_at: float = 0.0
    phases: dict[str, str] = field(default_factory=dict)
    since: float = 0.0
    shown: str = ""
    next_at: float = 0.0
    dismissed: bool = False
    went_on: bool = False

    @property
    def phase(self) -> str:
        """What it is at, as far as that is told or seen."""
        if self.shown:
            return self.shown
        return Phase.FIRST_STEP if self.told == Phase.STEP and self.step < 0 else self.told

    @property
    def told(self) -> str:
        """What its ranks say that it is at."""
        return max(self.phases.values(), key=PATIENCE.index, default=Phase.STEP)


class HangWatch:
    """The watch over all gangs that run."""

    def __init__(
        self,
        *,
        state: State,
        inbox: Inbox,
        stacks: StackRequests,
        signs: HangSigns,
        limits: Limits,
        beat_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing seen. Agents tell steps each `beat_s`."""
        self._state = state
        self._inbox = inbox
        self._stacks = stacks
        self._signs = signs
        least_s = _LEAST_BEATS * beat_s
        floors_s = {phase: max(floor_s, least_s) for phase, floor_s in limits.hangs.floors_s.items()}
        self._limits = replace(limits.hangs, floors_s=floors_s)
        self._late_s = _LATE_BEATS * beat_s
        self._clock = clock
        self._worlds: dict[GangKey, _World] = {}
        self._histories: dict[GangKey, History] = {}
        self._looking: dict[GangKey, asyncio.Task[None]] = {}

    def stepped(self, progress: Progress) -> None:
        """Take where a gang is; that it counts on is a sign of life, be it back."""
        world = self._world(progress.round.gang_key, progress.round.round)
        if world is _NONE or (progress.step <= world.step and progress.moved_at <= world.moved_at):
            return
        suspicion = self._state.gangs[progress.round.gang_key].suspicion
        # What a new daemon is told first may be of before the suspicion.
        if world.step >= 0 or suspicion is None or progress.step > suspicion.step:
            now = self._clock()
            self._learn(progress.round.gang_key, world, now, progress.step - world.step)
            self._alive(world, now)
        world.step, world.moved_at = max(world.step, progress.step), max(world.moved_at, progress.moved_at)

    def entered(self, node: str, told: GangPhase) -> None:
        """Take what the ranks of a gang on one node are at: that it changes is a sign of life."""
        world = self._world(told.round.gang_key, told.round.round)
        if world is _NONE or told.phase not in PATIENCE:
            return
        now, before = self._clock(), world.told
        world.phases[node] = told.phase
        if world.told == before:
            return
        if before != Phase.STEP and not self._hangs(told.round.gang_key):
            self._history(told.round.gang_key).took(before, now - world.since)
        world.since = now
        self._alive(world, now)

    def forget(self, job: int) -> None:
        """Drop what is known of a job that left the state."""
        for table in (self._worlds, self._histories):
            for key in [key for key in table if key.job == job]:
                del table[key]

    def view(self, key: GangKey) -> HangView | None:
        """Give how a gang is watched; None while it is not placed."""
        gang = self._state.gangs.get(key)
        if gang is None or not gang.round:
            return None
        world = self._worlds.get(key)
        known = world is not None and world.round == gang.round
        why = self._unseen(gang)
        return HangView(
            phase=world.phase if world is not None and known else Phase.FIRST_STEP,
            quiet_s=round(self._clock() - world.at, 1) if world is not None and known and not why else 0.0,
            budgets=tuple(self._budget(key, phase) for phase in Phase),
            off=why,
            suspicion=gang.suspicion,
        )

    async def run(self) -> None:
        """Look, for ever."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                self.look()
        finally:
            for task in self._looking.values():
                task.cancel()

    def look(self) -> None:
        """Look at each gang of a job that runs."""
        now = self._clock()
        for gang in self._running():
            world = self._world(gang.key, gang.round)
            if self._unseen(gang):
                world.at = world.next_at = now
                continue
            self._look_at(gang, world, now)

    def _look_at(self, gang: GangRecord, world: _World, now: float) -> None:
        round_, suspicion = gang.key.at(gang.round), gang.suspicion
        if suspicion is not None:
            if world.went_on:
                self._inbox.offer(Entry(inp.GangMovedOn(round=round_, step=world.step)))
            else:
                self._take_up(gang.key)
            return
        world.went_on = False
        quiet_s, most = now - world.at, self._budget(gang.key, world.phase)
        if quiet_s > most.seconds and now >= world.next_at:
            self._inbox.offer(
                Entry(
                    inp.GangStalled(
                        round=round_,
                        step=world.step,
                        phase=world.phase,
                        quiet_s=round(quiet_s, 3),
                        budget_s=most.seconds,
                    ),
                    lambda _: self._take_up(gang.key),
                )
            )

    def _take_up(self, key: GangKey) -> None:
        """Begin to look at the stacks of a gang that is suspected, once that is a fact."""
        gang = self._state.gangs.get(key)
        if gang is None or gang.suspicion is None or gang.suspicion.verdict is not None or key in self._looking:
            return
        task = asyncio.create_task(self._judge(gang, self._world(key, gang.round)), name=f"stacks of {key}")
        self._looking[key] = task
        task.add_done_callback(lambda _: self._looking.pop(key, None))

    async def _judge(self, gang: GangRecord, world: _World) -> None:
        """Have the stacks looked at, and tell the core what they say, unless the gang went on meanwhile."""
        before = world.at
        signs = await self._signs.of(gang, self._clock() - world.at)
        ranks = [(rank.key, rank.node) for rank in self._state.world(gang)]
        stacks: list[RankStack] = []
        verdict = judge(stacks, self._circumstances(gang.key, world, signs, len(ranks)))
        for wave in waves(ranks, signs):
            stacks += await self._stacks.of(wave, threads=1)
            if world.at > before:
                self._inbox.offer(Entry(inp.GangMovedOn(round=gang.key.at(gang.round), step=world.step)))
                return
            verdict = judge(stacks, self._circumstances(gang.key, world, signs, len(ranks)))
            if verdict.ranks or not verdict.hung:
                break
        if not verdict.hung:
            world.dismissed, world.shown = True, verdict.phase
            now = self._clock()
            world.next_at = now + (now - world.at) * _AGAIN
        self._inbox.offer(Entry(inp.HangFound(round=gang.key.at(gang.round), verdict=verdict)))

    def _circumstances(self, key: GangKey, world: _World, signs: Signs, ranks: int) -> Circumstances:
        budgets: dict[str, float] = {phase: self._budget(key, phase).seconds for phase in Phase}
        return Circumstances(quiet_s=self._clock() - world.at, budgets=budgets, idle=signs.idle, ranks=ranks)

    def _learn(self, key: GangKey, world: _World, now: float, steps: int) -> None:
        """Learn from how long so many steps took, unless that was a hang, or cannot be told.

        Of several, one may have taken all the time but that by which they were told late.
        """
        gang, history = self._state.gangs[key], self._history(key)
        if self._hangs(key) or self._unseen(gang) or world.told != Phase.STEP:
            return
        if world.step < 0:
            history.took(Phase.FIRST_STEP, now - world.began)
            return
        took_s = now - world.at
        history.took(world.phase, max(took_s - self._late_s, took_s / steps) if steps > 1 else took_s)
        if world.dismissed and not world.shown:
            history.pauses.append(now - world.at)

    def _alive(self, world: _World, now: float) -> None:
        """Take a sign of life."""
        world.at, world.shown, world.next_at, world.dismissed, world.went_on = now, "", 0.0, False, True

    def _hangs(self, key: GangKey) -> bool:
        """Whether a gang was found to hang: how long that takes says nothing of what it was at."""
        suspicion = self._state.gangs[key].suspicion
        return suspicion is not None and suspicion.verdict is not None

    def _history(self, key: GangKey) -> History:
        return self._histories.setdefault(key, History())

    def _budget(self, key: GangKey, phase: str) -> Budget:
        given = {each.phase: each.seconds for each in self._state.jobs[key.job].spec.hang_budgets}
        return budget(phase, self._histories.get(key) or History(), self._limits, given)

    def _world(self, key: GangKey, round_: int) -> _World:
        """Give what is known of a gang's current world; `_NONE` if that round is not."""
        gang = self._state.gangs.get(key)
        if gang is None or gang.round != round_:
            return _NONE
        world = self._worlds.get(key)
        if world is None or world.round != round_:
            world = self._worlds[key] = _World(round_, self._clock(), self._clock())
        return world

    def _running(self) -> Iterator[GangRecord]:
        jobs = [job for job in sorted(self._state.unfinished) if self._state.jobs[job].state is JobState.RUNNING]
        gangs = chain.from_iterable(self._state.gangs_of(job) for job in jobs)
        return (gang for gang in gangs if gang.state is GangState.RUNNING)

    def _unseen(self, gang: GangRecord) -> str:
        """Say why the steps of a gang are not watched now; "" if they are."""
        job = self._state.jobs[gang.key.job]
        if job.spec.hang == OFF:
            return "its job file turns it off"
        if job.state is not JobState.RUNNING or gang.state is not GangState.RUNNING:
            return "it does not run"
        if job.plan is not None and job.plan.stopping:
            return "it is being stopped"
        silent = [node for node in gang.nodes if self._state.nodes[node].state is not NodeState.READY]
        return f"node {silent[0]} is {self._state.nodes[silent[0]].state.value}" if silent else ""


_NONE = _World(round=0, began=0.0, at=0.0)
