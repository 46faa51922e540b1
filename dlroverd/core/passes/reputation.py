"""What happens is held for or against the hosts and devices it happens on, and the worst of them are taken out of use.

Automation goes as far as its stage and the brakes allow; what they hold back stays a finding until it fades.
"""

from dlroverd.core import brakes, out_of_use, signals
from dlroverd.core import checked as checks_of
from dlroverd.core import reputation as odds
from dlroverd.core.classify import blames_node
from dlroverd.core.records import JobRecord, NodeRecord, ReputationRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.hold import AUTOMATION, Hold, HoldKind
from dlroverd.model.job import GangState, RankState
from dlroverd.model.node import NodeState
from dlroverd.model.reputation import DEVICE, HOST, AutomationStage, Evidence, Standing, Subject

# Seen where they happen, whether under a job or not.
_SEEN_ELSEWHERE = frozenset({CauseKind.NODE_LOST, CauseKind.DEVICE_LOST})
# From here on a failure can hardly be the job's: it counts however often it happens under one job.
_SURE = 0.9
# So many nodes silent within so long have lost something that they share: none of them is to blame.
_SHARED, _AT_ONCE_S = 3, 60.0
# A crash of the host under load, and one that may as well have been a person at the button.
_CRASHED, _RESTARTED = 0.9, 0.3
# A device's fault may be its slot's, its power's, its driver's.
_HOST_OF_DEVICE = 0.5
# What is worth less says nothing either way.
_LEAST_WORTH = 0.2
# Not looked at more often than this, however close to its line a score is, or however short the window.
_LEAST_S, _RETRY_S = 3600.0, 60.0
_LOOKED_BACK = 50
# A sign that is enough by itself is still enough when the brakes have held it back for a day.
_CERTAIN = odds.QUARANTINE_AT + 1.0


# ---- evidence


def blame(turn: Turn, job: JobRecord, cause: Cause) -> None:
    """Take what an incident of a job came to; a cause that is the job's own says nothing about the node."""
    share = blames_node(cause)
    if cause.node not in turn.state.nodes or cause.kind in _SEEN_ELSEWHERE or not share:
        return
    if cause.rule.startswith(signals.RULE):
        return  # it counted when it was told
    if share < _SURE:
        known = turn.state.reputations.get((HOST, cause.node))
        if known is not None and any(each.job == job.id for each in known.evidence):
            return  # one job counts once: if it is the node, others will say so too
        if _others_run_well(turn, cause.node, job.id):
            share /= 2
    worth = odds.weight(share, _own_rate(turn, job, cause.node))
    if worth < _LEAST_WORTH:
        return
    evidence = Evidence(at=turn.now, kind=cause.kind.value, weight=worth, sentence=cause.sentence, job=job.id)
    _accuse(turn, cause.node, (HOST, cause.node), evidence)


def _own_rate(turn: Turn, job: JobRecord, node: str) -> float:
    """Estimate how often a job crashes by itself, from its incidents on other nodes and its time there."""
    state = turn.state
    first = max(1, job.next_incident - _LOOKED_BACK)
    recent = [state.incidents.get((job.id, number)) for number in range(first, job.next_incident)]
    causes = [each.cause for each in recent if each is not None and each.cause is not None]
    elsewhere = sum(
        1 for cause in causes if cause.node not in ("", node) and cause.kind not in _SEEN_ELSEWHERE and cause.rank
    )
    others = {name for gang in state.gangs_of(job.id) for name in gang.nodes} - {node}
    days = (turn.now - job.started_at) / odds.DAY_S if job.started_at else 0.0
    return odds.own_rate(elsewhere, len(others) * days)


def _others_run_well(turn: Turn, node: str, job: int) -> bool:
    """Whether another job's world runs on a node all the while."""
    gangs = [turn.state.gangs[key] for key in turn.state.node_gangs.get(node, ()) if key.job != job]
    return any(gang.state is GangState.RUNNING for gang in gangs)


def lost(turn: Turn, node: NodeRecord, reason: str) -> None:
    """Take that a node was lost, unless many fell silent with it or somebody works on it."""
    if not worked_on(node) and not _fell_with_others(turn, node):
        _accuse_host(turn, node.id, 1.0, "node_lost", f"it was lost: {reason}")


def _fell_with_others(turn: Turn, node: NodeRecord) -> bool:
    """Whether a node fell silent in an outage of something that it shares, or with so many that there must be one."""
    state = turn.state
    outages = [state.outages.get(domain) for domain in state.domains.get(node.id, ())]
    if any(each is not None and node.id in each.nodes and each.last_at >= node.heard_at for each in outages):
        return True
    at_once = 0
    for name in state.silent:
        at_once += abs(state.nodes[name].heard_at - node.heard_at) <= _AT_ONCE_S
        if at_once >= _SHARED:
            return True
    return False


