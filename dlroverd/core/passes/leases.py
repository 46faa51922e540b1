"""Leases: ranks that end by themselves once the daemon has not heard of their node for long enough.

The one way in which silence alone proves something. The agent counts from a beat that this daemon has heard; so by the
time that nothing has been heard for the lease and a margin, the rank is gone, whether its host is cut off, frozen or
dead. How long that is comes in from outside: it is measured on the monotonic clock, which `now` is not.
"""

from collections.abc import Iterator

from dlroverd.core.passes import faults
from dlroverd.core.records import RankRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import LEASE_RAN_OUT, ExitInfo
from dlroverd.model.ids import GangKey
from dlroverd.model.job import RankState
from dlroverd.model.node import NodeState
from dlroverd.model.world import RankObservation


def length_s(state: State, gang: GangKey) -> float:
    """Give the lease of a gang's ranks; 0 if they have none."""
    return state.jobs[gang.job].spec.role(gang.role).lease_s


def counted(state: State, node: str) -> Iterator[GangKey]:
    """Name the gangs of which a silent node may still run ranks that have a lease."""
    record = state.nodes[node]
    if record.facts.keeps_leases and record.state in (NodeState.UNREACHABLE, NodeState.LOST):
        for key in sorted(state.node_gangs.get(node, ())):
            if length_s(state, key) and any(_left(state, node, key)):
                yield key


def end(turn: Turn, node: str, silent_s: float) -> None:
    """Count those ranks of a node as gone whose lease has run out, since nothing was heard for `silent_s`."""
    for key in list(counted(turn.state, node)):
        if silent_s < length_s(turn.state, key) + turn.limits.lease_margin_s:
            continue
        exit_ = ExitInfo(exited_at=turn.now, lost=LEASE_RAN_OUT)
        gone = tuple(
            RankObservation(key=rank.key, state=RankState.GONE, exit=rank.exit or exit_)
            for rank in _left(turn.state, node, key)
        )
        turn.emit(ev.RanksSeen(node=node, ranks=gone))
        turn.touch(key)
        if turn.state.gangs[key].state in LIVE_GANG:
            faults.fail_gang(turn, key, turn.state.nodes[node].heard_at, None)


def _left(state: State, node: str, key: GangKey) -> Iterator[RankRecord]:
    """Give the ranks of a gang's current world on a node that are not known to be gone."""
    grant = state.grants[node, key]
    world = key.at(state.gangs[key].round)
    for number in range(grant.first_rank, grant.first_rank + grant.slots):
        rank = state.ranks.get(world.rank(number))
        # The grant may be of an older world, its tombstone not cleared yet.
        if rank is not None and rank.node == node and rank.state is not RankState.GONE:
            yield rank
