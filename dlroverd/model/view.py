"""What a client is shown. Field names are the names of `-o json`; times are absolute seconds, durations end in _s."""

from dataclasses import dataclass, field

from dlroverd.model.cadence import CadenceView
from dlroverd.model.checkup import CheckResult
from dlroverd.model.diagnosis_view import DiagnosisView
from dlroverd.model.difference import Difference
from dlroverd.model.explain import Rejected
from dlroverd.model.fault import Cause
from dlroverd.model.hang import HangView
from dlroverd.model.job import JobSpec
from dlroverd.model.node_view import CheckupView, DeviceView, HoldView, ReadingView, ReputationView, SignalView
from dlroverd.model.placement import GangPlacement


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReadings:
    """The newest readings of a rank and its device, in the units of model/metrics.py; None: not known."""

    cpu_ratio: float | None = None
    memory_bytes: float | None = None
    step_seconds: float | None = None
    loss: float | None = None
    device_busy_ratio: float | None = None
    device_memory_used_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadView:
    """What the ranks of a job have for one of `RankReadings`; `ranks` is how many told."""

    reading: str
    ranks: int
    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankView:
    """One rank of a gang's current world."""

    rank: int
    local_rank: int
    node: str
    state: str
    pid: int = 0
    exit: str = ""
    readings: RankReadings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GangView:
    """One gang and its current world. `step` is the last training step seen, -1 if none was.

    `network` says why the master has that address. It may have up to `nodes_max` nodes; `growth` says in one sentence
    why it has not, and `room` how many more were free at the last look. `spares` are nodes kept for it. `cadence` is
    None while its ranks do not ask whether to save. `hang` is how its steps are watched; with `GetJob` alone.
    """

    gang: int
    state: str
    round: int
    world_size: int
    master: str = ""
    network: str = ""
    step: int = -1
    ranks: tuple[RankView, ...] = ()
    nodes_max: int = 0
    room: int = 0
    growth: str = ""
    spares: tuple[str, ...] = ()
    cadence: CadenceView | None = None
    hang: HangView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A stop on purpose that is to come, or under way (`stopping`): preempt, drain, suspend, scale, grow or time_limit.

    It begins at the job's next checkpoint, and at `by` at the latest; that of a time limit at `by`.
    """

    kind: str
    reason: str
    by: float
    stopping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """One role and its gangs."""

    name: str
    gangs: tuple[GangView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasesView:
    """An incident's parts in seconds, as model/phases.py has them; None where that part has not been reached.

    They add up: detect + stop + decide + wait + start + load + recompute + unknown == total, if that is known.
    """

    detect: float | None = None
    stop: float | None = None
    decide: float | None = None
    wait: float | None = None
    start: float | None = None
    load: float | None = None
    recompute: float | None = None
    unknown: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """One fault and what followed. `step` is the first training step seen after it, `reached` the last before; or -1.

    `cost_node_s` is what it cost, the `nodes` of its gang times its time, in node-seconds. `domain` is what the nodes
    that were lost have in common ("switch s3").
    """

    id: int
    role: str
    gang: int
    round: int
    began_at: float
    open: bool
    action: str
    phases: PhasesView
    step: int = -1
    cause: Cause | None = None
    victims: tuple[Cause, ...] = ()
    drill: str = ""
    nodes: int = 0
    reached: int = -1
    cost_node_s: float = 0.0
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesView:
    """What time went to (model/ledger.py), in seconds or node-seconds.

    `checkpointing` is None where nothing tells of it: then it is within `productive`.
    """

    productive: float
    checkpointing: float | None = None
    redone: float
    starting: float
    restarting: float
    stopping: float
    waiting: float
    unknown: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodputView:
    """Where a job's time went. `times` add up to `wall_s`, the time since it was submitted, or up to its end.

    `goodput` is the productive share of `placed_s`, the time since it first had its nodes; None while no step was seen.
    `node_times` are the same times the nodes that it held.
    """

    goodput: float | None = None
    wall_s: float
    placed_s: float
    times: TimesView
    node_times: TimesView


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job. `reason` is the sentence that says why it is in its state.

    `steps_per_second` is None while it is not known. `odd` names the rank that differs most from the others, "" if none
    does by much; this, `spreads` and the ranks' readings are there when one job is asked for.
    """

    id: int
    name: str
    user: str
    state: str
    reason: str
    restarts: int
    restarts_in_window: int
    submitted_at: float
    started_at: float = 0.0
    finished_at: float = 0.0
    gave_up: bool = False
    roles: tuple[RoleView, ...] = ()
    incidents: tuple[IncidentView, ...] = ()
    spec: JobSpec | None = None
    goodput: GoodputView | None = None
    plan: PlanView | None = None
    priority: int = 0
    project: str = ""
    steps_per_second: float | None = None
    spreads: tuple[SpreadView, ...] = ()
    odd: str = ""
    diagnoses: tuple[DiagnosisView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """A limit of the daemon's by its name in the configuration, and its seconds."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunView:
    """What would become of a job now. `refused`: it would not be taken, and why; "" if it would.

    `placed` are the nodes that it would get at once; if none, `reason` says why it would wait, behind `ahead` jobs, and
    `preempts` which jobs would make room. `rejected` are the nodes that no gang of it can have. `limits` are those
    of the daemon that its recovery goes by.
    """

    refused: str = ""
    placed: tuple[GangPlacement, ...] = ()
    reason: str = ""
    ahead: int = 0
    preempts: tuple[int, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    limits: tuple[LimitView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node. `orphans` are ranks it runs that this daemon's log does not know.

    `notes` are sentences about devices that cannot be granted. `progress` says how far it is on its way to be empty,
    "" if nobody wants it so; `doubt` how likely it is bad, 0 to 1. `unsurveyed`: its agent was to look what really runs
    there, and has not in the time that was given.
    """

    id: str
    state: str
    reason: str
    since: float
    address: str
    slots: int
    free: int
    devices: int
    agent_version: str
    jobs: tuple[int, ...] = ()
    orphans: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    holds: tuple[HoldView, ...] = ()
    progress: str = ""
    doubt: float = 0.0
    labels: dict[str, str] = field(default_factory=dict)
    unsurveyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDetail:
    """One node with all that is known of it. `why` says in one sentence whether it is used, and if not why."""

    node: NodeView
    why: str
    hostname: str
    boot_id: str
    cpus: int
    memory_bytes: int
    addresses: tuple[str, ...] = ()
    devices: tuple[DeviceView, ...] = ()
    reputations: tuple[ReputationView, ...] = ()
    differences: tuple[Difference, ...] = ()
    readings: tuple[ReadingView, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    checkups: tuple[CheckupView, ...] = ()
    signals: tuple[SignalView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One event as clients and sinks see it: its envelope, and `body`, a JSON object as docs/events.md describes it.

    (`log_id`, `position`, `index`) never change and name it: duplicates are told by them. `time` is seconds since 1970.
    `monotonic`, `unit` and `pid` are of the process that it is about, `host` and `boot_id` of its node at that time;
    they are 0 or "" where there is none or it is not known. `job` 0, `gang` -1, `round` 0, `rank` -1, `node` "": about
    none. `actor` is who asked for it, `cause` why it is so. `span` pairs a begin with its end; `parent` is the span
    around.
    """

    position: int
    index: int
    time: float
    name: str
    job: int
    node: str
    body: str
    log_id: str = ""
    version: int = 1
    severity: str = "info"
    kind: str = "instant"
    monotonic: float = 0.0
    host: str = ""
    boot_id: str = ""
    unit: str = ""
    role: str = ""
    gang: int = -1
    round: int = 0
    rank: int = -1
    pid: int = 0
    actor: str = ""
    cause: str = ""
    span: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkView:
    """One sink, and how far it is. Counts are since the daemon's start.

    `health` is its plugin's. All up to position `cursor` was delivered, of a log that holds `oldest` to `newest`;
    `lag_s` is the age of the oldest event that was not, 0 if all were. `room` is how many more records may come before
    it loses the oldest, `lost` how many it lost. `retries` are deliveries that failed, `dead_letters` events that can
    never be delivered. `start` is where one without a cursor begins.
    """

    name: str
    plugin: str
    health: str
    start: str
    cursor: int
    oldest: int
    newest: int
    lag_records: int = 0
    lag_s: float = 0.0
    delivered: int = 0
    retries: int = 0
    dead_letters: int = 0
    room: int = 0
    lost: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginView:
    """One plugin. `health` is starting, ok, open (its breaker holds it off) or failed (it could not be loaded).

    `lag_records` is how many records of the log a sink has still to take; None for what is none.
    """

    name: str
    version: str
    kinds: tuple[str, ...]
    origin: str
    health: str
    last_error: str = ""
    failures: int = 0
    lag_records: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """A piece of one rank's output: `data` begins at byte `offset` of that file.

    `gap_bytes` > 0 says that many bytes before it are no longer there. `eof` ends the rank's stream.
    """

    role: str
    gang: int
    round: int
    rank: int
    node: str
    offset: int
    data: bytes
    gap_bytes: int = 0
    eof: bool = False
