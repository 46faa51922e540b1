"""The same faults under torchrun with Slurm: one job, by the rules of both, beside which ours is put.

It is given the benefit of the doubt: its nodes are drained by health checks that many sites do not run, an admin
returns them the moment they are well, requeued jobs are placed at once, and its ranks start, join, load and keep
checkpoints exactly as ours do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from dlroverd.testing.simulator.inventory import Inventory
from dlroverd.testing.simulator.scenario import FaultKind, Scenario
from dlroverd.testing.simulator.trace import DAY_S, Fault

# slurm.conf: a node that does not answer is DOWN after SlurmdTimeout, 300 s by default (peers.md 2(d), Slurm docs).
SLURMD_TIMEOUT_S = 300.0
# slurm.conf: KillWait, 30 s by default, and half of sched_interval, 60 s, until the queue is looked at (Slurm docs).
# ByteRobust measured 454 to 768 s for a requeue of 2,000 to 16,000 GPUs (peers.md 2(a)): this is the kinder figure.
REQUEUE_S = 30.0 + 30.0
# Meta RSC checks its nodes every 5 min (peers.md section 6); Slurm's own HealthCheckInterval is off by default.
HEALTH_CHECK_S = 300.0
# torchrun's monitor looks at its workers every 0.1 s (peers.md row 29).
MONITOR_S = 0.1
# --max-restarts=3, as torchrun's documentation has it; its default is 0.
MAX_RESTARTS = 3
# 128 agents met in 4.95 s (measurements.md 3), 4,000 hosts in 10 s (torch PR 124982, peers.md 2(b)).
_RENDEZVOUS_S = ((128, 5.0), (1_000_000, 10.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of the job: shares of its time, and how often it was restarted in place and requeued."""

    productive: float
    redone: float
    checkpointing: float
    restarts: int
    requeues: int


