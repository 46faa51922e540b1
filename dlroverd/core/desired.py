"""What a node should run: a function of the state, whole each time, numbered by log position."""

from dlroverd.core import out_of_use
from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model.node import NodeState
from dlroverd.model.world import Assignment, Desired, JobDescriptor, Notice, Peer, Saves


def desired(state: State, node: str) -> Desired:
    """Tell what `node` should run and stop as of the last record.

    A gang that is stopping is not listed: its tombstone is, and a rank never started stays so.
    A node that follows another log is told nothing but, once a person has said so, to follow this one.
    """
    record = state.nodes.get(node)
    adopt_from = record.adopt_from if record is not None else ""
    if record is not None and record.state is NodeState.FOREIGN and not adopt_from:
        return Desired(log_id=state.log_id, position=state.m.position)
    held = sorted(key for key in state.node_gangs.get(node, ()) if not state.grants[node, key].released)
    keys = [key for key in held if state.gangs[key].state in LIVE_GANG]
    # Between two worlds too: what their memory of checkpoints holds is for the next one.
    jobs = {key.job for key in keys} | {key.job for key in held if state.jobs[key.job].spec.checkpoint_memory_bytes}
    return Desired(
        log_id=state.log_id,
        position=state.m.position,
        adopt_from=adopt_from,
        jobs=tuple(JobDescriptor(job=job, spec=state.jobs[job].spec) for job in sorted(jobs)),
        assignments=tuple(_assignment(state, state.gangs[key], node) for key in keys),
        tombstones=tuple(state.tombstones[node, key].tombstone for key in sorted(state.node_tombstones.get(node, ()))),
        suspects=tuple(_peer(state, name) for name in sorted(state.asked.get(node, ()))),
        drills=tuple(each.drill for each in record.drills) if record is not None else (),
        reboot=out_of_use.boot_to_end(state, record) if record is not None else "",
        verdicts=state.verdicts.get(node, ()),
        checkups=(known.checkup,) if (known := state.checkups.get(node)) is not None and known.checkup else (),
    )


def _assignment(state: State, gang: GangRecord, node: str) -> Assignment:
    grant, plan = state.grants[node, gang.key], state.jobs[gang.key.job].plan
    return Assignment(
        round=gang.key.at(gang.round),
        world_size=gang.world_size,
        group_rank=grant.group_rank,
        group_world_size=len(gang.nodes),
        first_rank=grant.first_rank,
        nproc=grant.slots,
        master_addr=gang.master_addr,
        master_port=gang.master_port,
        restart_count=gang.restart_count,
        devices=grant.devices,
        checking=gang.checking,
        master=_master(state, gang, node),
        peers=tuple(_peer(state, name) for name in _neighbours(gang, grant.group_rank)),
        notice=Notice(reason=plan.reason, by=plan.by + plan.grace_s) if plan is not None else None,
        saves=_saves(gang),
    )


def _master(state: State, gang: GangRecord, node: str) -> Peer | None:
    """Give the node that a node is to call before a start: none where one of the two speaks to no other agent."""
    ends = (gang.nodes[0], node)
    answers = len(gang.nodes) > 1 and all(state.nodes[each].facts.peer_port for each in ends)
    return _peer(state, gang.nodes[0]) if answers else None


def _saves(gang: GangRecord) -> Saves | None:
    if gang.cadence is not None:
        return gang.cadence.saves(gang.ask)
    return Saves(at=gang.ask) if gang.ask >= 0 else None


def _neighbours(gang: GangRecord, group_rank: int) -> list[str]:
    """Name few other nodes of a world, always as few: the first, and those before and after on a ring."""
    ring, size = gang.nodes, len(gang.nodes)
    names = dict.fromkeys((ring[0], ring[group_rank - 1], ring[(group_rank + 1) % size]))
    return [name for name in names if name != ring[group_rank]]


def _peer(state: State, node: str) -> Peer:
    facts = state.nodes[node].facts
    return Peer(node=node, addresses=facts.addresses or (facts.address,), port=facts.peer_port)
