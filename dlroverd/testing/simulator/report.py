"""What came of a long life: goodput, incidents by cause with their phases, waits, restarts, and what was checked.

Goodput is told twice: by what the process world knows to be true, and by what the daemon's own incidents say.
"""

from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

from dlroverd.model import event as ev
from dlroverd.model.fault import Incident
from dlroverd.model.ids import GangKey
from dlroverd.model.phases import PHASES, UNKNOWN, phases
from dlroverd.model.plan import PlanKind
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.controller import Controller
from dlroverd.testing.simulator.scenario import Scenario
from dlroverd.testing.simulator.schedule import BEGIN, Schedule
from dlroverd.testing.simulator.training import Account, Training


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseSummary:
    """The incidents of one kind of cause: how many, and the mean seconds of each phase (model/phases.py)."""

    incidents: int
    phases_s: dict[str, float]
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """Shares of the time since jobs had their first nodes, each job's weighted with its nodes.

    `ettr` counts the first wait in the queue too (Meta RSC's effective training time ratio). What the shares leave to 1
    is `away`: noticing faults, stopping, waiting for nodes, starting processes.
    """

    productive: float
    redone: float
    checkpointing: float
    loading: float
    away: float
    ettr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole. `log` is a digest of the log: equal runs have equal ones. Times of machines are in real seconds."""

    seed: int
    days: float
    nodes: int
    faults: dict[str, int]
    jobs: dict[str, int]
    refused: int
    goodput: Goodput
    causes: dict[str, CauseSummary]
    waits_s: dict[str, float]
    restarts: int
    reschedules: int
    preemptions: int
    rank_starts: int
    daemon_crashes: int
    turns: int
    events: int
    full_checks: int
    log: str
    wall_s: float
    cpu_s: float

    @property
    def events_per_s(self) -> float:
        """Events of the log decided, applied, carried out and checked in a second of CPU time."""
        return self.events / self.cpu_s if self.cpu_s else 0.0


@dataclass(slots=True)
class _Job:
    gang: GangKey
    submitted_at: float
    placed_at: float = 0.0
    nodes: int = 0
    ended_at: float = 0.0
    account: Account = field(default_factory=Account)


class Report:
    """Learns from the durable log and the process world as they go."""

    def __init__(self, schedule: Schedule, daemon: Controller, training: Training) -> None:
        """Begin with nothing learnt."""
        self._schedule = schedule
        self._daemon = daemon
        self._training = training
        self._jobs: dict[int, _Job] = {}
        self._ended: list[_Job] = []
        self._outcomes: Counter[str] = Counter()
        self._incidents: dict[str, list[Incident]] = {}
        self._waits: list[float] = []
        self._counted: Counter[str] = Counter()

    def learn(self, events: tuple[ev.Event, ...]) -> None:
        """Take what has become durable."""
        for event in events:
            match event:
                case ev.JobSubmitted():
                    gang = GangKey(event.job, event.spec.roles[0].name, 0)
                    self._jobs[event.job] = _Job(gang, self._schedule.now)
                case ev.WorldFormed():
                    self._placed(self._jobs[event.round.job], len(event.grants))
                case ev.RestartCounted():
                    self._counted["restarts"] += 1
                case ev.StopPlanned(plan=plan):
                    self._counted[plan.kind.value] += 1
                case ev.JobMoved():
                    self._moved(event)
                case ev.IncidentClosed():
                    self._closed(self._daemon.state.incidents[event.job, event.incident])
                case _:
                    continue

    def _placed(self, job: _Job, nodes: int) -> None:
        job.nodes = nodes
        if not job.placed_at:
            job.placed_at = self._schedule.now
            self._waits.append(job.placed_at - job.submitted_at)

    def _moved(self, event: ev.JobMoved) -> None:
        self._counted[event.on] += 1
        if event.to.final:
            self._outcomes[event.to.value] += 1
            self._end(self._jobs.pop(event.job))

    def _end(self, job: _Job) -> None:
        job.ended_at = self._schedule.now
        job.account = self._training.account(job.gang) or job.account
        self._training.forget(job.gang)
        self._ended.append(job)

    def _closed(self, incident: Incident) -> None:
        kind = incident.cause.kind.value if incident.cause is not None else "unknown"
        self._incidents.setdefault(kind, []).append(incident)

    def summary(
        self, scenario: Scenario, *, faults: dict[str, int], checks: Checks, refused: int, wall_s: float, cpu_s: float
    ) -> Summary:
        """Tell what came of it; jobs that still run are counted up to now."""
        living = Counter(self._daemon.state.jobs[number].state.value for number in self._jobs)
        for number in sorted(self._jobs):
            self._end(self._jobs[number])
        waits = quantiles(self._waits, n=100) if len(self._waits) > 1 else [0.0] * 99
        return Summary(
            seed=scenario.seed,
            days=(self._schedule.now - BEGIN) / 86400.0,
            nodes=scenario.nodes,
            faults=faults,
            jobs=dict(sorted((self._outcomes + living).items())),
            refused=refused,
            goodput=_goodput(self._ended),
            causes={kind: _cause(self._incidents[kind]) for kind in sorted(self._incidents)},
            waits_s={"p50": waits[49], "p90": waits[89], "p99": waits[98]},
            restarts=self._counted["restarts"],
            reschedules=self._counted["needs_nodes"],
            preemptions=self._counted[PlanKind.PREEMPT.value],
            rank_starts=checks.starts,
            daemon_crashes=self._daemon.crashes,
            turns=checks.turns,
            events=self._daemon.disk.events,
            full_checks=checks.full,
            log=self._daemon.disk.digest,
            wall_s=wall_s,
            cpu_s=cpu_s,
        )


def _goodput(jobs: list[_Job]) -> Goodput:
    placed = [job for job in jobs if job.placed_at]
    since_s = sum((job.ended_at - job.placed_at) * job.nodes for job in placed) or 1.0
    asked_s = sum((job.ended_at - job.submitted_at) * job.nodes for job in placed) or 1.0

    def share(name: str) -> float:
        return sum(float(getattr(job.account, name)) * job.nodes for job in placed) / since_s

    parts = {name: share(f"{name}_s") for name in ("productive", "redone", "checkpointing", "loading")}
    return Goodput(
        **parts,
        away=1.0 - sum(parts.values()),
        ettr=parts["productive"] * since_s / asked_s,
    )


def _cause(incidents: list[Incident]) -> CauseSummary:
    sums = dict.fromkeys((*PHASES, UNKNOWN), 0.0)
    for each in incidents:
        for phase, span_us in phases(each):
            sums[phase] += span_us / 1e6
    total_s = sum(each.closed_at - each.began_at for each in incidents)
    means = {phase: sum_s / len(incidents) for phase, sum_s in sums.items()}
    return CauseSummary(incidents=len(incidents), phases_s=means, total_s=total_s / len(incidents))
