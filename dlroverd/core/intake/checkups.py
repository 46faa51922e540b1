"""What people ask of node checks, and what nodes say that they found."""

from dlroverd.core.passes import checkups
from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import input as inp
from dlroverd.model.checkup import CheckLevel, CheckupCause
from dlroverd.model.node import NodeState

take = checkups.take
# What a person, or a job, waits for is not given up for somebody else.
_WAITED_FOR = frozenset({CheckupCause.ASKED, CheckupCause.JOB})


def ask(turn: Turn, item: inp.AskCheckup) -> Outcome:
    """Have nodes checked; the same request id twice is one."""
    for name in item.nodes:
        known = turn.state.checkups.get(name)
        if known is not None and known.checkup is not None and known.request_id == item.request_id:
            return Done(known.checkup.id)
        if refused := _refused(turn, name, item.level):
            return refused
    nodes = tuple(dict.fromkeys(item.nodes))
    number = checkups.ask(turn, nodes, item.level, CheckupCause.ASKED, actor=item.actor, request_id=item.request_id)
    return Done(number)


def _refused(turn: Turn, name: str, level: CheckLevel) -> Refused | None:
    node, known = turn.state.nodes.get(name), turn.state.checkups.get(name)
    if node is None:
        return Refused("not_found", f"There is no node {name}; see `dlroverctl node list`.")
    if node.state is not NodeState.READY:
        return Refused("not_ready", f"Node {name} is {node.state}: a check needs its agent connected.")
    if not node.facts.makes_checkups:
        release = node.facts.agent_version or "an unknown release"
        return Refused("not_ready", f"The agent of node {name} ({release}) knows no node checks; upgrade it.")
    if known is not None and known.checkup is not None and known.cause in _WAITED_FOR:
        who = f"job {known.checkup.job}" if known.checkup.job else known.actor
        return Refused("busy", f"Node {name} is being checked for {who}; ask again when that is over.")
    jobs = sorted({key.job for key in turn.state.node_gangs.get(name, ())})
    if jobs and level is not CheckLevel.INSTANT:
        return Refused(
            "busy", f"Job {jobs[0]} runs on node {name} and would be slowed by {level} checks; use --level instant."
        )
    return None