def rebooted(turn: Turn, node: NodeRecord) -> None:
    """Take that a node has another boot than it had, `node` being as it was before; its loss counted already."""
    if worked_on(node) or node.state is NodeState.LOST:
        return
    ranks = [
        rank
        for key in turn.state.node_gangs.get(node.id, ())
        for rank in turn.state.world(turn.state.gangs[key])
        if rank.node == node.id and rank.state in (RankState.STARTING, RankState.RUNNING)
    ]
    if ranks:
        _accuse_host(turn, node.id, _CRASHED, "rebooted", "it was rebooted under a job")
    else:
        _accuse_host(turn, node.id, _RESTARTED, "rebooted", "it was rebooted")


def device_lost(turn: Turn, node: str, uuid: str, detail: str) -> None:
    """Take that one of a node's devices was lost."""
    if worked_on(turn.state.nodes[node]):
        return
    worth = odds.weight(1.0, 0.0)
    sentence = f"device {uuid} was lost: {detail}"
    evidence = Evidence(at=turn.now, kind="device_lost", weight=worth, sentence=sentence)
    _accuse(turn, node, (DEVICE, uuid), evidence)
    _accuse_host(turn, node, _HOST_OF_DEVICE, "device_lost", sentence)


def signalled(turn: Turn, node: str, device: str, kind: str, sentence: str, *, alone: bool) -> None:
    """Take what a kernel or driver said of a host, or of a device if one is named; `alone`: that is enough."""
    # A node speaks for what it has, and for nothing of another's.
    own = (DEVICE, device) in out_of_use.subjects(turn.state.nodes[node])
    subject: Subject = (DEVICE, device) if own else (HOST, node)
    worth = odds.weight(1.0, 0.0)
    if alone:
        worth = max(worth, round(_CERTAIN - _score(turn, turn.state.reputations.get(subject)), 3))
    _accuse(turn, node, subject, Evidence(at=turn.now, kind=kind, weight=worth, sentence=sentence))


def repaired(turn: Turn, node: str, reason: str) -> None:
    """What spoke against a node and its devices is mended: they begin anew."""
    for subject in out_of_use.subjects(turn.state.nodes[node]):
        known = turn.state.reputations.get(subject)
        if known is not None:
            _stand(turn, subject, known, Standing.PROVEN, score=0.0, reason=reason)
    if node in turn.state.findings:
        turn.emit(ev.FindingEnded(node=node, reason=reason))


def worked_on(node: NodeRecord) -> bool:
    """Whether a person empties a node, or has a fault made there: what happens then is no sign of anything."""
    return bool(node.drills) or any(hold.kind in out_of_use.EMPTIES for hold in node.holds)


def _accuse_host(turn: Turn, node: str, share: float, kind: str, sentence: str) -> None:
    worth = odds.weight(share, odds.own_rate(0, 0.0))
    _accuse(turn, node, (HOST, node), Evidence(at=turn.now, kind=kind, weight=worth, sentence=sentence))


def _accuse(turn: Turn, node: str, subject: Subject, evidence: Evidence) -> None:
    score = _score(turn, turn.state.reputations.get(subject)) + evidence.weight
    turn.emit(ev.EvidenceSeen(node=node, subject=subject, evidence=evidence, score=score))
    known = turn.state.reputations[subject]
    if known.standing is Standing.QUARANTINED:
        return
    if score >= odds.SUSPECT_AT:
        _suspect(turn, subject, known, _signs(turn, known), probation=known.probation)
        reconsider(turn, node)


def _score(turn: Turn, known: ReputationRecord | None) -> float:
    if known is None:
        return 0.0
    return odds.faded(known.score, turn.now - known.at, turn.limits.automation.half_life_s)


def _signs(turn: Turn, known: ReputationRecord) -> str:
    """Say what speaks against something, in short."""
    first, last = known.evidence[0], known.evidence[-1]
    if len(known.evidence) == 1:
        return last.sentence
    hours = max(1, round((turn.now - first.at) / 3600))
    span = f"{hours} h" if hours < 48 else f"{hours // 24} days"
    return f"{len(known.evidence)} signs within {span}, the last: {last.sentence}"


# ---- standing


def _suspect(turn: Turn, subject: Subject, known: ReputationRecord, reason: str, *, probation: bool) -> None:
    limits, score = turn.limits.automation, _score(turn, known)
    waits_s = min(odds.fades_to_s(score, odds.SUSPECT_AT, limits.half_life_s), limits.half_life_s / 4)
    if probation:
        waits_s = min(waits_s, limits.probation_s)
    _stand(
        turn,
        subject,
        known,
        Standing.SUSPECT,
        score=score,
        reason=reason,
        probation=probation,
        waits_s=max(_LEAST_S, waits_s),
    )


def _stand(
    turn: Turn,
    subject: Subject,
    known: ReputationRecord,
    standing: Standing,
    *,
    score: float,
    reason: str,
    probation: bool = False,
    waits_s: float = 0.0,
) -> None:
    turn.emit(
        ev.StandingChanged(
            node=known.node,
            subject=subject,
            standing=standing,
            score=score,
            doubt=0.0 if standing is Standing.PROVEN else odds.doubt(score),
            reason=reason,
            deadline=turn.now + waits_s if waits_s else 0.0,
            probation=probation,
        )
    )


