"""What a drill does, what it is expected to cost and where that expectation comes from. Asks nobody."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlroverd.model.world import DrillKind

if TYPE_CHECKING:
    from dlroverd.model.view import IncidentView, JobView, NodeView

OF_RANKS = (DrillKind.KILL_RANK, DrillKind.FREEZE_RANK, DrillKind.HANG_RANK)
LASTING = (DrillKind.FREEZE_RANK, DrillKind.HANG_RANK, DrillKind.LOSE_NODE)
# Phases that are no part of an incident: from the order to the first sign of the fault, and where none came of it,
# from the order until the agent said hello anew, and the longest time in which no step was seen.
NOTICED, AGENT_BACK, PAUSE = "noticed", "agent_back", "pause"
PHASES = (AGENT_BACK, PAUSE, NOTICED, "detect", "stop", "decide", "wait", "start", "load", "unknown", "total")
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault to be made: at rank `rank` of a gang, which runs on `node`, or at `node` itself (`rank` -1)."""

    kind: DrillKind
    node: str
    role: str = ""
    gang: int = 0
    rank: int = -1
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStart:
    """How long a job's first world took to start its ranks, and then to its first step. Seconds."""

    start: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How long one phase is expected to take, None if that is not known, and where it is from. Seconds."""

    phase: str
    seconds: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will happen, what should follow, and for how long that is waited for."""

    happens: str
    follows: str
    phases: tuple[Expectation, ...]
    limit_s: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What expectations are made from: the daemon's settings by dotted name, all nodes, the job's first start."""

    settings: Mapping[str, str]
    nodes: Sequence["NodeView"]
    first_start: FirstStart | None

    def limit_s(self, name: str) -> float:
        """Give one of the daemon's limits."""
        from dlroverd.config.durations import parse_duration

        return parse_duration(self.settings[f"limits.{name}"])


def plan(job: "JobView", fault: Fault, around: Surroundings) -> Plan:
    """Say what a fault will do to a job; `job` comes with its spec."""
    phases: tuple[Expectation, ...]
    match fault.kind:
        case DrillKind.KILL_RANK:
            follows = "The job restarts in place, at no cost to its restarts."
            phases = (
                Expectation(phase=NOTICED, seconds=0.0, source="its agent learns of the end at once"),
                Expectation(phase="detect", seconds=0.0, source="and tells the daemon at once"),
                *_restart(job, around, Expectation(phase="wait", seconds=0.0, source="in place: nobody is asked")),
            )
        case DrillKind.FREEZE_RANK | DrillKind.HANG_RANK:
            follows = (
                "Nothing tells a hang from slow work yet: steps stop meanwhile and then go on, or the other ranks "
                "fail by timeouts of their own and the job restarts."
            )
            phases = (_pause(fault),)
        case DrillKind.KILL_AGENT:
            follows = "Its ranks run on, and the agent finds them again when it is back."
            source = "at most: limits.unreachable_after, else the node is called unreachable"
            limit_s = around.limit_s("unreachable_after")
            phases = (Expectation(phase=AGENT_BACK, seconds=limit_s, source=source),)
        case DrillKind.LOSE_NODE:
            follows, phases = _lost_node(job, fault, around)
    known_s = sum(each.seconds or 0.0 for each in phases if each.phase != PAUSE)
    if len(phases) > 1 and all(each.seconds is not None for each in phases):
        phases += (Expectation(phase="total", seconds=known_s, source="the sum of these"),)
    return Plan(
        happens=_happens(job, fault, around),
        follows=follows,
        phases=phases,
        limit_s=fault.for_s + 2 * known_s + _PATIENCE_S,
    )


