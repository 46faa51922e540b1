"""Nodes that are held: their jobs leave them, and maintenance ends when a node is back and whole."""

from dataclasses import replace

from dlroverd.core import out_of_use
from dlroverd.core.passes import planned, reputation
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.hold import AUTOMATION, DrainMode, Hold
from dlroverd.model.plan import PlanKind

# A drain that waits for checkpoints and has no deadline: a plan needs one, and this is none.
_ANY_TIME_S = 10 * 365 * 86400.0


def empty(turn: Turn, node: str, hold: Hold) -> None:
    """Have the jobs of a node leave it, as its hold says."""
    if hold.kind not in out_of_use.EMPTIES or hold.mode is DrainMode.FINISH:
        return
    for job in out_of_use.jobs_on(turn.state, node):
        # One that has told of no checkpoint yet is left until it does: it would lose all it did.
        if hold.mode is DrainMode.NOW or turn.state.jobs[job].checkpoints:
            _move(turn, job, node, hold)


def _move(turn: Turn, job: int, node: str, hold: Hold) -> None:
    wait_s = 0.0
    if hold.mode is DrainMode.AT_CHECKPOINT:
        wait_s = max(0.0, hold.deadline - turn.now) if hold.deadline else _ANY_TIME_S
    reason = f"{hold.owner} empties node {node}: {hold.reason}"
    planned.order(turn, job, PlanKind.DRAIN, reason, wait_s=wait_s)


def checkpointed(turn: Turn, job: int) -> None:
    """A job has told of a checkpoint: if it was not known to make any, have it leave nodes that waited for one."""
    if turn.state.jobs[job].plan is not None:
        return
    for gang in turn.state.gangs_of(job):
        for node in gang.nodes:
            for hold in turn.state.nodes[node].holds:
                if hold.kind in out_of_use.EMPTIES and hold.mode is DrainMode.AT_CHECKPOINT:
                    _move(turn, job, node, hold)
                    return


def let_go(turn: Turn, node: str, owner: str) -> None:
    """A node was released: jobs that were still to leave it stay."""
    if any(hold.kind in out_of_use.EMPTIES for hold in turn.state.nodes[node].holds):
        return
    for job in out_of_use.jobs_on(turn.state, node):
        others = {name for gang in turn.state.gangs_of(job) for name in gang.nodes} - {node}
        holds = [hold for name in others for hold in turn.state.nodes[name].holds]
        if not any(hold.kind in out_of_use.EMPTIES and hold.mode is not DrainMode.FINISH for hold in holds):
            planned.call_off(turn, job, PlanKind.DRAIN, f"{owner} let go of node {node}")


def overdue(turn: Turn, node: str) -> None:
    """Take the holds whose deadline has passed: what is still there leaves now."""
    for hold in turn.state.nodes[node].holds:
        if hold.deadline and hold.deadline <= turn.now:
            at_once = replace(hold, mode=DrainMode.NOW, deadline=0.0)
            turn.emit(ev.NodeHeld(node=node, hold=at_once, actor=AUTOMATION))
            empty(turn, node, at_once)


def looked_at(turn: Turn, node: str) -> None:
    """A node was heard: end the maintenance that was to last until it is back and whole."""
    record = turn.state.nodes[node]
    for hold in record.holds:
        if (
            hold.maintenance is None
            or not hold.maintenance.until_checked
            or out_of_use.check_problem(record, hold)
            or out_of_use.jobs_on(turn.state, node)
        ):
            continue
        whole = "it is back with all its devices"
        turn.emit(ev.NodeReleased(node=node, owner=hold.owner, kind=hold.kind, actor=AUTOMATION, reason=whole))
        for each in turn.state.nodes[node].holds:
            if each.owner == AUTOMATION:
                turn.emit(ev.NodeReleased(node=node, owner=each.owner, kind=each.kind, actor=AUTOMATION, reason=whole))
                reputation.pardon(turn, node, "it came back whole from maintenance")
