"""Keeps a spare for each rank that runs, and hands it on when the rank's next round starts.

Level-triggered: what there is, is held against what runs, again and again. A spare is for one key, that of the same
rank in the next round, and fits only the order that it was begun with. Without one a rank starts cold, as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import structlog

from dlroverd.model.environment import keeps_spares, lasting
from dlroverd.model.ids import RankKey
from dlroverd.model.job import JobSpec, RankState
from dlroverd.model.telemetry import Sample
from dlroverd.model.world import Assignment, RankObservation
from dlroverd_agent import core
from dlroverd_agent.launchers.interface import Launcher, LaunchOrder
from dlroverd_agent.launchers.parked import BrokenError, Parked, fits
from dlroverd_agent.spares.learnt import Learnt, UnfitError, learn

# A restart is seconds away at the soonest, and importing beside a rank that does so too helps neither.
LOOK_S = 1.0
# As many looks as show the same imports: what a rank imports once it trains is little.
SETTLED_LOOKS = 3
# Below it a spare is not worth its memory.
LEAST_CPU_S = 0.5

_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Spare:
    """The spare of `rank`, whose next round it is for.

    `parked` once it has begun, `ready` once it has all imports, `broken` if it never will. Who ends it holds `ending`.
    """

    rank: RankKey
    order: LaunchOrder
    parked: Parked | None = None
    ready: bool = False
    broken: bool = False
    memory_bytes: int = 0
    ending: asyncio.Lock = field(default_factory=asyncio.Lock)
    making: "asyncio.Task[None] | None" = None


class Spares:
    """The spares of one node. `order` gives the order that a rank is started with, less what each round makes anew."""

    def __init__(
        self, launcher: Launcher, order: Callable[[RankKey, JobSpec, Assignment], Awaitable[LaunchOrder]]
    ) -> None:
        """Keep none yet."""
        self._launcher = launcher
        self._order = order
        self._spares: dict[RankKey, _Spare] = {}
        self._seen: dict[RankKey, tuple[int, int]] = {}  # by rank: how many imports there were, at how many looks
        self._unfit: set[tuple[int, str]] = set()  # job and role

    async def run(self, agent: core.AgentCore) -> None:
        """Keep them, until cancelled; they end then."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                await self._look(agent)
        finally:
            for spare in self._spares.values():
                if spare.making is not None:
                    spare.making.cancel()
                if spare.parked is not None:
                    spare.parked.close()

    async def take(self, order: LaunchOrder) -> Parked | None:
        """Give the spare for an order, if there is one that fits it; one that does not is ended."""
        spare = self._spares.get(order.key)
        if spare is None:
            return None
        files = self._launcher.files(order.key)
        fit = spare.ready and not order.obstacle and _fits(spare.order, order) and fits(files, order.env)
        if fit and not spare.ending.locked():
            del self._spares[order.key]
            return spare.parked
        why = "its spare was made for another order" if spare.ready else "its spare is not ready"
        _log.info("a rank starts cold", rank=str(order.key), why=why)
        await self._drop(order.key, spare)
        return None

    def samples(self) -> list[Sample]:
        """Say how much memory each rank's spare holds."""
        ready = [spare for spare in self._spares.values() if spare.ready]
        return [Sample(metric="rank_spare_memory_bytes", value=each.memory_bytes, rank=each.rank) for each in ready]

    # ---- looking

    async def _look(self, agent: core.AgentCore) -> None:
        held, ranks = agent.followed.held, agent.observed().ranks
        specs = {each.job: each.spec for each in held.jobs}
        await self._end({seen.key for seen in ranks}, specs)
        running = {seen.key: seen for seen in ranks if seen.state is RankState.RUNNING}
        for assignment in held.assignments:
            spec = specs[assignment.round.job]
            keys = assignment.ranks()
            if not keeps_spares(spec.role(assignment.round.role)) or not running.keys() >= set(keys):
                continue
            for key in keys:
                await self._consider(agent, running[key], spec, assignment)

    async def _end(self, known: Collection[RankKey], jobs: Mapping[int, JobSpec]) -> None:
        """End the spares of jobs that are over here, and of rounds that are."""
        there = {*jobs, *(key.job for key in known)}
        self._unfit = {(job, role) for job, role in self._unfit if job in there}
        self._seen = {key: seen for key, seen in self._seen.items() if key in known}
        newest: dict[object, int] = {}
        for key in known:
            newest[key.gang_key] = max(newest.get(key.gang_key, 0), key.round)
        for key, spare in list(self._spares.items()):
            round_ = newest.get(key.gang_key, 0)
            if key.job not in there or round_ > key.round or (round_ == key.round and key not in known):
                await self._drop(key, spare)
            elif spare.ready and spare.parked is not None and not spare.parked.alive():
                self._give_up(spare, "it ended")
            if spare.broken:
                await self._drop(key, spare)

    async def _drop(self, key: RankKey, spare: _Spare) -> None:
        """End a spare; until that is done no rank of its key may start."""
        async with spare.ending:
            if self._spares.get(key) is not spare:
                return
            if spare.making is not None:
                spare.making.cancel()
                await asyncio.wait({spare.making})
            if spare.parked is not None:
                await self._launcher.parking.unpark(key, spare.parked)
            del self._spares[key]

    async def _consider(
        self, agent: core.AgentCore, seen: RankObservation, spec: JobSpec, assignment: Assignment
    ) -> None:
        """Begin the spare of a rank once it has imported what it needs, if that is much."""
        key, role = seen.key, spec.role(seen.key.role)
        coming = replace(key, round=key.round + 1)
        if coming in self._spares or (key.job, key.role) in self._unfit:
            return
        try:
            learnt = await asyncio.to_thread(learn, self._launcher.files(key).imports, seen.pid, role.argv, role.cwd)
        except UnfitError as error:
            self._unfit.add((key.job, key.role))
            _log.info("no spares are kept for a role", job=key.job, role=key.role, why=str(error))
            return
        if learnt is None or learnt.cpu_s < LEAST_CPU_S:
            return
        imports, looks = self._seen.get(key, (0, 0))
        looks = looks + 1 if imports == len(learnt.names) else 1
        self._seen[key] = len(learnt.names), looks
        if looks < SETTLED_LOOKS:
            return
        order = await self._order(key, spec, assignment)
        now = agent.seen(key)
        if now is None or now.state is not RankState.RUNNING or agent.seen(coming) is not None:
            return  # it has ended meanwhile, and its next life may have begun
        spare = _Spare(rank=key, order=replace(order, key=coming, env=lasting(order.env)))
        self._spares[coming] = spare
        spare.making = asyncio.create_task(self._make(spare, learnt))

    async def _make(self, spare: _Spare, learnt: Learnt) -> None:
        try:
            spare.parked = await self._launcher.parking.park(spare.order)
            cpu_s, spare.memory_bytes = await spare.parked.do_imports(learnt.home, learnt.names)
            if cpu_s < LEAST_CPU_S:
                raise BrokenError(f"its imports take {cpu_s:.2f} s of CPU, which a restart can do without a spare")
            spare.ready = True
            _log.info("a spare waits", rank=str(spare.order.key), imports_cpu_s=cpu_s, memory_bytes=spare.memory_bytes)
        except (BrokenError, OSError) as error:
            self._give_up(spare, str(error))

    def _give_up(self, spare: _Spare, why: str) -> None:
        spare.ready, spare.broken = False, True
        self._unfit.add((spare.rank.job, spare.rank.role))
        _log.info("no spares are kept for a role", job=spare.rank.job, role=spare.rank.role, why=why)


def _fits(spare: LaunchOrder, order: LaunchOrder) -> bool:
    """Tell whether two orders differ in nothing but what each round has of its own."""
    same = replace(order, env=lasting(order.env), lease_until=0.0, spare=None)
    return same == replace(spare, lease_until=0.0)
