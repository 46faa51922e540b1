"""Fold one event into the state. Holds no policy: an upgraded daemon reads an old log to the same state.

Whether an event may happen is decided before it is emitted (turn.py); here it has happened.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dlroverd.core.folds import (
    checkpoints,
    checkups,
    diagnoses,
    hangs,
    holds,
    jobs,
    ledgers,
    nodes,
    plans,
    reputation,
    restored,
    signals,
    spools,
    trust,
    worlds,
)
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model import trust_event


def apply(state: State, event: ev.Event) -> None:
    """Change the state as `event` says."""
    _APPLIERS[type(event)](state, event)
    ledgers.account(state, event)


def begin_turn(state: State, position: int, now: float) -> None:
    """Note which record the next events belong to, and its time."""
    state.put(state.meta, "", replace(state.m, position=position, now=now))


_APPLIERS: dict[type, Callable[[State, Any], None]] = {
    ev.JobSubmitted: jobs.job_submitted,
    ev.RequestTaken: jobs.request_taken,
    ev.JobMoved: jobs.job_moved,
    ev.JobReasonChanged: jobs.job_reason_changed,
    ev.JobForgotten: jobs.job_forgotten,
    ev.PlacementAsked: jobs.placement_asked,
    ev.PlacementRejected: jobs.placement_rejected,
    ev.WorldFormed: worlds.world_formed,
    ev.NodeChecked: worlds.node_checked,
    ev.WorldCleared: worlds.world_cleared,
    ev.NodeAvoided: jobs.node_avoided,
    ev.AvoidanceEnded: jobs.avoidance_ended,
    ev.GangMoved: worlds.gang_moved,
    ev.GangStopping: worlds.gang_stopping,
    ev.GangReleased: worlds.gang_released,
    ev.GangStopOverdue: worlds.gang_stop_overdue,
    ev.StaleRanksSeen: worlds.stale_ranks_seen,
    ev.TombstoneCleared: worlds.tombstone_cleared,
    ev.RanksSeen: worlds.ranks_seen,
    ev.StepSeen: worlds.step_seen,
    ev.RestartSpent: jobs.restart_spent,
    ev.RestartCounted: jobs.restart_counted,
    ev.RestartDelayed: jobs.restart_delayed,
    ev.IncidentOpened: jobs.incident_opened,
    ev.IncidentAttributed: jobs.incident_attributed,
    ev.IncidentPhaseReached: jobs.incident_phase_reached,
    ev.IncidentClosed: jobs.incident_closed,
    ev.WorldCaughtUp: worlds.world_caught_up,
    ev.HangSuspected: hangs.hang_suspected,
    ev.HangJudged: hangs.hang_judged,
    ev.HangEnded: hangs.hang_ended,
    ev.StopPlanned: plans.stop_planned,
    ev.StopCalledOff: plans.stop_called_off,
    ev.CheckpointSeen: plans.checkpoint_seen,
    ev.CheckpointsOffered: plans.checkpoints_offered,
    ev.SaveAsked: plans.save_asked,
    ev.CadenceSet: plans.cadence_set,
    ev.CheckpointCommitted: checkpoints.checkpoint_committed,
    ev.CheckpointRefused: checkpoints.checkpoint_refused,
    ev.VerdictsGiven: checkpoints.verdicts_given,
    ev.CheckupAsked: checkups.checkup_asked,
    ev.CheckupEnded: checkups.checkup_ended,
    ev.CheckupPutOff: checkups.checkup_put_off,
    ev.MatchBegan: checkups.match_began,
    ev.MatchRoundBegan: checkups.match_round_began,
    ev.MatchEnded: checkups.match_ended,
    ev.JobScaled: plans.job_scaled,
    ev.RoomSeen: plans.room_seen,
    ev.RoomAsked: plans.room_asked,
    ev.SparesKept: plans.spares_kept,
    ev.NodeJoined: nodes.node_joined,
    ev.NodeMoved: nodes.node_moved,
    ev.SuspectNamed: nodes.suspect_named,
    ev.SuspectsSeen: nodes.suspects_seen,
    ev.NodeConfirmedDown: nodes.node_confirmed_down,
    ev.DevicesSeen: nodes.devices_seen,
    ev.StuckSeen: nodes.stuck_seen,
    ev.DrillOrdered: nodes.drill_ordered,
    ev.DrillsEnded: nodes.drills_ended,
    ev.OrphansSeen: nodes.orphans_seen,
    ev.DifferenceSeen: nodes.difference_seen,
    ev.SignalSeen: signals.signal_seen,
    ev.NodeCleared: signals.node_cleared,
    ev.TopologyChanged: nodes.topology_changed,
    ev.DomainFailed: nodes.domain_failed,
    ev.DomainSettled: nodes.domain_settled,
    ev.DomainCleared: nodes.domain_cleared,
    ev.NodeAdopted: nodes.node_adopted,
    ev.NodeHeld: holds.node_held,
    ev.NodeReleased: holds.node_released,
    ev.EvidenceSeen: reputation.evidence_seen,
    ev.StandingChanged: reputation.standing_changed,
    ev.FindingMade: reputation.finding_made,
    ev.FindingEnded: reputation.finding_ended,
    ev.DiagnosisMade: diagnoses.diagnosis_made,
    ev.DiagnosisEnded: diagnoses.diagnosis_ended,
    ev.NodeRemoved: reputation.node_removed,
    ev.AutomationPaused: reputation.automation_paused,
    ev.AutomationResumed: reputation.automation_resumed,
    ev.JobAdopted: nodes.job_adopted,
    ev.RanksAdopted: nodes.ranks_adopted,
    ev.LogRestored: restored.log_restored,
    ev.JobUnconfirmed: restored.job_unconfirmed,
    ev.JobFound: restored.job_found,
    ev.StorageSpaceChanged: jobs.storage_space_changed,
    ev.EventForwarded: spools.event_forwarded,
    trust_event.TokenCreated: trust.token_created,
    trust_event.TokenRevoked: trust.token_revoked,
    trust_event.TokenForgotten: trust.token_forgotten,
    trust_event.HostEnrolled: trust.host_enrolled,
    trust_event.CertificatesRevoked: trust.certificates_revoked,
}
