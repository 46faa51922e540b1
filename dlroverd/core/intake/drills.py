"""Faults that a person has made on purpose, to see what recovery costs."""

from dlroverd.core.turn import LIVE_GANG, Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.ids import GangKey
from dlroverd.model.job import RankState
from dlroverd.model.node import NodeState
from dlroverd.model.world import Drill


def order(turn: Turn, item: inp.OrderDrill) -> Outcome:
    """Order a fault of the node concerned; the same request id twice is one."""
    state = turn.state
    if item.request_id in state.requests:
        return Done(state.requests[item.request_id])
    if item.node in state.nodes and any(each.request_id == item.request_id for each in state.nodes[item.node].drills):
        return Done()
    if item.gang is not None:
        return _at_rank(turn, item, item.gang)
    node = state.nodes.get(item.node)
    if node is None:
        return Refused("not_found", f"There is no node {item.node}; see `dlroverctl node list`.")
    return _ordered(turn, item, node.id, Drill(id=state.m.next_drill, kind=item.kind, for_s=item.for_s))


def _at_rank(turn: Turn, item: inp.OrderDrill, key: GangKey) -> Outcome:
    state = turn.state
    gang = state.gangs.get(key)
    if gang is None:
        return Refused("not_found", f"There is no {key}; see `dlroverctl job status {key.job}`.")
    if gang.state not in LIVE_GANG:
        return Refused("not_running", f"{key} is {gang.state}; a drill needs it running.")
    rank = state.ranks.get(key.at(gang.round).rank(item.rank))
    if rank is None:
        return Refused("not_found", f"{key} has ranks 0 to {gang.world_size - 1}, and no {item.rank}.")
    if rank.state is not RankState.RUNNING:
        return Refused("not_running", f"Rank {item.rank} of {key} is {rank.state}; a drill needs it running.")
    drill = Drill(id=state.m.next_drill, kind=item.kind, rank=rank.key, for_s=item.for_s)
    return _ordered(turn, item, rank.node, drill)


def _ordered(turn: Turn, item: inp.OrderDrill, node: str, drill: Drill) -> Outcome:
    record = turn.state.nodes[node]
    if record.state is not NodeState.READY:
        return Refused("not_ready", f"Node {node} is {record.state}; a drill needs its agent connected.")
    if record.drills:
        turn.emit(ev.DrillsEnded(node=node))  # one at a time: which fault an incident is of must stay plain
    job = drill.rank.job if drill.rank is not None else 0
    turn.emit(ev.DrillOrdered(job=job, node=node, drill=drill, actor=item.actor, request_id=item.request_id))
    if job:
        turn.emit(ev.RequestTaken(job=job, request_id=item.request_id, actor=item.actor))
    return Done(job)