def review(turn: Turn, subject: Subject) -> None:
    """Look again at a suspect: proven once what spoke against it has faded, or it has worked its probation."""
    known = turn.state.reputations[subject]
    score = _score(turn, known)
    if score < odds.SUSPECT_AT:
        _stand(turn, subject, known, Standing.PROVEN, score=score, reason="what spoke against it has faded")
    elif known.probation and _worked(turn, known):
        hours = turn.limits.automation.probation_s / 3600
        _stand(
            turn, subject, known, Standing.PROVEN, score=0.0, reason=f"a job ran on it for {hours:g} h without a fault"
        )
    else:
        _suspect(turn, subject, known, known.reason, probation=known.probation)


def _worked(turn: Turn, known: ReputationRecord) -> bool:
    """Whether one world has run on a node for as long as a probation lasts."""
    since = turn.now - turn.limits.automation.probation_s
    gangs = [turn.state.gangs[key] for key in turn.state.node_gangs.get(known.node, ())]
    return known.since <= since and any(g.state is GangState.RUNNING and g.since <= since for g in gangs)


def pardon(turn: Turn, node: str, reason: str) -> None:
    """A quarantine was lifted: the node is on probation, others are taken first, and new signs count from there."""
    for subject in out_of_use.subjects(turn.state.nodes[node]):
        known = turn.state.reputations.get(subject)
        if known is not None and known.standing is Standing.QUARANTINED:
            waits_s = turn.limits.automation.probation_s
            text = f"{reason}, and is on probation"
            _stand(
                turn,
                subject,
                known,
                Standing.SUSPECT,
                score=odds.PARDONED_AT,
                reason=text,
                probation=True,
                waits_s=waits_s,
            )


# ---- what automation makes of it


def looked_at(turn: Turn, node: str) -> None:
    """Take that a node's checks have found something, be it that all is well now."""
    reconsider(turn, node, anew=True)


def reconsider(turn: Turn, node: str, *, anew: bool = False) -> None:
    """Take a node out of use if it is found bad and nothing forbids it; else note what is found, and why it stays.

    `anew`: its checks have just been made. Else one that it failed counts only while that is a finding: a person who
    puts the node back is not overruled before it is checked again.
    """
    state, limits = turn.state, turn.limits.automation
    record = state.nodes[node]
    subject, known = max(
        ((each, state.reputations.get(each)) for each in out_of_use.subjects(record)),
        key=lambda pair: _score(turn, pair[1]),
    )
    score = _score(turn, known)
    lemon = known if known is not None and score >= odds.QUARANTINE_AT else None
    failed = checks_of.failed(state, node) if anew or node in state.findings else ""
    held = any((hold.owner, hold.kind) == (AUTOMATION, HoldKind.QUARANTINE) for hold in record.holds)
    if (lemon is None and not failed) or held:
        if node in state.findings:
            turn.emit(ev.FindingEnded(node=node, reason="it does not hold any more"))
        return
    what = "the node" if subject[0] == HOST else f"device {subject[1]}"
    sentence = failed
    if lemon is not None:
        sentence = f"{what} is bad with a probability of {min(0.99, odds.doubt(score)):.0%}: {_signs(turn, lemon)}"
    held_back = brakes.refusal(state, node, limits) if limits.quarantine is AutomationStage.ACT else ""
    if limits.quarantine is AutomationStage.ACT and not held_back:
        _quarantine(turn, node, subject, lemon, sentence)
        return
    waits_s = limits.window_s if held_back else limits.advice_s
    deadline = turn.now + max(_RETRY_S, waits_s)
    turn.emit(
        ev.FindingMade(node=node, stage=limits.quarantine, sentence=sentence, held_back=held_back, deadline=deadline)
    )


def _quarantine(turn: Turn, node: str, subject: Subject, lemon: ReputationRecord | None, sentence: str) -> None:
    hold = Hold(owner=AUTOMATION, kind=HoldKind.QUARANTINE, reason=sentence, since=turn.now)
    turn.emit(ev.NodeHeld(node=node, hold=hold, actor=AUTOMATION))
    turn.emit(ev.NodeRemoved(node=node, forget_before=turn.now - turn.limits.automation.window_s))
    if lemon is not None:
        _stand(turn, subject, lemon, Standing.QUARANTINED, score=_score(turn, lemon), reason=sentence)
    if node in turn.state.findings:
        turn.emit(ev.FindingEnded(node=node, reason="the node is quarantined"))


def finding_due(turn: Turn, node: str) -> None:
    """A finding was held back or not followed for long enough: try again, or drop it."""
    finding = turn.state.findings[node]
    if finding.held_back:
        reconsider(turn, node)
    else:
        turn.emit(ev.FindingEnded(node=node, reason="nobody followed it in time"))
