"""The values that exist on the wire only, and the envelopes of the streams. The others are in dlroverd.model.

What each is for, and when it is sent, is said in protos/dlroverd/protocol/v1/.
"""

from dataclasses import dataclass, field
from typing import get_args

from dlroverd.model.checkup import CheckLevel
from dlroverd.model.hang import GangPhase
from dlroverd.model.hold import DrainMode, HoldKind
from dlroverd.model.ids import RankKey
from dlroverd.model.kernel_log import KernelLog, KernelWindow
from dlroverd.model.node import NodeFacts
from dlroverd.model.stacks import RankStack
from dlroverd.model.telemetry import Telemetry
from dlroverd.model.view import LogChunk
from dlroverd.model.world import Desired, DrillKind, Held, Observed, Progress
from dlroverd.protocol.convert import Envelope
from dlroverd.protocol.v1 import agent_service_pb2, control_service_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """An agent's first word; `protocol_version` is the newest that it speaks.

    `instance` is random for each process of an agent; "" in those of protocol 1.
    """

    node: str
    protocol_version: int
    capabilities: tuple[str, ...] = ()
    facts: NodeFacts
    boot_id: str
    log_id: str
    position: int
    observed: Observed
    held: Held
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A sign of life, and how far the agent is. `asked_at`: the agent's clock, to be told back by `Heard`; 0: not."""

    applied_log_id: str
    applied_position: int
    observed_version: int
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """The agent stops in good order; its ranks run on, and it expects to be back within `away_s` seconds."""

    away_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The daemon's answer to Hello; `protocol_version` is the one that both speak from here on.

    `now` is the daemon's clock, in seconds since 1970; 0 if it does not say.
    """

    protocol_version: int
    daemon_version: str
    log_id: str
    beat_interval_s: float
    capabilities: tuple[str, ...] = ()
    now: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """All that was observed up to `observed_version` is durable."""

    observed_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The beat that said `asked_at` was heard."""

    asked_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """One rank's output from byte `from_offset` on."""

    rank: RankKey
    from_offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """Output that the daemon wants of a node, on a PushLogs call that names `stream_id`.

    `kernel`: what the host's kernel said in that time, instead of output of ranks.
    """

    stream_id: str
    sources: tuple[LogSource, ...]
    tail_lines: int | None = None
    follow: bool = False
    since: float | None = None
    lag_bytes: int | None = None
    kernel: KernelWindow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRequest:
    """Stacks that the daemon wants of a node, by a PushStacks call that names `id`."""

    id: str
    ranks: tuple[RankKey, ...]
    looks: int
    apart_s: float
    threads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacks:
    """The answer to one."""

    id: str
    ranks: tuple[RankStack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpen:
    """The first piece of a PushLogs call."""

    stream_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFailed:
    """Output of `node` that cannot be had, or no further, and why. `passing`: it goes on when the node is back."""

    node: str
    sentence: str
    passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRequest:
    """A fault to be made: at rank `rank` of a gang's current world, or at `node`. `for_s` ends what can be ended."""

    request_id: str
    kind: DrillKind
    job: int = 0
    role: str = ""
    gang: int = 0
    rank: int = 0
    node: str = ""
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """Nodes that are to run their checks."""

    request_id: str
    nodes: tuple[str, ...]
    level: CheckLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """Nodes to be taken out of use, in the name of `owner` ("": the caller's); see `model.input.HoldNodes`."""

    request_id: str
    nodes: tuple[str, ...]
    kind: HoldKind
    mode: DrainMode
    reason: str
    owner: str = ""
    deadline_s: float = 0.0
    reboot: bool = False
    until_checked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonInfo:
    """The daemon itself. `settings` is its configuration in force, a dotted name and its value, without secrets."""

    version: str
    log_id: str
    position: int
    uptime_s: float
    storage_low: bool
    settings: dict[str, str] = field(default_factory=dict)


AgentMessage = Hello | Observed | Beat | Progress | Bye | Telemetry | GangPhase
DaemonMessage = Welcome | Desired | Ack | LogRequest | Heard | StackRequest
LogPiece = LogOpen | LogChunk | LogFailed | KernelLog
JobLogsReply = LogChunk | LogFailed

AGENT_MESSAGE = Envelope[AgentMessage, agent_service_pb2.AgentMessage](
    agent_service_pb2.AgentMessage, get_args(AgentMessage)
)
DAEMON_MESSAGE = Envelope[DaemonMessage, agent_service_pb2.DaemonMessage](
    agent_service_pb2.DaemonMessage, get_args(DaemonMessage)
)
LOG_PIECE = Envelope[LogPiece, agent_service_pb2.LogPiece](agent_service_pb2.LogPiece, get_args(LogPiece))
JOB_LOGS_REPLY = Envelope[JobLogsReply, control_service_pb2.JobLogsReply](
    control_service_pb2.JobLogsReply, get_args(JobLogsReply)
)
