"""How many nodes a gang has: spares take the place of lost ones, and a new world may have more nodes or fewer.

Nobody is asked: what a job holds it keeps, and what is added is free.
"""

from collections.abc import Sequence

from dlroverd.core.passes import incidents, membership, quotas, requests
from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import CauseKind
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobState, RoleSpec
from dlroverd.model.place import place
from dlroverd.model.placement import GangPlacement, Placement, PlacementRequest
from dlroverd.model.world import NodeGrant


def replaced(state: State, gang: GangRecord) -> list[NodeGrant] | None:
    """Give a stopped gang's nodes with a spare of its own in place of each that is not usable; None if too few."""
    avoided = requests.avoided(state, state.jobs[gang.key.job])
    spares = [
        node for node in sorted(state.gang_spares.get(gang.key, ())) if node in state.usable and node not in avoided
    ]
    slots = state.jobs[gang.key.job].spec.role(gang.key.role).nproc_per_node
    grants = []
    for node in gang.nodes:
        grant = state.grants.get((node, gang.key))
        if grant is None or grant.released:
            return None
        if node not in avoided and membership.is_usable(state, node, grant.devices):
            grants.append(NodeGrant(node=node, slots=grant.slots, devices=grant.devices))
        elif spares:
            spare = spares.pop(0)
            grants.append(NodeGrant(node=spare, slots=slots, devices=membership.pick_devices(state, spare, slots)))
        else:
            return None
    return grants if sum(grant.slots for grant in grants) == gang.world_size else None


def keep_spares(turn: Turn, key: GangKey) -> None:
    """Keep as many nodes for a gang as its role asks for, of those that are free; fewer if there are not enough."""
    gang = turn.state.gangs[key]
    role = turn.state.jobs[key.job].spec.role(key.role)
    kept = tuple(n for n in sorted(turn.state.gang_spares.get(key, ())) if n in turn.state.usable)
    wanted = max(0, role.spares - len(kept))
    found = find(turn, gang, 1, wanted, unit=1) if wanted else ()
    nodes = tuple(sorted((*kept, *found)))
    if nodes != tuple(sorted(turn.state.gang_spares.get(key, ()))):
        turn.emit(ev.SparesKept(gang=key, nodes=nodes, slots=role.nproc_per_node))


def most(role: RoleSpec) -> int:
    """Tell the largest legal number of nodes of a role's gang."""
    return role.nodes_max // role.node_unit * role.node_unit


def find(turn: Turn, gang: GangRecord, least: int, wanted: int, *, unit: int) -> tuple[str, ...]:
    """Choose up to `wanted` free nodes for a gang beside those it has; none if there are not even `least`.

    What is kept for those who lost a node is left, and no quota is broken.
    """
    state = turn.state
    record = state.jobs[gang.key.job]
    role = record.spec.role(gang.key.role)
    room = quotas.room(state, turn.limits.quotas, record.id)
    if room is not None:
        wanted = min(wanted, room // role.nproc_per_node)
    if wanted < least:
        return ()
    question = requests.gang_request(state, gang, record.spec, nodes=(least, wanted), unit=unit)
    spares = sorted(state.gang_spares.get(gang.key, ()))
    reserved = requests.pool(state, turn.limits)
    avoid = tuple(dict.fromkeys((*requests.avoided(state, record), *gang.nodes, *spares, *reserved)))
    seated = tuple(
        GangPlacement(role=other.key.role, gang=other.key.gang, nodes=other.nodes)
        for other in state.gangs_of(record.id)
        if other.key != gang.key and any((node, other.key) in state.grants for node in other.nodes)
    )
    answer = place(
        state.free,
        PlacementRequest(job=record.id, name=record.spec.name, gangs=(question,), avoid=avoid, seated=seated),
    )
    return answer.gangs[0].nodes if isinstance(answer, Placement) else ()


def lacks(turn: Turn, gang: GangRecord, least: int) -> int:
    """Count the nodes that a gang would need beside its own, and beside those that are free, to have `least`."""
    role = turn.state.jobs[gang.key.job].spec.role(gang.key.role)
    more = least - len(gang.nodes)
    found = find(turn, gang, role.node_unit, more, unit=role.node_unit) if more > 0 else ()
    return max(0, more - len(found))


def resize(turn: Turn, job: int, stopped: Sequence[GangRecord], reason: str) -> bool:
    """Form the next worlds on what the gangs hold, with nodes added or taken away as their range and the fleet allow.

    False, and nothing is changed, if some gang's own nodes are not all well, or it would have too few.
    """
    state = turn.state
    record = state.jobs[job]
    worlds = [(gang, replaced(state, gang)) for gang in stopped]
    if any(held is None or lacks(turn, gang, record.spec.role(gang.key.role).nodes_min) for gang, held in worlds):
        return False
    for gang, held in worlds:
        role = record.spec.role(gang.key.role)
        largest = most(role)
        grants = (held or [])[:largest]
        more = largest - len(grants)
        if more > 0:
            found = find(turn, gang, role.node_unit, more, unit=role.node_unit)
            n = role.nproc_per_node
            grants += [NodeGrant(node=each, slots=n, devices=membership.pick_devices(state, each, n)) for each in found]
        membership.form(turn, gang.key, grants, reason, CauseKind.REQUESTED)
    for gang in stopped:
        keep_spares(turn, gang.key)
    turn.emit(
        ev.JobMoved(
            job=job,
            on="reformed",
            to=JobState.STARTING,
            reason=reason,
            deadline=turn.now + record.spec.start_timeout_s + turn.limits.stop_margin_s,
        )
    )
    incidents.reached(turn, job, "placed")
    return True