def _happens(job: "JobView", fault: Fault, around: Surroundings) -> str:
    whose = f"job {job.id} ({job.name})"
    rank = f"rank {fault.rank} of {whose} on {fault.node}"
    match fault.kind:
        case DrillKind.KILL_RANK:
            return f"SIGKILL ends {rank}, as if from outside."
        case DrillKind.FREEZE_RANK:
            return f"Every process of {rank} is stopped, and goes on after {fault.for_s:g} s."
        case DrillKind.HANG_RANK:
            return f"The main process of {rank} is stopped, and goes on after {fault.for_s:g} s."
        case DrillKind.KILL_AGENT:
            return f"SIGKILL ends the agent of {fault.node}; systemd, or what else keeps it, starts it anew."
        case DrillKind.LOSE_NODE:
            jobs = sorted({each for node in around.nodes if node.id == fault.node for each in node.jobs} - {job.id})
            too = f", with job{'s' * (len(jobs) > 1)} {', '.join(map(str, jobs))} too" if jobs else ""
            return f"{fault.node} behaves as if frozen for {fault.for_s:g} s{too}: nothing of it runs or answers."


def _pause(fault: Fault) -> Expectation:
    return Expectation(phase=PAUSE, seconds=fault.for_s, source="--for, as far as the other ranks wait for it")


def _lost_node(job: "JobView", fault: Fault, around: Surroundings) -> tuple[str, tuple[Expectation, ...]]:
    given_up_s, source = _given_up(fault, around)
    alone = all(nodes == {fault.node} for nodes in _worlds(job) if fault.node in nodes)
    if fault.for_s <= given_up_s:
        limit = source.partition(":")[0]
        return f"It is back before it is given up ({limit}), so its ranks go on, and nothing restarts.", (
            _pause(fault),
        )
    if alone:
        return "What the job has there may be its only copy, so nothing restarts before the node is back.", (
            _pause(fault),
        )
    placed = Expectation(
        phase="wait",
        seconds=around.limit_s("placing"),
        source=f"at most: limits.placing, if others have room, else it waits for {fault.node}",
    )
    return "The job restarts without it, at no cost to its restarts.", (
        Expectation(phase=NOTICED, seconds=0.0, source="the last that is heard of it is the first sign"),
        Expectation(phase="detect", seconds=given_up_s, source=source),
        *_restart(job, around, placed),
    )


def _given_up(fault: Fault, around: Surroundings) -> tuple[float, str]:
    """Tell after how long a silence the node is lost. Agents call each other where the fleet has certificates."""
    others = [node for node in around.nodes if node.state == "ready" and node.id != fault.node]
    if others and "tcp://" in around.settings["listen"]:
        name = "lost_by_peers" if len(others) > 1 else "lost_after"
        return around.limit_s(name), f"limits.{name}: other agents cannot reach it either"
    return around.limit_s("unreachable_limit"), "limits.unreachable_limit: nothing else tells that it is down"


def _worlds(job: "JobView") -> Iterator[set[str]]:
    for role in job.roles:
        for gang in role.gangs:
            yield {rank.node for rank in gang.ranks}


def _restart(job: "JobView", around: Surroundings, placed: Expectation) -> tuple[Expectation, ...]:
    """Expect what a restart costs as the last one that came to a step, or as the first start did."""
    last = next((each for each in reversed(job.incidents) if each.step >= 0), None)
    return (
        _stopped(job, around, last),
        placed,
        *(_as_before(phase, last, around.first_start) for phase in ("start", "load")),
    )


def _stopped(job: "JobView", around: Surroundings, last: "IncidentView | None") -> Expectation:
    if last is not None:
        return Expectation(phase="stop", seconds=last.phases.stop, source=f"incident {last.id}")
    grace_s = job.spec.restart_grace_s if job.spec is not None else 0.0
    source = "at most: limits.evidence and the job's restart_grace"
    return Expectation(phase="stop", seconds=around.limit_s("evidence") + grace_s, source=source)


def _as_before(phase: str, last: "IncidentView | None", first: FirstStart | None) -> Expectation:
    if last is not None:
        return Expectation(phase=phase, seconds=getattr(last.phases, phase), source=f"incident {last.id}")
    if first is not None:
        return Expectation(phase=phase, seconds=getattr(first, phase), source="the job's first start")
    return Expectation(phase=phase, seconds=None, source="not known: no step of its first start is in the log")
