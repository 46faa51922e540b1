"""What a client is shown. Field names are the names of `-o json`; times are absolute seconds, durations end in _s."""

from dataclasses import dataclass

from dlroverd.model.fault import Cause
from dlroverd.model.job import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RankView:
    """One rank of a gang's current world."""

    rank: int
    local_rank: int
    node: str
    state: str
    pid: int = 0
    exit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GangView:
    """One gang and its current world. `step` is the last training step seen, -1 if none was.

    `network` says why the master has that address.
    """

    gang: int
    state: str
    round: int
    world_size: int
    master: str = ""
    network: str = ""
    step: int = -1
    ranks: tuple[RankView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """One role and its gangs."""

    name: str
    gangs: tuple[GangView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasesView:
    """An incident's parts in seconds; None where that part has not been reached or was not seen.

    They add up: detected + stopped + placed + started + first_step + unknown == total.
    """

    detected: float | None = None
    stopped: float | None = None
    placed: float | None = None
    started: float | None = None
    first_step: float | None = None
    unknown: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """One fault and what followed. `step` is the first training step seen after it, -1 if none."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job. `reason` is the sentence that says why it is in its state."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node. `orphans` are ranks it runs that this daemon's log does not know.

    `notes` are sentences about devices that cannot be granted.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One fact of the log. `body` is its JSON object."""

    position: int
    index: int
    time: float
    name: str
    job: int
    node: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginView:
    """One plugin. `health` is starting, ok, open (its breaker holds it off) or failed (it could not be loaded)."""

    name: str
    version: str
    kinds: tuple[str, ...]
    origin: str
    health: str
    last_error: str = ""
    failures: int = 0


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