class Baseline:
    """The job of a scenario that has one, on its fleet."""

    def __init__(self, scenario: Scenario, inventory: Inventory) -> None:
        """Place it on the first nodes; AssertionError if the scenario is not of one job."""
        jobs = [each for each in scenario.workload for _ in range(each.at_start)]
        if len(jobs) != 1 or any(each.per_day for each in scenario.workload):
            raise AssertionError("the comparison is of a scenario with one job, at the start")
        self._times = jobs[0].training
        self._end_s = scenario.days * DAY_S
        self._slow_to = scenario.faults.slow_to
        self._inventory = inventory
        self._rng = Random(f"baseline {scenario.seed}")  # noqa: S311 - chance that can be repeated
        size = jobs[0].nodes_range[0]
        names = list(inventory.machines)
        self._nodes = set(names[:size])
        self._spares = set(names[size:])
        self._rendezvous_s = next(time_s for most, time_s in _RENDEZVOUS_S if size <= most)
        # When a node is well again, and from when Slurm gives it to nobody.
        self._bad: dict[str, tuple[float, float]] = {}
        self._in_place = self._restarts = self._requeues = 0
        self._work_s = self._redone_s = self._saving_s = 0.0
        self._steps_from = self._up(0.0)

    def run(self, faults: Iterable[Fault]) -> Result:
        """Put it under the faults, in their order."""
        for fault in sorted(faults):
            for node in self._targets(fault):
                self._strike(fault, node)
        self._count(self._end_s, broken=False)
        return Result(
            productive=self._work_s / self._end_s,
            redone=self._redone_s / self._end_s,
            checkpointing=self._saving_s / self._end_s,
            restarts=self._restarts,
            requeues=self._requeues,
        )

    def _targets(self, fault: Fault) -> list[str]:
        shared = {FaultKind.SWITCH_OUTAGE: "switch", FaultKind.PDU_OUTAGE: "pdu"}.get(fault.kind)
        if fault.kind is FaultKind.DAEMON_CRASH:
            return []  # jobs outlive slurmctld
        return [fault.target] if shared is None else self._inventory.domains[shared][fault.target]

    def _strike(self, fault: Fault, node: str) -> None:
        at_s, ours, times = fault.at_s, node in self._nodes, self._times
        well_s = at_s + fault.repair_s
        match fault.kind:
            case FaultKind.PROCESS_CRASH:
                if ours:
                    self._restart(at_s, at_s + MONITOR_S)
            case FaultKind.AGENT_CRASH:
                if ours:
                    self._requeue(at_s, at_s + MONITOR_S)
            case FaultKind.SLOW_NODE:
                if ours:
                    slow_s = min(fault.repair_s, self._end_s - at_s)
                    self._work_s -= slow_s * (1.0 - self._slow_to)
            case FaultKind.PARTITION:
                if ours and fault.repair_s > SLURMD_TIMEOUT_S:
                    self._mark(node, at_s + SLURMD_TIMEOUT_S, well_s)
                    self._requeue(at_s + SLURMD_TIMEOUT_S, at_s + SLURMD_TIMEOUT_S)
            case FaultKind.HOST_CRASH | FaultKind.HOST_REBOOT | FaultKind.PDU_OUTAGE:
                seen_s = at_s + min(SLURMD_TIMEOUT_S, fault.repair_s)
                self._mark(node, at_s, well_s)
                if ours:
                    self._requeue(at_s, seen_s)
            case FaultKind.NIC_DOWN | FaultKind.LINK_FLAP | FaultKind.SWITCH_OUTAGE:
                if fault.repair_s > times.link_error:
                    self._fail(node, at_s, well_s, times.link_error, ours=ours)
            case FaultKind.GPU_LOST:
                self._fail(node, at_s, well_s, MONITOR_S, ours=ours)
            case FaultKind.DAEMON_CRASH:
                return

    def _fail(self, node: str, at_s: float, well_s: float, seen_s: float, *, ours: bool) -> None:
        """A node on which ranks cannot run is drained by the next health check; until then torchrun tries again."""
        drained_s = at_s + self._rng.uniform(0.0, HEALTH_CHECK_S)
        self._mark(node, drained_s, well_s)
        if not ours:
            return
        attempt_s = self._rendezvous_s + self._times.start.median + seen_s
        end_s = at_s + seen_s
        for _ in range(MAX_RESTARTS - self._in_place):
            end_s += attempt_s
            self._restarts += 1
            if end_s >= well_s:
                break
        # Until it is drained it is idle, and given out again.
        while end_s + REQUEUE_S < min(drained_s, well_s):
            end_s += REQUEUE_S + attempt_s * (1 + MAX_RESTARTS)
            self._requeues += 1
        self._requeue(at_s, end_s)

    def _mark(self, node: str, from_s: float, well_s: float) -> None:
        known_from_s, known_well_s = self._bad.get(node, (from_s, well_s))
        self._bad[node] = (min(from_s, known_from_s), max(well_s, known_well_s))

    def _restart(self, at_s: float, seen_s: float) -> None:
        if self._in_place >= MAX_RESTARTS:
            self._requeue(at_s, seen_s)
            return
        self._in_place += 1
        self._restarts += 1
        self._count(at_s, broken=True)
        self._steps_from = max(self._steps_from, self._up(seen_s))

    def _requeue(self, at_s: float, seen_s: float) -> None:
        """The job is killed and placed anew; with too few nodes it waits for one to be well."""
        self._requeues += 1
        self._in_place = 0
        self._count(at_s, broken=True)
        start_s = max(seen_s, self._steps_from - self._up(0.0)) + REQUEUE_S
        away = [node for node in sorted(self._nodes) if self._is_bad(node, start_s)]
        spare = [node for node in sorted(self._spares) if not self._is_bad(node, start_s)]
        while len(spare) < len(away):
            waits = [self._bad[node][1] for node in (*self._nodes, *self._spares) if self._is_bad(node, start_s)]
            start_s = min(waits)
            away = [node for node in sorted(self._nodes) if self._is_bad(node, start_s)]
            spare = [node for node in sorted(self._spares) if not self._is_bad(node, start_s)]
        taken = spare[: len(away)]
        self._nodes = self._nodes.difference(away).union(taken)
        self._spares = self._spares.difference(taken).union(away)
        self._steps_from = max(self._steps_from, self._up(start_s))

    def _is_bad(self, node: str, at_s: float) -> bool:
        from_s, well_s = self._bad.get(node, (0.0, 0.0))
        return from_s <= at_s < well_s

    def _up(self, at_s: float) -> float:
        """When a job that is started at `at_s` makes steps."""
        times = self._times
        return at_s + self._rendezvous_s + times.start.median + times.join + times.load

    def _count(self, until_s: float, *, broken: bool) -> None:
        """Count what was done since it began to step; of a world that broke, up to its last checkpoint."""
        until_s = min(until_s, self._end_s)
        took_s = until_s - self._steps_from
        if took_s <= 0.0:
            return
        every_s, blocks = self._times.checkpoint_every, self._times.checkpoint_blocks / self._times.checkpoint_every
        kept_s = took_s - took_s % every_s if broken else took_s
        self._work_s += kept_s * (1.0 - blocks)
        self._redone_s += (took_s - kept_s) * (1.0 - blocks)
        self._saving_s += took_s * blocks
        self._steps_from = until_s
