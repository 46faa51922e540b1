"""What speaks against hosts and devices, and what automation makes of it."""

from dataclasses import replace

from dlroverd.core.records import AutomationRecord, FindingRecord, ReputationRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.reputation import DEVICE, HOST, Standing

# What `node show` has; all of it is in the log.
_KEPT = 8


def evidence_seen(s: State, e: ev.EvidenceSeen) -> None:
    old = s.reputations.get(e.subject) or ReputationRecord(node=e.node)
    evidence = (*old.evidence, e.evidence)[-_KEPT:]
    s.put(s.reputations, e.subject, replace(old, node=e.node, score=e.score, at=s.m.now, evidence=evidence))
    if e.subject[0] == HOST:
        s.put(s.meta, "", replace(s.m, hazard=s.m.hazard.failed(s.m.now)))


def standing_changed(s: State, e: ev.StandingChanged) -> None:
    old = s.reputations.get(e.subject) or ReputationRecord(node=e.node)
    changed = replace(
        old,
        node=e.node,
        standing=e.standing,
        since=old.since if e.standing is old.standing else s.m.now,
        reason=e.reason,
        score=e.score,
        at=s.m.now,
        doubt=e.doubt,
        deadline=e.deadline,
        probation=e.probation,
    )
    s.put(s.reputations, e.subject, changed)
    doubt_node(s, e.node)


def doubt_node(s: State, name: str) -> None:
    """Have a node be as doubtful as the worst of its host and its devices."""
    node = s.nodes.get(name)
    if node is None:
        return
    subjects = [(HOST, name), *((DEVICE, device.uuid) for device in node.facts.devices)]
    known = [s.reputations[each] for each in subjects if each in s.reputations]
    doubt = max((each.doubt for each in known if each.standing is not Standing.PROVEN), default=0.0)
    if doubt != node.doubt:
        s.put(s.nodes, name, replace(node, doubt=doubt))


def finding_made(s: State, e: ev.FindingMade) -> None:
    old = s.findings.get(e.node)
    finding = FindingRecord(
        node=e.node,
        stage=e.stage,
        sentence=e.sentence,
        held_back=e.held_back,
        since=old.since if old is not None else s.m.now,
        deadline=e.deadline,
    )
    s.put(s.findings, e.node, finding)


def finding_ended(s: State, e: ev.FindingEnded) -> None:
    s.put(s.findings, e.node, None)


def node_removed(s: State, e: ev.NodeRemoved) -> None:
    recent = tuple(each for each in s.m.automation.removals if each[0] > e.forget_before)
    automation = replace(s.m.automation, removals=(*recent, (s.m.now, e.node)))
    s.put(s.meta, "", replace(s.m, automation=automation))


def automation_paused(s: State, e: ev.AutomationPaused) -> None:
    paused = replace(s.m.automation, paused_by=e.actor, reason=e.reason, since=s.m.now)
    s.put(s.meta, "", replace(s.m, automation=paused))


def automation_resumed(s: State, e: ev.AutomationResumed) -> None:  # noqa: ARG001 - folds share one shape
    running = AutomationRecord(since=s.m.now, removals=s.m.automation.removals)
    s.put(s.meta, "", replace(s.m, automation=running))
