"""How a gang's world comes and goes: formed, all running, all succeeded, all gone."""

from collections import Counter
from collections.abc import Sequence

from dlroverd.core import out_of_use
from dlroverd.core.passes import checks, checkups, leases, liveness
from dlroverd.core.records import GangRecord, GrantRecord, NodeRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.checkup import CheckLevel, CheckupCause
from dlroverd.model.fault import CauseKind
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.node import NodeState
from dlroverd.model.world import NodeGrant


def advance(turn: Turn, key: GangKey) -> None:
    """Move a gang on if its ranks say so."""
    gang = turn.state.gangs.get(key)
    if gang is None:
        return
    if gang.state is GangState.STOPPING:
        _finish_stop(turn, gang)
    elif gang.state in LIVE_GANG:
        tally = turn.state.tally.get(key, Counter())
        if tally.get(RankState.GONE, 0) == gang.world_size:
            _succeed(turn, gang)
        elif gang.checking:
            checks.conclude(turn, gang)
        elif gang.state is GangState.STARTING and not (
            tally.get(RankState.ASSIGNED, 0) or tally.get(RankState.STARTING, 0)
        ):
            _move(turn, gang, "all_running", GangState.RUNNING, "every rank runs")


def _move(turn: Turn, gang: GangRecord, on: str, to: GangState, reason: str) -> None:
    turn.emit(ev.GangMoved(gang=gang.key, on=on, to=to, reason=reason))
    turn.touched_jobs.add(gang.key.job)


def _finish_stop(turn: Turn, gang: GangRecord) -> None:
    """Call a world stopped once it provably can not step any more (DESIGN section 5, fencing).

    That is: every rank is verified gone, or at least one is and the others are on lost nodes: their
    collective group has lost a member for good. A rank that KILL does not end is stuck in the kernel, and never
    runs its code again: it counts as gone. A job that ends needs no fence, only no one left to ask. What ranks with
    a lease do outside of their group, they do without it: of those every one must be gone. And it has succeeded only
    if all of it is gone: of a rank whose program ended with 0 on a host that was lost, a child may still be at work.
    """
    state = turn.state
    liveness.second_sign(turn, gang)
    # Asked after each report of each node, so it must not look at every rank: a well node with a rank left ends it.
    left = state.left.get(gang.key, Counter())
    if any(state.nodes[name].state is not NodeState.LOST and _unended(state, gang, name) for name in left):
        return
    unended = sum(_unended(state, gang, name) for name in left)
    ending = state.jobs[gang.key.job].state is JobState.STOPPING
    none_ended = unended == sum(state.tally.get(gang.key, Counter()).values())
    if unended and not ending and (none_ended or leases.length_s(state, gang.key)):
        return
    exits = (rank.exit for rank in state.world(gang))
    if not left and all(exit_ is not None and exit_.code == 0 and not exit_.requested for exit_ in exits):
        _succeed(turn, gang)
    else:
        _move(turn, gang, "all_gone", GangState.STOPPED, "its last world has stopped")


def _unended(state: State, gang: GangRecord, node: str) -> int:
    """Count the ranks of a gang's world on a node that are neither gone nor stuck."""
    stuck = sum(
        rank.state is not RankState.GONE
        for each in state.nodes[node].stuck
        if (rank := state.ranks.get(each.key)) is not None and each.key.gang_key == gang.key
    )
    return state.left[gang.key][node] - stuck


def _succeed(turn: Turn, gang: GangRecord) -> None:
    _move(turn, gang, "all_succeeded", GangState.SUCCEEDED, "every rank ended with 0")
    turn.emit(ev.GangReleased(gang=gang.key))


def is_usable(state: State, name: str, devices: Sequence[str]) -> bool:
    """Whether ranks can be started on a node, on those of its devices."""
    node = state.nodes[name]
    unusable = {device.uuid for device in node.devices}
    well = node.state is NodeState.READY and not node.stuck and not unusable.intersection(devices)
    return well and not out_of_use.sends_away(node)


def form(turn: Turn, key: GangKey, grants: Sequence[NodeGrant], reason: str, after: CauseKind | None = None) -> None:
    """Give a gang a new world: a higher round, ranks in order of `grants`, a port not used lately."""
    state = turn.state
    gang, job = state.gangs[key], state.jobs[key.job]
    master = state.nodes[grants[0].node]
    nodes = tuple(grant.node for grant in grants)
    proven = checks.proven(state, gang, nodes)
    checking = checks.possible(state, nodes, job.spec) and (not proven or after in checks.DOUBT_THE_NETWORK)
    deadline = turn.now + job.spec.start_timeout_s
    turn.emit(
        ev.WorldFormed(
            round=key.at(gang.round + 1),
            grants=tuple(grants),
            master_addr=gang.master_addr if proven else master.facts.address,
            master_port=_next_port(state, master),
            world_size=sum(grant.slots for grant in grants),
            restart_count=job.restarts,
            reason=reason,
            deadline=deadline,
            checking=checking,
            network=gang.network if proven and not checking and len(nodes) > 1 else "",
        )
    )
    checkups.give_way(turn, nodes, key.job)
    if checking and job.spec.check:
        able = [node for node in nodes if checkups.possible(state.nodes[node])]
        checkups.ask(turn, able, CheckLevel(job.spec.check), CheckupCause.JOB, job=key.job)
    turn.emit(ev.GangMoved(gang=key, on="formed", to=GangState.STARTING, reason=reason, deadline=deadline))
    turn.touched_jobs.add(key.job)


def _next_port(state: State, master: NodeRecord) -> int:
    """Take the node's ports in turn, so that one of the last rounds' is never used again soon."""
    facts = master.facts
    size = facts.port_high - facts.port_low + 1
    taken = {
        state.gangs[key].master_port
        for key in state.node_gangs.get(master.id, ())
        if state.gangs[key].nodes[:1] == (master.id,)
    }
    first = master.next_port - facts.port_low if facts.port_low <= master.next_port <= facts.port_high else 0
    for ahead in range(size):
        port = facts.port_low + (first + ahead) % size
        if port not in taken:
            return port
    return facts.port_low


def pick_devices(state: State, node: str, slots: int) -> tuple[str, ...]:
    """Choose the first free devices of a node, as many as slots; none on a host without devices."""
    record = state.nodes[node]
    if not record.facts.devices:
        return ()
    held: list[GrantRecord] = [state.grants[node, key] for key in state.node_gangs.get(node, ())]
    taken = {device for grant in held for device in grant.devices}
    taken.update(device.uuid for device in record.devices)
    free = [device.uuid for device in record.facts.devices if device.uuid not in taken]
    return tuple(free[:slots])
