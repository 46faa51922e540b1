"""The rows of the state's tables, frozen: what is known of each job, gang, rank, node, grant and stop."""

from dataclasses import dataclass, field

from dlroverd.core.interval import Hazard
from dlroverd.model.cadence import Cadence
from dlroverd.model.checkup import CheckResult, Checkup, CheckupCause, CheckupRun, MatchRound
from dlroverd.model.diagnosis import Action, Conclusion
from dlroverd.model.difference import Difference
from dlroverd.model.fault import ExitInfo
from dlroverd.model.hang import Suspicion
from dlroverd.model.hold import Hold
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import GangState, JobSpec, JobState, RankState
from dlroverd.model.node import DeviceObservation, NodeFacts, NodeState
from dlroverd.model.plan import Plan
from dlroverd.model.reputation import AutomationStage, Evidence, Standing
from dlroverd.model.restored import Restored
from dlroverd.model.signal import Signal, SignalAction, SignalSeverity
from dlroverd.model.world import Drill, Held, NodeCheck, StuckRank, SuspectSeen, Tombstone

NodeGang = tuple[str, GangKey]
JobIncident = tuple[int, int]
# A kind (switch, rack, pdu, mount ...) and the name of one.
Domain = tuple[str, str]
# What like nodes have in common, and the name of a figure.
Norm = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job. `outcome` is where a stop leads; `spent` the times of restarts its budget paid for.

    `question` is the open question to the scheduler (0: none); `asked_capacity` the free capacity
    (`Meta.capacity`) that the last one looked at: while it has not grown, asking again is pointless.
    `queued_at` is when it last began to wait for nodes: a question in between does not start the wait anew.
    `avoid` holds nodes it is not placed on, until when, and why. `plan` is a stop on purpose that is to come;
    `checkpoints`: it has told of one, or asks whether to make one, so it will. `preempted_at`: when it last made room
    for another, and `made_room_at` when others (`victims`) were last asked to for it. Before `not_before` it is not
    placed or started anew. `best_step` is the furthest that it ever got, -1 if no step was seen, and `fruitless` how
    many worlds in a row got no further. `restored`: it was in a log that was restored, and whether it is known to run.
    """

    id: int
    spec: JobSpec
    state: JobState
    reason: str
    since: float
    submitted_at: float
    queued_at: float
    deadline: float
    request_id: str = ""
    later_requests: tuple[str, ...] = ()
    started_at: float = 0.0
    finished_at: float = 0.0
    outcome: JobState | None = None
    gave_up: bool = False
    question: int = 0
    asked_capacity: int = -1
    restarts: int = 0
    best_step: int = -1
    fruitless: int = 0
    spent: tuple[float, ...] = ()
    next_incident: int = 1
    avoid: tuple[tuple[str, float, str], ...] = ()
    plan: Plan | None = None
    checkpoints: bool = False
    preempted_at: float = 0.0
    suspended_s: float = 0.0
    made_room_at: float = 0.0
    victims: tuple[int, ...] = ()
    not_before: float = 0.0
    restored: Restored | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRecord:
    """A gang and its current world. `nodes` is in order of group rank; `formed` the log position of the world.

    `step` is the first training step seen of this world, -1 before that. `checking`: no rank starts before every
    node was found fit; `network` says why the master has its address; `proven` are the nodes that were found fit.
    `checkpoint` is the step of its newest checkpoint, -1 before the first; `room` how many more nodes it could use were
    free at the last look. `redo_to` is the step up to which it does again what an older world had done, -1 if it does
    not. `saver` is the lowest rank of this world that told of writing a checkpoint, -1 if none did, and `saving` the
    span in which it does, "" if it does not, since `saving_since`; `saves` of them have taken `saves_s` in all. All
    its ranks ask whether to save (`asks`): at step `ask`, as a stop is planned (-1: none is; `asked` was the first such
    step, and any checkpoint from there on will do), and by its `cadence`. `suspicion`: it makes no step, and may hang.
    """

    key: GangKey
    state: GangState
    reason: str
    since: float
    deadline: float = 0.0
    round: int = 0
    nodes: tuple[str, ...] = ()
    world_size: int = 0
    master_addr: str = ""
    master_port: int = 0
    restart_count: int = 0
    formed: int = 0
    step: int = -1
    checking: bool = False
    network: str = ""
    proven: tuple[str, ...] = ()
    checkpoint: int = -1
    room: int = 0
    redo_to: int = -1
    saver: int = -1
    saving: str = ""
    saving_since: float = 0.0
    saves: int = 0
    saves_s: float = 0.0
    asks: bool = False
    ask: int = -1
    asked: int = -1
    cadence: Cadence | None = None
    suspicion: Suspicion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRecord:
    """A rank of a gang's current world. `ended_at` is when its end reached the daemon, by the daemon's clock."""

    key: RankKey
    local_rank: int
    node: str
    state: RankState
    pid: int = 0
    started_at: float = 0.0
    exit: ExitInfo | None = None
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRecord:
    """What a gang takes of a node. `released`: given back, yet taken until its tombstone is cleared.

    `check` is what the node found before the start of the current world, None before it said so.
    """

    slots: int
    devices: tuple[str, ...]
    group_rank: int
    first_rank: int
    released: bool = False
    check: NodeCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareRecord:
    """What is kept for a gang of a node that it has no ranks on."""

    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TombstoneRecord:
    """A stop that one node has yet to confirm. `position` is where the log set it."""

    tombstone: Tombstone
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRecord:
    """A fault ordered of a node and not known to be over."""

    drill: Drill
    actor: str
    at: float
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """What a node said of its health, and what was made of it. `cleared`: that was before a repair."""

    signal: Signal
    boot_id: str
    severity: SignalSeverity
    action: SignalAction
    sentence: str
    done: str
    then: str
    cleared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A node. `log_id` is the log its agent follows; `adopt_from` one a person said this log replaces.

    While it is silent, the agents of `askers` call it; `suspects` is what its own agent says of silent nodes.
    `devices` are those that cannot be granted, `stuck` the ranks that cannot be ended: nothing is placed beside them.
    `holds` keep it out of use; `doubt` is how likely it is bad, 0 (proven) to 1: others are taken first. `heard_at` is
    when it was last heard before it fell silent the last time. `differences` are the newest found there. `boots` are
    its last boots and the log positions from which on each was known to run; "" is none, while it is silent. `unheard`:
    the log was restored, and what runs there was not heard since. `signals` are the newest that it told.
    """

    id: str
    state: NodeState
    reason: str
    since: float
    deadline: float
    boot_id: str
    facts: NodeFacts
    log_id: str
    adopt_from: str = ""
    next_port: int = 0
    orphans: tuple[RankKey, ...] = ()
    held: Held = field(default_factory=Held)
    askers: tuple[str, ...] = ()
    suspects: tuple[SuspectSeen, ...] = ()
    devices: tuple[DeviceObservation, ...] = ()
    stuck: tuple[StuckRank, ...] = ()
    drills: tuple[DrillRecord, ...] = ()
    holds: tuple[Hold, ...] = ()
    doubt: float = 0.0
    heard_at: float = 0.0
    differences: tuple[Difference, ...] = ()
    boots: tuple[tuple[int, str], ...] = ()
    signals: tuple[SignalRecord, ...] = ()
    unheard: bool = False

    @property
    def hold_deadline(self) -> float:
        """When the first of its holds is looked at again; 0: never."""
        return min((hold.deadline for hold in self.holds if hold.deadline), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRecord:
    """The nodes of a domain that fell silent together, and when the first and the last of them was heard.

    `settled`: at `deadline` what is left of the domain is used again; before that, it is when no more are waited for.
    """

    nodes: tuple[str, ...]
    began_at: float
    last_at: float
    deadline: float
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationRecord:
    """What speaks against a host or device: `score` at time `at`, and the last of the evidence behind it.

    `node` is where it was seen last. At `deadline` it is looked at again; 0: never. On `probation` work without a fault
    proves it.
    """

    node: str
    standing: Standing = Standing.PROVEN
    reason: str = ""
    since: float = 0.0
    score: float = 0.0
    at: float = 0.0
    doubt: float = 0.0
    deadline: float = 0.0
    probation: bool = False
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """That automation would take a node out of use, and which brake holds it back ("": none does)."""

    node: str
    stage: AutomationStage
    sentence: str
    held_back: str
    since: float
    deadline: float


@dataclass(frozen=True, slots=True, order=True)
class DiagnosisKey:
    """What a rule concludes of a gang, and of which rank and node of it (-1 and "": none)."""

    gang: GangKey
    rule: str
    kind: str
    rank: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisRecord:
    """That a rule concluded something of a world: first at `made_at`, last written at `said_at` (see DiagnosisMade)."""

    round: RoundKey
    conclusion: Conclusion
    stage: AutomationStage
    actions: tuple[Action, ...]
    held_back: str
    acted: bool
    made_at: float
    said_at: float
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupRecord:
    """What a node's checks found: the newest `results`, and the last of its checkups, `runs`.

    `checkup` is one that it is to make, asked for at `asked_at` because of `cause`; None: it has ended. At `deadline`
    an open one is given up, and a next one begun because of `next_cause`; 0: none is.
    """

    checkup: Checkup | None = None
    cause: CheckupCause = CheckupCause.JOINED
    actor: str = ""
    request_id: str = ""
    asked_at: float = 0.0
    deadline: float = 0.0
    next_cause: CheckupCause = CheckupCause.IDLE
    results: tuple[CheckResult, ...] = ()
    runs: tuple[CheckupRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRecord:
    """Nodes that meet each other in groups, for `job` if it is not 0, and what came of the rounds so far."""

    nodes: tuple[str, ...]
    cause: CheckupCause
    actor: str
    job: int = 0
    rounds: tuple[MatchRound, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolRecord:
    """Up to which `sequence` a node's spool is in the log. A node has one: it sends the next when this is in."""

    spool: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationRecord:
    """What automation did lately, and who paused it ("": nobody). `removals` are (when, node)."""

    paused_by: str = ""
    reason: str = ""
    since: float = 0.0
    removals: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What belongs to no one. `capacity` rises whenever room appears; `now` never decreases.

    `pack_by` are the kinds of domains by which gangs are packed, narrow ones first. `hazard` is how often hosts fail.
    `ancestors` are the logs that this one took the place of when it was restored from a copy.
    """

    position: int = 0
    now: float = 0.0
    next_job: int = 1
    next_question: int = 1
    next_drill: int = 1
    next_checkup: int = 1
    capacity: int = 0
    storage_low: bool = False
    pack_by: tuple[str, ...] = ()
    automation: AutomationRecord = field(default_factory=AutomationRecord)
    hazard: Hazard = field(default_factory=Hazard)
    ancestors: tuple[str, ...] = ()
