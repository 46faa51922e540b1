"""Before the ranks of a world start: whether its nodes are fit, hold the same code, and reach each other.

A world is checked when it spans nodes that were not found fit together, and again after an end that points at the
network. A restart in place after any other fault is not: it would only cost time. A world on one node is checked only
where memory is to be set aside for its checkpoints.
"""

from dataclasses import replace

from dlroverd.core import checked
from dlroverd.core.classify.blame import CHECK_MEMORY, CHECK_OF_NODE
from dlroverd.core.passes import checkups, faults
from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.checkup import CheckState
from dlroverd.model.fault import CHECKPOINT_MEMORY, PORT_TAKEN, Cause, CauseKind
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobSpec
from dlroverd.model.world import NodeCheck, Observed

# Ends after which the nodes of a world may not reach each other any more.
DOUBT_THE_NETWORK = frozenset({CauseKind.PEER_LOST, CauseKind.NO_PATH, CauseKind.START_TIMEOUT})


def possible(state: State, nodes: tuple[str, ...], spec: JobSpec) -> bool:
    """Whether a world on `nodes` can be checked: agents of an older release, or without TLS, do not answer others.

    Where a job asks for node checks, all else is checked all the same.
    """
    facts = [state.nodes[node].facts for node in nodes]
    if spec.check or len(nodes) == 1:  # an agent that knows leases knows checks
        able = all(each.keeps_leases or each.makes_checkups for each in facts)
        return able and bool(spec.check or spec.checkpoint_memory_bytes)
    return all(each.peer_port for each in facts)


def proven(state: State, gang: GangRecord, nodes: tuple[str, ...]) -> bool:
    """Whether `nodes` were found fit together, and reach the master of the gang's last world, which is theirs too."""
    return (
        set(nodes) <= set(gang.proven)
        and nodes[0] == gang.nodes[0]
        and gang.master_addr in state.nodes[nodes[0]].facts.addresses
    )


def take(turn: Turn, node: str, observed: Observed) -> None:
    """Note what a node found of the worlds that are being checked."""
    for check in observed.checks:
        gang = turn.state.gangs.get(check.round.gang_key)
        if gang is None or gang.round != check.round.round or not gang.checking or gang.state not in LIVE_GANG:
            continue
        grant = turn.state.grants.get((node, gang.key))
        if grant is not None and not grant.released and grant.check != check:
            turn.emit(ev.NodeChecked(node=node, check=check))
            turn.touch(gang.key)


def conclude(turn: Turn, gang: GangRecord) -> None:
    """Start a world, or fail it, once each of its nodes has said what it found."""
    if turn.state.unchecked[gang.key] and gang.key not in turn.state.unfit:
        return
    found = [(node, turn.state.grants[node, gang.key].check) for node in gang.nodes]
    checks = {node: check for node, check in found if check is not None}
    cause = _fault(turn, gang, checks)
    spec = turn.state.jobs[gang.key.job].spec
    if cause is None and spec.check:
        if checkups.pending(turn, gang.nodes, gang.key.job):
            return
        cause = _unsound(turn, gang, lenient=spec.allow_mismatch)
    if cause is not None:
        faults.fail_gang(turn, gang.key, turn.now, cause)
    elif len(checks) == len(gang.nodes):
        _settle_address(turn, gang, checks)


def _fault(turn: Turn, gang: GangRecord, checks: dict[str, NodeCheck]) -> Cause | None:
    """Name the first node that is not fit; that much is known before the last one has answered."""
    lenient = turn.state.jobs[gang.key.job].spec.allow_mismatch
    for node, check in checks.items():
        if check.problem == PORT_TAKEN:
            sentence = (
                f"MASTER_PORT {gang.master_port} is taken on node {node}: end what listens there, or set another "
                "`port_range` in the agent's configuration"
            )
            return _cause(CauseKind.PORT_TAKEN, gang.key, node, sentence)
        if check.problem.startswith(CHECKPOINT_MEMORY):  # it names the node, and is the job's own fault
            return replace(_cause(CauseKind.CHECK_FAILED, gang.key, node, check.problem), rule=CHECK_MEMORY)
        if check.problem:
            return _cause(CauseKind.CHECK_FAILED, gang.key, node, f"node {node}: {check.problem}")
        if check.mismatch and not lenient:
            sentence = (
                f"node {node} does not have the same code as {gang.nodes[0]}: {check.mismatch}. "
                "Make them the same, or submit with --allow-mismatch"
            )
            return _cause(CauseKind.MISMATCH, gang.key, node, sentence)
    return None


