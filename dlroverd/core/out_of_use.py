"""What the holds on a node come to. Questions about the state; changes nothing."""

from dlroverd.core import checked
from dlroverd.core.diagnosed import of_node
from dlroverd.core.records import NodeRecord
from dlroverd.core.state import State
from dlroverd.model.hold import AUTOMATION, DrainMode, Hold, HoldKind
from dlroverd.model.node import NodeState
from dlroverd.model.reputation import DEVICE, HOST, Standing, Subject

EMPTIES = frozenset({HoldKind.DRAIN, HoldKind.MAINTENANCE})
_DEGREES = tuple(HoldKind)
_WORDS = {
    HoldKind.CORDON: "cordoned by",
    HoldKind.DRAIN: "draining for",
    HoldKind.MAINTENANCE: "in maintenance for",
    HoldKind.QUARANTINE: "quarantined by",
}


def sends_away(node: NodeRecord) -> bool:
    """Whether a job that has ranks on a node is to restart elsewhere: all holds but a cordon ask for that."""
    return any(hold.kind is not HoldKind.CORDON for hold in node.holds)


def jobs_on(state: State, node: str) -> list[int]:
    """Number the jobs that have ranks on a node, or are about to."""
    return sorted({key.job for key in state.node_gangs.get(node, ())})


def boot_to_end(state: State, node: NodeRecord) -> str:
    """Name the boot of a node that is to be ended now: it is held for that, and nothing of ours is there; else ""."""
    if state.node_gangs.get(node.id) or state.node_tombstones.get(node.id) or node.state is not NodeState.READY:
        return ""
    for hold in node.holds:
        wanted = hold.maintenance
        if wanted is not None and wanted.reboot and wanted.boot_id == node.boot_id:
            return node.boot_id
    return ""


def check_problem(node: NodeRecord, hold: Hold) -> str:
    """Say why the check at the end of a maintenance is not passed; "" if it is."""
    wanted = hold.maintenance
    if wanted is None:
        return "it is held for no maintenance"
    if node.boot_id == wanted.boot_id:
        return "it has not been rebooted"
    if node.state is not NodeState.READY:
        return f"it is {node.state}"
    missing = set(wanted.devices) - {device.uuid for device in node.facts.devices}
    if missing:
        return f"device {min(missing)}, which it had before, is missing"
    if node.devices:
        return f"device {node.devices[0].uuid} is {node.devices[0].state}: {node.devices[0].detail}"
    if node.stuck:
        return f"{node.stuck[0].key} cannot be ended there"
    return ""


def progress(state: State, node: NodeRecord) -> str:
    """Say how far a node that is to become empty is: `drained`, or which jobs are left; "" if none is to."""
    holds = [hold for hold in node.holds if hold.kind in EMPTIES]
    if not holds:
        return ""
    jobs = jobs_on(state, node.id)
    if jobs:
        names = ", ".join(f"job {job}" for job in jobs[:4]) + (f" and {len(jobs) - 4} more" if len(jobs) > 4 else "")
        return f"draining: {len(jobs)} job{'s' if len(jobs) > 1 else ''} left ({names}{_when(state, jobs, holds)})"
    for hold in holds:
        wanted = hold.maintenance
        if wanted is not None and wanted.reboot and wanted.boot_id == node.boot_id:
            return "drained; it is being rebooted"
        if wanted is not None and wanted.until_checked:
            return f"drained; not put back yet: {check_problem(node, hold)}"
        if wanted is not None and wanted.reboot:
            return "drained and rebooted"
    return "drained"


def _when(state: State, jobs: list[int], holds: list[Hold]) -> str:
    """Say when the jobs of a node leave it."""
    modes = {hold.mode for hold in holds}
    if DrainMode.NOW in modes:
        return ", being stopped"
    if DrainMode.AT_CHECKPOINT not in modes:
        return ", until they end or restart"
    silent = [job for job in jobs if not state.jobs[job].checkpoints]
    return f", at the next checkpoint; job {silent[0]} has told of none yet" if silent else ", at the next checkpoint"


def unused(state: State) -> str:
    """Name the nodes that somebody holds, at most four: `; n7 quarantined by dlroverd, n9 draining for ann`; or ""."""
    named = []
    for name in sorted(state.held)[:4]:
        worst = max(state.nodes[name].holds, key=lambda hold: _DEGREES.index(hold.kind))
        named.append(f"{name} {_WORDS[worst.kind]} {worst.owner}")
    more = f" and {len(state.held) - 4} more are held" if len(state.held) > 4 else ""
    return f"; {', '.join(named)}{more}" if named else ""


def held(hold: Hold) -> str:
    """Say who holds a node and why: `cordon by ann: fans are loud`."""
    return f"{hold.kind} by {hold.owner}: {hold.reason}"


def subjects(node: NodeRecord) -> list[Subject]:
    """Name all of a node that has a reputation: its host and its devices."""
    return [(HOST, node.id), *((DEVICE, device.uuid) for device in node.facts.devices)]


def held_for_checks(state: State, node: NodeRecord) -> bool:
    """Whether automation holds a node for what its checks found, and not for what happened there."""
    held = any(hold.owner == AUTOMATION and hold.kind is HoldKind.QUARANTINE for hold in node.holds)
    known = [state.reputations[each] for each in subjects(node) if each in state.reputations]
    return held and not any(each.standing is Standing.QUARANTINED for each in known)


def why(state: State, name: str) -> str:
    """Say in one sentence why a node is not used, or that it is and by whom, or that it could be."""
    node = state.nodes[name]
    if node.state is not NodeState.READY:
        sentence = f"node {name} is {node.state}: {node.reason}"
    elif node.holds:
        far = progress(state, node)
        sentence = f"node {name} takes no new jobs: {'; '.join(held(hold) for hold in node.holds)}"
        sentence += f"; {far}" if far else ""
    elif node.stuck:
        processes = ", ".join(node.stuck[0].processes)
        sentence = f"node {name} takes no new jobs: {node.stuck[0].key} cannot be ended ({processes}); reboot it"
    elif not (free := state.free.free(name) or 0):
        sentence = f"node {name} is full: {_users(state, node)}"
    else:
        sentence = f"node {name} can be used: {free} of {node.facts.slots} slots are free; {_users(state, node)}"
    for key, diagnosis in of_node(state, name):
        sentence += f"; {key.rule} concludes of job {key.gang.job}: {diagnosis.conclusion.sentence}"
    finding = state.findings.get(name)
    if finding is not None:
        held_back = f", held back: {finding.held_back}" if finding.held_back else ""
        return f"{sentence}; automation finds ({finding.stage}{held_back}): {finding.sentence}"
    if not node.holds and (failed := checked.failed(state, name)):
        return f"{sentence}; {failed}"
    suspects = [known for each in subjects(node) if (known := state.reputations.get(each)) is not None]
    worst = max(suspects, key=lambda known: known.doubt, default=None)
    if worst is not None and worst.standing is Standing.SUSPECT:
        return f"{sentence}; other nodes are taken first: {worst.reason}"
    return sentence


def _users(state: State, node: NodeRecord) -> str:
    jobs = jobs_on(state, node.id)
    users = f"{', '.join(f'job {job}' for job in jobs[:4])} run{'s' if len(jobs) == 1 else ''} there"
    shown = users if jobs else "nothing runs there"
    return shown + (f", and {len(node.devices)} devices cannot be granted" if node.devices else "")
