"""What a node should run: a function of the state, whole each time, numbered by log position."""

from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model.node import NodeState
from dlroverd.model.world import Assignment, Desired, JobDescriptor


def desired(state: State, node: str) -> Desired:
    """Tell what `node` should run and stop as of the last record.

    A gang that is stopping is not listed: its tombstone is, and a rank never started stays so.
    A node that follows another log is told nothing but, once a person has said so, to follow this one.
    """
    record = state.nodes.get(node)
    adopt_from = record.adopt_from if record is not None else ""
    if record is not None and record.state is NodeState.FOREIGN and not adopt_from:
        return Desired(log_id=state.log_id, position=state.m.position)
    keys = sorted(
        key
        for key in state.node_gangs.get(node, ())
        if not state.grants[node, key].released and state.gangs[key].state in LIVE_GANG
    )
    assignments = []
    for key in keys:
        gang, grant = state.gangs[key], state.grants[node, key]
        assignments.append(
            Assignment(
                round=key.at(gang.round),
                world_size=gang.world_size,
                group_rank=grant.group_rank,
                group_world_size=len(gang.nodes),
                first_rank=grant.first_rank,
                nproc=grant.slots,
                master_addr=gang.master_addr,
                master_port=gang.master_port,
                restart_count=gang.restart_count,
                devices=grant.devices,
            )
        )
    return Desired(
        log_id=state.log_id,
        position=state.m.position,
        adopt_from=adopt_from,
        jobs=tuple(JobDescriptor(job=job, spec=state.jobs[job].spec) for job in sorted({key.job for key in keys})),
        assignments=tuple(assignments),
        tombstones=tuple(state.tombstones[node, key].tombstone for key in sorted(state.node_tombstones.get(node, ()))),
    )
