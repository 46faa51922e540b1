"""The rows of the state's tables, frozen: what is known of each job, gang, rank, node, grant and stop."""

from dataclasses import dataclass, field

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import GangState, JobSpec, JobState, RankState
from dlroverd.model.node import DeviceObservation, NodeFacts, NodeState
from dlroverd.model.world import Drill, Held, NodeCheck, StuckRank, SuspectSeen, Tombstone

NodeGang = tuple[str, GangKey]
JobIncident = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job. `outcome` is where a stop leads; `spent` the times of restarts its budget paid for.

    `question` is the open question to the scheduler (0: none); `asked_capacity` the free capacity
    (`Meta.capacity`) that the last one looked at: while it has not grown, asking again is pointless.
    `queued_at` is when it last began to wait for nodes: a question in between does not start the wait anew.
    `avoid` holds nodes it is not placed on, until when, and why.
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
    port_retries: int = 0
    spent: tuple[float, ...] = ()
    next_incident: int = 1
    avoid: tuple[tuple[str, float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRecord:
    """A gang and its current world. `nodes` is in order of group rank; `formed` the log position of the world.

    `step` is the first training step seen of this world, -1 before that. `checking`: no rank starts before every
    node was found fit; `network` says why the master has its address; `proven` are the nodes that were found fit.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRecord:
    """A rank of a gang's current world."""

    key: RankKey
    local_rank: int
    node: str
    state: RankState
    pid: int = 0
    started_at: float = 0.0
    exit: ExitInfo | None = None


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
class NodeRecord:
    """A node. `log_id` is the log its agent follows; `adopt_from` one a person said this log replaces.

    While it is silent, the agents of `askers` call it; `suspects` is what its own agent says of silent nodes.
    `devices` are those that cannot be granted, `stuck` the ranks that cannot be ended: nothing is placed beside them.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What belongs to no one. `capacity` rises whenever room appears; `now` never decreases."""

    position: int = 0
    now: float = 0.0
    next_job: int = 1
    next_question: int = 1
    next_drill: int = 1
    capacity: int = 0
    storage_low: bool = False
