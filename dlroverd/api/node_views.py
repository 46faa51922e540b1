"""What clients are shown of one node, and of automation. Pure; computes nothing that the core has not decided."""

from collections.abc import Iterator

from dlroverd.api.readings import reading_views
from dlroverd.api.views import node_view
from dlroverd.core import brakes, out_of_use
from dlroverd.core.records import CheckupRecord, NodeRecord, ReputationRecord, SignalRecord
from dlroverd.core.state import State
from dlroverd.model.limits import AutomationLimits
from dlroverd.model.node_view import (
    AutomationView,
    CheckupView,
    DeviceView,
    EvidenceView,
    FindingView,
    RemovalView,
    ReputationView,
    SignalView,
)
from dlroverd.model.reputation import Subject
from dlroverd.model.view import NodeDetail, NodeView
from dlroverd.runtime.sessions import Sessions
from dlroverd.runtime.telemetry import TelemetryStore


def node_views(state: State, sessions: Sessions, *, with_absent: bool) -> list[NodeView]:
    """Give all nodes, by id; `with_absent`: also those that only the topology names."""
    known = {name: node_view(state, sessions, record) for name, record in state.nodes.items()}
    if with_absent:
        known = {name: _absent(name) for name in state.domains} | known
    return [known[name] for name in sorted(known)]


def _absent(name: str) -> NodeView:
    return NodeView(
        id=name,
        state="absent",
        reason="the topology names it, and no agent of that name has said hello since the daemon's log began",
        since=0.0,
        address="",
        slots=0,
        free=0,
        devices=0,
        agent_version="",
    )


def node_detail(
    state: State, sessions: Sessions, node: NodeRecord, telemetry: TelemetryStore, now: float
) -> NodeDetail:
    """Give one node with all that is known of it."""
    jobs = {uuid: key.job for key in state.node_gangs.get(node.id, ()) for uuid in state.grants[node.id, key].devices}
    seen = {device.uuid: device for device in node.devices}
    checks = state.checkups.get(node.id)
    known = [(each, state.reputations.get(each)) for each in out_of_use.subjects(node)]
    return NodeDetail(
        node=node_view(state, sessions, node),
        why=out_of_use.why(state, node.id),
        hostname=node.facts.hostname,
        boot_id=node.boot_id,
        cpus=node.facts.cpus,
        memory_bytes=node.facts.memory_bytes,
        addresses=node.facts.addresses,
        devices=tuple(
            DeviceView(
                uuid=device.uuid,
                model=device.model,
                memory_bytes=device.memory_bytes,
                state=seen[device.uuid].state.value if device.uuid in seen else "ok",
                detail=seen[device.uuid].detail if device.uuid in seen else "",
                job=jobs.get(device.uuid, 0),
                serial=device.serial,
                readings=reading_views(telemetry, node.id, device.uuid, now),
            )
            for device in node.facts.devices
        ),
        reputations=tuple(_reputation(subject, record) for subject, record in known if record is not None),
        differences=node.differences,
        signals=tuple(map(_signal, node.signals)),
        readings=reading_views(telemetry, node.id, "", now),
        checks=checks.results if checks is not None else (),
        checkups=tuple(_checkups(state, node.id, checks)) if checks is not None else (),
    )


def _checkups(state: State, node: str, record: CheckupRecord) -> Iterator[CheckupView]:
    for run in record.runs:
        yield CheckupView(
            id=run.id,
            level=run.level.value,
            cause=run.cause.value,
            state=run.state.value,
            sentence=run.sentence,
            at=run.at,
            actor=run.actor,
        )
    for number, match in state.matches.items():
        if node in match.nodes and (record.checkup is None or record.checkup.id != number):
            yield CheckupView(
                id=number,
                level="light",
                cause=match.cause.value,
                state="",
                sentence=f"round {len(match.rounds)} of meeting {len(match.nodes) - 1} others goes on",
                at=record.asked_at,
                actor=match.actor,
            )
    if record.checkup is not None and record.checkup.meeting is None:
        yield CheckupView(
            id=record.checkup.id,
            level=record.checkup.level.value,
            cause=record.cause.value,
            state="",
            sentence="it goes on",
            at=record.asked_at,
            actor=record.actor,
        )


def _reputation(subject: Subject, record: ReputationRecord) -> ReputationView:
    of, name = subject
    evidence = [
        EvidenceView(at=each.at, kind=each.kind, weight=each.weight, sentence=each.sentence, job=each.job)
        for each in record.evidence
    ]
    return ReputationView(
        of=of,
        name=name,
        standing=record.standing.value,
        doubt=record.doubt,
        reason=record.reason,
        since=record.since,
        score=record.score,
        evidence=tuple(evidence),
    )


def _signal(record: SignalRecord) -> SignalView:
    signal = record.signal
    return SignalView(
        name=signal.name,
        at=signal.at,
        device=signal.device,
        part=signal.part,
        count=signal.count,
        severity=record.severity.value,
        action=record.action.value,
        sentence=record.sentence,
        done=record.done,
        then=record.then,
        cleared=record.cleared,
    )


def automation_view(state: State, limits: AutomationLimits) -> AutomationView:
    """Give what automation may do, did lately and would do."""
    automation = state.m.automation
    return AutomationView(
        quarantine=limits.quarantine.value,
        paused_by=automation.paused_by,
        reason=automation.reason,
        since=automation.since,
        window_s=limits.window_s,
        allowed=brakes.allowance(state, limits),
        ready_share=limits.ready_share,
        usable=len(state.usable),
        nodes=len(state.nodes),
        removals=tuple(RemovalView(node=node, at=at) for at, node in brakes.removals(state, limits)),
        findings=tuple(
            FindingView(
                node=name,
                stage=finding.stage.value,
                sentence=finding.sentence,
                held_back=finding.held_back,
                since=finding.since,
            )
            for name, finding in sorted(state.findings.items())
        ),
    )
