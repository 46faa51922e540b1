"""Sentences for people, with data in them. A decision without one is not a decision."""

from collections import Counter
from collections.abc import Iterable

from dlroverd.core.passes import outages, queue
from dlroverd.core.records import RankRecord
from dlroverd.core.state import State
from dlroverd.model.job import GangState, JobState
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeState
from dlroverd.model.plan import PlanKind


def fleet_sizes(sizes: Counter[int]) -> str:
    """Describe a fleet by how many nodes have how many slots: `3 nodes with 8 slots, 1 node with 2 slots`."""
    counts = sorted(sizes.items(), reverse=True)
    return ", ".join(
        f"{count} node{'s' if count > 1 else ''} with {size} slot{'s' if size != 1 else ''}" for size, count in counts
    )


def ranks_on(ranks: Iterable[RankRecord]) -> str:
    """Name ranks by node, at most four nodes: `rank 0 on n1, rank 2 on n3 and 5 more`."""
    listed = [f"rank {rank.key.rank} on {rank.node}" for rank in ranks]
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(listed[:4]) + more


def current(state: State, job: int, limits: Limits) -> str:
    """Say why a job is in its state, as of now: what nothing has happened to may still have become untrue."""
    record = state.jobs[job]
    if record.state is JobState.QUEUED:
        return queue.why(state, limits, job)
    gangs = state.gangs_of(job)
    if record.plan is not None and not record.plan.stopping and record.state is JobState.RUNNING:
        when = "soon" if record.plan.kind is PlanKind.TIME_LIMIT else "at its next checkpoint"
        return f"stops {when}: {record.plan.reason}"
    falling = outages.unsettled(state, gangs) if record.state is JobState.RESTARTING else ""
    if falling and all(gang.state is not GangState.STOPPING for gang in gangs):
        return f"nodes of {falling} fall silent; it starts anew when no more do: {record.reason}"
    for gang in gangs:
        lost = [name for name in gang.nodes if state.nodes[name].state is NodeState.LOST]
        live = gang.state in (GangState.STARTING, GangState.RUNNING, GangState.STOPPING)
        lease_s = record.spec.role(gang.key.role).lease_s
        if lost and lease_s and all(state.nodes[name].facts.keeps_leases for name in lost):
            if gang.state is GangState.STOPPING or (live and len(lost) == len(gang.nodes)):
                return f"node {lost[0]} is lost; the job goes on once the lease of its ranks ({lease_s:g} s) is over"
        elif live and len(lost) == len(gang.nodes):
            return (
                f"node {lost[0]} is lost and may still run the only copy of {gang.key}; "
                f"if it is down: `dlroverctl node confirm-down {lost[0]}`"
            )
        if gang.checking and gang.state is GangState.STARTING:
            return "its nodes are being checked"
    return record.reason
