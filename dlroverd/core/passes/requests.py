"""What a job needs, in the words of the scheduler interface."""

from dataclasses import replace
from itertools import islice

from dlroverd.core.passes import outages, quotas
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.state import State
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobSpec
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeState
from dlroverd.model.placement import GangPlacement, GangRequest, PlacementRequest


def homeless(state: State, job: int) -> list[GangRecord]:
    """The gangs of a queued job that need nodes: those that wait, and stopped ones, which gave theirs back."""
    return [gang for gang in state.gangs_of(job) if gang.state in (GangState.WAITING, GangState.STOPPED)]


def request(state: State, job: int, limits: Limits) -> PlacementRequest:
    """Put the question about a job into the words of the scheduler interface."""
    record = state.jobs[job]
    wanted = _within(gangs(state, record), quotas.room(state, limits.quotas, job))
    seated = tuple(
        GangPlacement(role=gang.key.role, gang=gang.key.gang, nodes=gang.nodes)
        for gang in state.gangs_of(job)
        if gang.state not in (GangState.WAITING, GangState.STOPPED, GangState.SUCCEEDED)
    )
    avoid = (*avoided(state, record), *(() if record.restarts else pool(state, limits)))
    return PlacementRequest(
        job=job, name=record.spec.name, gangs=wanted, avoid=tuple(dict.fromkeys(avoid)), seated=seated
    )


def gangs(state: State, record: JobRecord) -> tuple[GangRequest, ...]:
    """What each gang of a job that has no nodes needs."""
    wanted = []
    for gang in homeless(state, record.id):
        role = record.spec.role(gang.key.role)
        least = role.nodes_min
        if state.m.now < record.queued_at + record.spec.replace_wait_s and waits_for_its_size(state, gang):
            least = max(least, min(len(gang.nodes), role.nodes_max))
        wanted.append(gang_request(state, gang, record.spec, nodes=(least, role.nodes_max), unit=role.node_unit))
    return tuple(wanted)


def of_spec(state: State, spec: JobSpec) -> PlacementRequest:
    """What a job that was never placed needs, whatever is free."""
    wanted = tuple(
        gang_request(
            state,
            GangRecord(key=GangKey(0, role.name, number), state=GangState.WAITING, reason="", since=0.0),
            spec,
            nodes=(role.nodes_min, role.nodes_max),
            unit=role.node_unit,
        )
        for role in spec.roles
        for number in range(role.gangs)
    )
    return PlacementRequest(job=0, name=spec.name, gangs=wanted)


def gang_request(state: State, gang: GangRecord, spec: JobSpec, *, nodes: tuple[int, int], unit: int) -> GangRequest:
    """Put what a gang needs into the words of the scheduler interface, with `nodes` (fewest, most) of them."""
    role, kept = spec.role(gang.key.role), spec.checkpoint_memory_bytes
    return GangRequest(
        role=gang.key.role,
        gang=gang.key.gang,
        nodes_min=nodes[0],
        nodes_max=nodes[1],
        node_unit=unit,
        slots_per_node=role.nproc_per_node,
        require=role.require,
        nodelist=role.nodelist,
        exclude=role.exclude,
        apart_from=role.apart_from,
        together_with=role.together_with,
        spread=role.spread,
        pack=state.m.pack_by,
        near=gang.nodes,
        memory_bytes=kept + role.resources.memory_bytes if kept else 0,
    )


def _within(wanted: tuple[GangRequest, ...], room: int | None) -> tuple[GangRequest, ...]:
    """Ask for no more nodes than `room` slots allow: each gang its fewest first, then more in order."""
    if room is None:
        return wanted
    left = room - sum(gang.fewest * gang.slots_per_node for gang in wanted)
    capped = []
    for gang in wanted:
        more = max(0, min(gang.most - gang.fewest, left // gang.slots_per_node)) // gang.node_unit * gang.node_unit
        left -= more * gang.slots_per_node
        capped.append(replace(gang, nodes_max=gang.fewest + more))
    return tuple(capped)


def avoided(state: State, record: JobRecord) -> tuple[str, ...]:
    """Name the nodes that a job is not placed on for now."""
    return (*(node for node, until, _ in record.avoid if until > state.m.now), *outages.avoided(state))


def pool(state: State, limits: Limits) -> tuple[str, ...]:
    """Name the nodes that are kept for jobs that lost one: as many wholly free ones as the operator asked for."""
    if not limits.spare_nodes:
        return ()
    free = (node for node in state.free.most_free(1) if node not in state.used)
    return tuple(islice(free, limits.spare_nodes))


def waits_for_its_size(state: State, gang: GangRecord) -> bool:
    """Whether a gang that lost nodes rather waits a while than goes on with fewer: some are coming.

    Those are its own ones that are silent or still being cleared, and any that another job is leaving; what is lost, or
    has a rank that cannot be ended, is not coming.
    """
    if gang.state is not GangState.STOPPED:
        return False
    return any(
        state.nodes[node].state is NodeState.UNREACHABLE or _is_cleared(state, node, gang.key) for node in gang.nodes
    ) or any(key.job != gang.key.job and _is_cleared(state, node, key) for node, key in state.tombstones)


def _is_cleared(state: State, node: str, gang: GangKey) -> bool:
    record = state.nodes[node]
    return (node, gang) in state.tombstones and record.state is not NodeState.LOST and not record.stuck