def _unsound(turn: Turn, gang: GangRecord, *, lenient: bool) -> Cause | None:
    """Name the first node that did not pass its node checks, or that has other versions than the master's."""
    known = {node: record.results for node in gang.nodes if (record := turn.state.checkups.get(node)) is not None}
    for node, results in known.items():
        for each in results:
            if each.state is CheckState.BAD:
                sentence = f"node {node} did not pass the check {each.check}: {each.sentence}"
                return replace(_cause(CauseKind.CHECK_FAILED, gang.key, node, sentence), rule=CHECK_OF_NODE)
    for node, results in known.items() if not lenient else ():
        if unlike := checked.drift(results, known.get(gang.nodes[0], ()), gang.nodes[0]):
            sentence = f"node {node} is not like {gang.nodes[0]}: {unlike}. Make them the same, or --allow-mismatch"
            return replace(_cause(CauseKind.MISMATCH, gang.key, node, sentence), rule=CHECK_OF_NODE)
    return None


def _settle_address(turn: Turn, gang: GangRecord, checks: dict[str, NodeCheck]) -> None:
    """Take the first address of the master's node that every node reached."""
    master, facts = turn.state.nodes[gang.nodes[0]], {node: turn.state.nodes[node].facts for node in gang.nodes}
    if len(gang.nodes) == 1:
        _clear(turn, gang, master.facts.address, "")
        return
    if mute := [node for node, each in facts.items() if not each.peer_port]:
        network = (
            f"{master.facts.address} of node {master.id}; whether all reach it and have the same code was not checked, "
            f"which takes TLS (docs/trust.md) on {_few(mute)}"
        )
        _clear(turn, gang, master.facts.address, network)
        return
    reached = {node: frozenset(check.reached) for node, check in checks.items()}
    missed: list[str] = []
    for address in master.facts.addresses:
        without = [node for node in gang.nodes if address not in reached[node]]
        if without:
            missed.append(f"{address} is not reached from {_few(without)}")
            continue
        others = f"; {'; '.join(missed)}" if missed else ""
        network = f"{address} of node {master.id} is reached from all {len(gang.nodes)} nodes{others}"
        _clear(turn, gang, address, network)
        return
    outside = [node for node in gang.nodes[1:] if not reached[node]] or list(gang.nodes[1:])
    # If nobody reaches the master, the fault is at its end.
    culprit = outside[0] if len(outside) < len(gang.nodes) - 1 or len(gang.nodes) == 2 else master.id
    sentence = (
        f"no address of node {master.id} is reached from all nodes of {gang.key}: {'; '.join(missed) or 'it has none'}"
    )
    faults.fail_gang(turn, gang.key, turn.now, _cause(CauseKind.NO_PATH, gang.key, culprit, sentence))


def _clear(turn: Turn, gang: GangRecord, address: str, network: str) -> None:
    """Let the ranks of a world start; what the job asked to have checked, and nobody could, is said."""
    if turn.state.jobs[gang.key.job].spec.check:
        unable = [node for node in gang.nodes if not turn.state.nodes[node].facts.makes_checkups]
        none = f"no node checks were made on {_few(unable)}: `checks` of the agent's configuration is empty there"
        network = "; ".join(filter(None, (network, none if unable else "")))
        put_off(turn, gang)
    turn.emit(ev.WorldCleared(round=gang.key.at(gang.round), master_addr=address, network=network))


def put_off(turn: Turn, gang: GangRecord) -> None:
    """Have the time that the ranks of a world may take to start begin now."""
    deadline = turn.now + turn.state.jobs[gang.key.job].spec.start_timeout_s
    turn.emit(ev.GangMoved(gang=gang.key, on="checked", to=GangState.STARTING, reason=gang.reason, deadline=deadline))


def _few(nodes: list[str]) -> str:
    more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
    return ", ".join(nodes[:3]) + more


def _cause(kind: CauseKind, gang: GangKey, node: str, sentence: str) -> Cause:
    return Cause(kind=kind, rule=f"check.{kind}", sentence=f"{gang} was not started: {sentence}", node=node)
