"""The facts of the log. State is the fold of these alone; each is written before anyone acts on it.

An event says what became so, in the past tense, and carries all that `apply` needs: no policy is left to it.
"""

# ruff: noqa: PLC0414, I001 # the events of the other *_event.py are part of this vocabulary

from dataclasses import dataclass

from dlroverd.model.audit_event import DifferenceSeen as DifferenceSeen
from dlroverd.model.checkpoint_event import (
    CheckpointCommitted as CheckpointCommitted,
    CheckpointRefused as CheckpointRefused,
    VerdictsGiven as VerdictsGiven,
)
from dlroverd.model.checkup_event import (
    CheckupAsked as CheckupAsked,
    CheckupEnded as CheckupEnded,
    CheckupPutOff as CheckupPutOff,
    MatchBegan as MatchBegan,
    MatchEnded as MatchEnded,
    MatchRoundBegan as MatchRoundBegan,
)
from dlroverd.model.diagnosis_event import DiagnosisEnded as DiagnosisEnded, DiagnosisMade as DiagnosisMade
from dlroverd.model.hang_event import (
    HangEnded as HangEnded,
    HangJudged as HangJudged,
    HangSuspected as HangSuspected,
)
from dlroverd.model.hold_event import NodeHeld as NodeHeld, NodeReleased as NodeReleased
from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.model.incident_event import (
    IncidentAttributed as IncidentAttributed,
    IncidentClosed as IncidentClosed,
    IncidentOpened as IncidentOpened,
    IncidentPhaseReached as IncidentPhaseReached,
    WorldCaughtUp as WorldCaughtUp,
)
from dlroverd.model.job import JobSpec, JobState
from dlroverd.model.job_event import (
    CadenceSet as CadenceSet,
    CheckpointSeen as CheckpointSeen,
    CheckpointsOffered as CheckpointsOffered,
    JobScaled as JobScaled,
    RoomAsked as RoomAsked,
    RoomSeen as RoomSeen,
    SaveAsked as SaveAsked,
    SparesKept as SparesKept,
    RestartCounted as RestartCounted,
    RestartDelayed as RestartDelayed,
    RestartSpent as RestartSpent,
    StopCalledOff as StopCalledOff,
    StopPlanned as StopPlanned,
)
from dlroverd.model.node_event import (
    DevicesSeen as DevicesSeen,
    DomainCleared as DomainCleared,
    DomainFailed as DomainFailed,
    DomainSettled as DomainSettled,
    DrillOrdered as DrillOrdered,
    DrillsEnded as DrillsEnded,
    NodeAdopted as NodeAdopted,
    NodeConfirmedDown as NodeConfirmedDown,
    NodeJoined as NodeJoined,
    NodeMoved as NodeMoved,
    OrphansSeen as OrphansSeen,
    StuckSeen as StuckSeen,
    SuspectNamed as SuspectNamed,
    SuspectsSeen as SuspectsSeen,
    TopologyChanged as TopologyChanged,
)
from dlroverd.model.reputation_event import (
    AutomationPaused as AutomationPaused,
    AutomationResumed as AutomationResumed,
    EvidenceSeen as EvidenceSeen,
    FindingEnded as FindingEnded,
    FindingMade as FindingMade,
    NodeRemoved as NodeRemoved,
    StandingChanged as StandingChanged,
)
from dlroverd.model.signal_event import NodeCleared as NodeCleared, SignalSeen as SignalSeen
from dlroverd.model.restore_event import (
    JobFound as JobFound,
    JobUnconfirmed as JobUnconfirmed,
    LogRestored as LogRestored,
)
from dlroverd.model.spooled_event import EventForwarded as EventForwarded
from dlroverd.model.trust_event import TrustEvent
from dlroverd.model.world import NodeGrant, RankObservation
from dlroverd.model.world_event import (
    GangMoved as GangMoved,
    GangReleased as GangReleased,
    GangStopOverdue as GangStopOverdue,
    GangStopping as GangStopping,
    NodeChecked as NodeChecked,
    RanksSeen as RanksSeen,
    StaleRanksSeen as StaleRanksSeen,
    StepSeen as StepSeen,
    TombstoneCleared as TombstoneCleared,
    WorldCleared as WorldCleared,
    WorldFormed as WorldFormed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSubmitted:
    """A job was accepted."""

    job: int
    request_id: str
    spec: JobSpec
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTaken:
    """A client's request about a job was carried out; the same `request_id` again changes nothing."""

    job: int
    request_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMoved:
    """A job changed state: row (state, `on`) of the job table. `deadline` 0 means the new state is final.

    `outcome` is where a stop leads; `gave_up` says that a restart budget was used up.
    """

    job: int
    on: str
    to: JobState
    reason: str
    deadline: float = 0.0
    outcome: JobState | None = None
    gave_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReasonChanged:
    """Why a job is in its state is now said otherwise (or its deadline was moved)."""

    job: int
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForgotten:
    """A finished job left the state; its events stay in the log."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementAsked:
    """The scheduler was asked where `gangs` of a job go. `capacity` tells which free capacity was looked at."""

    job: int
    question: int
    capacity: int
    gangs: tuple[GangKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRejected:
    """A scheduler's answer was missing, late or broke a rule; the built-in rule decided instead."""

    job: int
    question: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAvoided:
    """A job is not placed on a node before `until`, since its world could not be started there."""

    job: int
    node: str
    until: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AvoidanceEnded:
    """A waiting job may be placed again on nodes that it has avoided long enough."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAdopted:
    """A job that another log had submitted is this log's from now on."""

    job: int
    request_id: str
    spec: JobSpec
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksAdopted:
    """A node's part of an adopted job's world."""

    round: RoundKey
    node: str
    grant: NodeGrant
    first_rank: int
    group_rank: int
    world_size: int
    restart_count: int
    master_addr: str
    master_port: int
    ranks: tuple[RankObservation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpaceChanged:
    """The log's disk went short of space, or has enough again."""

    low: bool


Event = (
    JobSubmitted
    | RequestTaken
    | JobMoved
    | JobReasonChanged
    | JobForgotten
    | PlacementAsked
    | PlacementRejected
    | WorldFormed
    | NodeChecked
    | WorldCleared
    | NodeAvoided
    | AvoidanceEnded
    | GangMoved
    | GangStopping
    | GangReleased
    | GangStopOverdue
    | StaleRanksSeen
    | TombstoneCleared
    | RanksSeen
    | StepSeen
    | RestartSpent
    | RestartCounted
    | RestartDelayed
    | IncidentOpened
    | IncidentAttributed
    | IncidentPhaseReached
    | IncidentClosed
    | WorldCaughtUp
    | HangSuspected
    | HangJudged
    | HangEnded
    | NodeJoined
    | NodeMoved
    | SuspectNamed
    | SuspectsSeen
    | NodeConfirmedDown
    | DevicesSeen
    | StuckSeen
    | DrillOrdered
    | DrillsEnded
    | OrphansSeen
    | DifferenceSeen
    | SignalSeen
    | NodeCleared
    | TopologyChanged
    | DomainFailed
    | DomainSettled
    | DomainCleared
    | NodeAdopted
    | NodeHeld
    | NodeReleased
    | EvidenceSeen
    | StandingChanged
    | FindingMade
    | DiagnosisMade
    | DiagnosisEnded
    | FindingEnded
    | NodeRemoved
    | AutomationPaused
    | AutomationResumed
    | StopPlanned
    | StopCalledOff
    | CheckpointSeen
    | CheckpointsOffered
    | SaveAsked
    | CadenceSet
    | CheckpointCommitted
    | CheckpointRefused
    | VerdictsGiven
    | CheckupAsked
    | CheckupEnded
    | CheckupPutOff
    | MatchBegan
    | MatchRoundBegan
    | MatchEnded
    | JobScaled
    | RoomSeen
    | RoomAsked
    | SparesKept
    | JobAdopted
    | RanksAdopted
    | LogRestored
    | JobUnconfirmed
    | JobFound
    | StorageSpaceChanged
    | EventForwarded
    | TrustEvent
)
