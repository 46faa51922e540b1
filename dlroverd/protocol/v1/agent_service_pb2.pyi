from dlroverd.protocol.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeviceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_STATE_UNSPECIFIED: _ClassVar[DeviceState]
    DEVICE_STATE_OK: _ClassVar[DeviceState]
    DEVICE_STATE_BUSY: _ClassVar[DeviceState]
    DEVICE_STATE_LOST: _ClassVar[DeviceState]

class RankState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RANK_STATE_UNSPECIFIED: _ClassVar[RankState]
    RANK_STATE_ASSIGNED: _ClassVar[RankState]
    RANK_STATE_STARTING: _ClassVar[RankState]
    RANK_STATE_RUNNING: _ClassVar[RankState]
    RANK_STATE_EXITED: _ClassVar[RankState]
    RANK_STATE_GONE: _ClassVar[RankState]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_DEBUG: _ClassVar[Severity]
    SEVERITY_INFO: _ClassVar[Severity]
    SEVERITY_WARNING: _ClassVar[Severity]
    SEVERITY_ERROR: _ClassVar[Severity]
    SEVERITY_CRITICAL: _ClassVar[Severity]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_INSTANT: _ClassVar[EventKind]
    EVENT_KIND_BEGIN: _ClassVar[EventKind]
    EVENT_KIND_END: _ClassVar[EventKind]
    EVENT_KIND_GAUGE: _ClassVar[EventKind]
DEVICE_STATE_UNSPECIFIED: DeviceState
DEVICE_STATE_OK: DeviceState
DEVICE_STATE_BUSY: DeviceState
DEVICE_STATE_LOST: DeviceState
RANK_STATE_UNSPECIFIED: RankState
RANK_STATE_ASSIGNED: RankState
RANK_STATE_STARTING: RankState
RANK_STATE_RUNNING: RankState
RANK_STATE_EXITED: RankState
RANK_STATE_GONE: RankState
SEVERITY_UNSPECIFIED: Severity
SEVERITY_DEBUG: Severity
SEVERITY_INFO: Severity
SEVERITY_WARNING: Severity
SEVERITY_ERROR: Severity
SEVERITY_CRITICAL: Severity
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_INSTANT: EventKind
EVENT_KIND_BEGIN: EventKind
EVENT_KIND_END: EventKind
EVENT_KIND_GAUGE: EventKind

class AgentMessage(_message.Message):
    __slots__ = ("hello", "observed", "beat", "progress", "bye", "telemetry", "gang_phase")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    BYE_FIELD_NUMBER: _ClassVar[int]
    TELEMETRY_FIELD_NUMBER: _ClassVar[int]
    GANG_PHASE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    observed: Observed
    beat: Beat
    progress: Progress
    bye: Bye
    telemetry: Telemetry
    gang_phase: GangPhase
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., observed: _Optional[_Union[Observed, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., bye: _Optional[_Union[Bye, _Mapping]] = ..., telemetry: _Optional[_Union[Telemetry, _Mapping]] = ..., gang_phase: _Optional[_Union[GangPhase, _Mapping]] = ...) -> None: ...

class DaemonMessage(_message.Message):
    __slots__ = ("welcome", "desired", "ack", "log_request", "heard", "stack_request")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    LOG_REQUEST_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    STACK_REQUEST_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    desired: Desired
    ack: Ack
    log_request: LogRequest
    heard: Heard
    stack_request: StackRequest
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., desired: _Optional[_Union[Desired, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., log_request: _Optional[_Union[LogRequest, _Mapping]] = ..., heard: _Optional[_Union[Heard, _Mapping]] = ..., stack_request: _Optional[_Union[StackRequest, _Mapping]] = ...) -> None: ...

class LogPiece(_message.Message):
    __slots__ = ("open", "chunk", "failed", "kernel")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    open: LogOpen
    chunk: _common_pb2.LogChunk
    failed: _common_pb2.LogFailed
    kernel: _common_pb2.KernelLog
    def __init__(self, open: _Optional[_Union[LogOpen, _Mapping]] = ..., chunk: _Optional[_Union[_common_pb2.LogChunk, _Mapping]] = ..., failed: _Optional[_Union[_common_pb2.LogFailed, _Mapping]] = ..., kernel: _Optional[_Union[_common_pb2.KernelLog, _Mapping]] = ...) -> None: ...

class PushLogsReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PushStacksReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MeasureRequest(_message.Message):
    __slots__ = ("padding",)
    PADDING_FIELD_NUMBER: _ClassVar[int]
    padding: str
    def __init__(self, padding: _Optional[str] = ...) -> None: ...

class MeasureReply(_message.Message):
    __slots__ = ("now",)
    NOW_FIELD_NUMBER: _ClassVar[int]
    now: float
    def __init__(self, now: _Optional[float] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("node", "protocol_version", "capabilities", "facts", "boot_id", "log_id", "position", "observed", "held", "instance")
    NODE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    node: str
    protocol_version: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    facts: _common_pb2.NodeFacts
    boot_id: str
    log_id: str
    position: int
    observed: Observed
    held: Held
    instance: str
    def __init__(self, node: _Optional[str] = ..., protocol_version: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., facts: _Optional[_Union[_common_pb2.NodeFacts, _Mapping]] = ..., boot_id: _Optional[str] = ..., log_id: _Optional[str] = ..., position: _Optional[int] = ..., observed: _Optional[_Union[Observed, _Mapping]] = ..., held: _Optional[_Union[Held, _Mapping]] = ..., instance: _Optional[str] = ...) -> None: ...

class Observed(_message.Message):
    __slots__ = ("version", "position", "ranks", "checks", "suspects", "devices", "differences", "staged", "signals", "checkups", "surveyed")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    CHECKUPS_FIELD_NUMBER: _ClassVar[int]
    SURVEYED_FIELD_NUMBER: _ClassVar[int]
    version: int
    position: int
    ranks: _containers.RepeatedCompositeFieldContainer[RankObservation]
    checks: _containers.RepeatedCompositeFieldContainer[NodeCheck]
    suspects: _containers.RepeatedCompositeFieldContainer[SuspectSeen]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceObservation]
    differences: _containers.RepeatedCompositeFieldContainer[_common_pb2.Difference]
    staged: _containers.RepeatedCompositeFieldContainer[StagedCheckpoint]
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    checkups: _containers.RepeatedCompositeFieldContainer[CheckupSeen]
    surveyed: int
    def __init__(self, version: _Optional[int] = ..., position: _Optional[int] = ..., ranks: _Optional[_Iterable[_Union[RankObservation, _Mapping]]] = ..., checks: _Optional[_Iterable[_Union[NodeCheck, _Mapping]]] = ..., suspects: _Optional[_Iterable[_Union[SuspectSeen, _Mapping]]] = ..., devices: _Optional[_Iterable[_Union[DeviceObservation, _Mapping]]] = ..., differences: _Optional[_Iterable[_Union[_common_pb2.Difference, _Mapping]]] = ..., staged: _Optional[_Iterable[_Union[StagedCheckpoint, _Mapping]]] = ..., signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ..., checkups: _Optional[_Iterable[_Union[CheckupSeen, _Mapping]]] = ..., surveyed: _Optional[int] = ...) -> None: ...

class CheckupSeen(_message.Message):
    __slots__ = ("id", "results")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    id: int
    results: _containers.RepeatedCompositeFieldContainer[_common_pb2.CheckResult]
    def __init__(self, id: _Optional[int] = ..., results: _Optional[_Iterable[_Union[_common_pb2.CheckResult, _Mapping]]] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("name", "at", "detail", "device", "part", "count", "pid")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    name: str
    at: float
    detail: str
    device: str
    part: str
    count: int
    pid: int
    def __init__(self, name: _Optional[str] = ..., at: _Optional[float] = ..., detail: _Optional[str] = ..., device: _Optional[str] = ..., part: _Optional[str] = ..., count: _Optional[int] = ..., pid: _Optional[int] = ...) -> None: ...

class StagedCheckpoint(_message.Message):
    __slots__ = ("job", "round", "step", "save", "path", "place", "size_bytes", "manifest", "files")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    job: int
    round: _common_pb2.RoundKey
    step: int
    save: str
    path: str
    place: str
    size_bytes: int
    manifest: str
    files: _containers.RepeatedCompositeFieldContainer[StoredFile]
    def __init__(self, job: _Optional[int] = ..., round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., step: _Optional[int] = ..., save: _Optional[str] = ..., path: _Optional[str] = ..., place: _Optional[str] = ..., size_bytes: _Optional[int] = ..., manifest: _Optional[str] = ..., files: _Optional[_Iterable[_Union[StoredFile, _Mapping]]] = ...) -> None: ...

class StoredFile(_message.Message):
    __slots__ = ("name", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class NodeCheck(_message.Message):
    __slots__ = ("round", "problem", "mismatch", "reached")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    MISMATCH_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    problem: str
    mismatch: str
    reached: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., problem: _Optional[str] = ..., mismatch: _Optional[str] = ..., reached: _Optional[_Iterable[str]] = ...) -> None: ...

class SuspectSeen(_message.Message):
    __slots__ = ("node", "answers")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    node: str
    answers: bool
    def __init__(self, node: _Optional[str] = ..., answers: _Optional[bool] = ...) -> None: ...

class DeviceObservation(_message.Message):
    __slots__ = ("uuid", "state", "detail")
    UUID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    state: DeviceState
    detail: str
    def __init__(self, uuid: _Optional[str] = ..., state: _Optional[_Union[DeviceState, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class RankObservation(_message.Message):
    __slots__ = ("key", "state", "pid", "started_at", "exit", "unkillable")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    UNKILLABLE_FIELD_NUMBER: _ClassVar[int]
    key: _common_pb2.RankKey
    state: RankState
    pid: int
    started_at: float
    exit: _common_pb2.ExitInfo
    unkillable: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[_Union[_common_pb2.RankKey, _Mapping]] = ..., state: _Optional[_Union[RankState, str]] = ..., pid: _Optional[int] = ..., started_at: _Optional[float] = ..., exit: _Optional[_Union[_common_pb2.ExitInfo, _Mapping]] = ..., unkillable: _Optional[_Iterable[str]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("assignments", "jobs")
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    jobs: _containers.RepeatedCompositeFieldContainer[_common_pb2.JobDescriptor]
    def __init__(self, assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., jobs: _Optional[_Iterable[_Union[_common_pb2.JobDescriptor, _Mapping]]] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("applied_log_id", "applied_position", "observed_version", "asked_at")
    APPLIED_LOG_ID_FIELD_NUMBER: _ClassVar[int]
    APPLIED_POSITION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_VERSION_FIELD_NUMBER: _ClassVar[int]
    ASKED_AT_FIELD_NUMBER: _ClassVar[int]
    applied_log_id: str
    applied_position: int
    observed_version: int
    asked_at: float
    def __init__(self, applied_log_id: _Optional[str] = ..., applied_position: _Optional[int] = ..., observed_version: _Optional[int] = ..., asked_at: _Optional[float] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("round", "step", "at", "checkpoint", "asks", "moved_at")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    MOVED_AT_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    step: int
    at: float
    checkpoint: int
    asks: bool
    moved_at: float
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., step: _Optional[int] = ..., at: _Optional[float] = ..., checkpoint: _Optional[int] = ..., asks: _Optional[bool] = ..., moved_at: _Optional[float] = ...) -> None: ...

class GangPhase(_message.Message):
    __slots__ = ("round", "phase", "since")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    phase: str
    since: float
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., phase: _Optional[str] = ..., since: _Optional[float] = ...) -> None: ...

class Bye(_message.Message):
    __slots__ = ("away_s",)
    AWAY_S_FIELD_NUMBER: _ClassVar[int]
    away_s: float
    def __init__(self, away_s: _Optional[float] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol_version", "daemon_version", "log_id", "beat_interval_s", "capabilities", "now")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DAEMON_VERSION_FIELD_NUMBER: _ClassVar[int]
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    BEAT_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    daemon_version: str
    log_id: str
    beat_interval_s: float
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    now: float
    def __init__(self, protocol_version: _Optional[int] = ..., daemon_version: _Optional[str] = ..., log_id: _Optional[str] = ..., beat_interval_s: _Optional[float] = ..., capabilities: _Optional[_Iterable[str]] = ..., now: _Optional[float] = ...) -> None: ...

class Desired(_message.Message):
    __slots__ = ("log_id", "position", "adopt_from", "jobs", "assignments", "tombstones", "suspects", "drills", "reboot", "audit", "verdicts", "checkups")
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ADOPT_FROM_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    TOMBSTONES_FIELD_NUMBER: _ClassVar[int]
    SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    DRILLS_FIELD_NUMBER: _ClassVar[int]
    REBOOT_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    CHECKUPS_FIELD_NUMBER: _ClassVar[int]
    log_id: str
    position: int
    adopt_from: str
    jobs: _containers.RepeatedCompositeFieldContainer[_common_pb2.JobDescriptor]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    tombstones: _containers.RepeatedCompositeFieldContainer[Tombstone]
    suspects: _containers.RepeatedCompositeFieldContainer[Peer]
    drills: _containers.RepeatedCompositeFieldContainer[Drill]
    reboot: str
    audit: int
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    checkups: _containers.RepeatedCompositeFieldContainer[Checkup]
    def __init__(self, log_id: _Optional[str] = ..., position: _Optional[int] = ..., adopt_from: _Optional[str] = ..., jobs: _Optional[_Iterable[_Union[_common_pb2.JobDescriptor, _Mapping]]] = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., tombstones: _Optional[_Iterable[_Union[Tombstone, _Mapping]]] = ..., suspects: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., drills: _Optional[_Iterable[_Union[Drill, _Mapping]]] = ..., reboot: _Optional[str] = ..., audit: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., checkups: _Optional[_Iterable[_Union[Checkup, _Mapping]]] = ...) -> None: ...

class Checkup(_message.Message):
    __slots__ = ("id", "level", "job", "meeting")
    ID_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    MEETING_FIELD_NUMBER: _ClassVar[int]
    id: int
    level: _common_pb2.CheckLevel
    job: int
    meeting: Meeting
    def __init__(self, id: _Optional[int] = ..., level: _Optional[_Union[_common_pb2.CheckLevel, str]] = ..., job: _Optional[int] = ..., meeting: _Optional[_Union[Meeting, _Mapping]] = ...) -> None: ...

class Meeting(_message.Message):
    __slots__ = ("match", "address", "port", "rank", "size", "nodes")
    MATCH_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    match: int
    address: str
    port: int
    rank: int
    size: int
    nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, match: _Optional[int] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., rank: _Optional[int] = ..., size: _Optional[int] = ..., nodes: _Optional[_Iterable[str]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("job", "path", "save", "refusal")
    JOB_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    job: int
    path: str
    save: str
    refusal: str
    def __init__(self, job: _Optional[int] = ..., path: _Optional[str] = ..., save: _Optional[str] = ..., refusal: _Optional[str] = ...) -> None: ...

class Peer(_message.Message):
    __slots__ = ("node", "addresses", "port")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    node: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    port: int
    def __init__(self, node: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., port: _Optional[int] = ...) -> None: ...

class Drill(_message.Message):
    __slots__ = ("id", "kind", "rank", "for_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    id: int
    kind: _common_pb2.DrillKind
    rank: _common_pb2.RankKey
    for_s: float
    def __init__(self, id: _Optional[int] = ..., kind: _Optional[_Union[_common_pb2.DrillKind, str]] = ..., rank: _Optional[_Union[_common_pb2.RankKey, _Mapping]] = ..., for_s: _Optional[float] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("round", "world_size", "group_rank", "group_world_size", "first_rank", "nproc", "master_addr", "master_port", "restart_count", "devices", "checking", "master", "peers", "notice", "saves")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    GROUP_RANK_FIELD_NUMBER: _ClassVar[int]
    GROUP_WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    FIRST_RANK_FIELD_NUMBER: _ClassVar[int]
    NPROC_FIELD_NUMBER: _ClassVar[int]
    MASTER_ADDR_FIELD_NUMBER: _ClassVar[int]
    MASTER_PORT_FIELD_NUMBER: _ClassVar[int]
    RESTART_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    CHECKING_FIELD_NUMBER: _ClassVar[int]
    MASTER_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    SAVES_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    world_size: int
    group_rank: int
    group_world_size: int
    first_rank: int
    nproc: int
    master_addr: str
    master_port: int
    restart_count: int
    devices: _containers.RepeatedScalarFieldContainer[str]
    checking: bool
    master: Peer
    peers: _containers.RepeatedCompositeFieldContainer[Peer]
    notice: Notice
    saves: Saves
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., world_size: _Optional[int] = ..., group_rank: _Optional[int] = ..., group_world_size: _Optional[int] = ..., first_rank: _Optional[int] = ..., nproc: _Optional[int] = ..., master_addr: _Optional[str] = ..., master_port: _Optional[int] = ..., restart_count: _Optional[int] = ..., devices: _Optional[_Iterable[str]] = ..., checking: _Optional[bool] = ..., master: _Optional[_Union[Peer, _Mapping]] = ..., peers: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., saves: _Optional[_Union[Saves, _Mapping]] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("reason", "by")
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    by: float
    def __init__(self, reason: _Optional[str] = ..., by: _Optional[float] = ...) -> None: ...

class Saves(_message.Message):
    __slots__ = ("at", "every", "since", "was_every", "was_since")
    AT_FIELD_NUMBER: _ClassVar[int]
    EVERY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    WAS_EVERY_FIELD_NUMBER: _ClassVar[int]
    WAS_SINCE_FIELD_NUMBER: _ClassVar[int]
    at: int
    every: int
    since: int
    was_every: int
    was_since: int
    def __init__(self, at: _Optional[int] = ..., every: _Optional[int] = ..., since: _Optional[int] = ..., was_every: _Optional[int] = ..., was_since: _Optional[int] = ...) -> None: ...

class Tombstone(_message.Message):
    __slots__ = ("round", "grace_s", "evidence_s", "reason")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    grace_s: float
    evidence_s: float
    reason: str
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., grace_s: _Optional[float] = ..., evidence_s: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("observed_version",)
    OBSERVED_VERSION_FIELD_NUMBER: _ClassVar[int]
    observed_version: int
    def __init__(self, observed_version: _Optional[int] = ...) -> None: ...

class Heard(_message.Message):
    __slots__ = ("asked_at",)
    ASKED_AT_FIELD_NUMBER: _ClassVar[int]
    asked_at: float
    def __init__(self, asked_at: _Optional[float] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("stream_id", "sources", "tail_lines", "follow", "since", "lag_bytes", "kernel")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LAG_BYTES_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    sources: _containers.RepeatedCompositeFieldContainer[_common_pb2.LogSource]
    tail_lines: int
    follow: bool
    since: float
    lag_bytes: int
    kernel: _common_pb2.KernelWindow
    def __init__(self, stream_id: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[_common_pb2.LogSource, _Mapping]]] = ..., tail_lines: _Optional[int] = ..., follow: _Optional[bool] = ..., since: _Optional[float] = ..., lag_bytes: _Optional[int] = ..., kernel: _Optional[_Union[_common_pb2.KernelWindow, _Mapping]] = ...) -> None: ...

class StackRequest(_message.Message):
    __slots__ = ("id", "ranks", "looks", "apart_s", "threads")
    ID_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    LOOKS_FIELD_NUMBER: _ClassVar[int]
    APART_S_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    id: str
    ranks: _containers.RepeatedCompositeFieldContainer[_common_pb2.RankKey]
    looks: int
    apart_s: float
    threads: int
    def __init__(self, id: _Optional[str] = ..., ranks: _Optional[_Iterable[_Union[_common_pb2.RankKey, _Mapping]]] = ..., looks: _Optional[int] = ..., apart_s: _Optional[float] = ..., threads: _Optional[int] = ...) -> None: ...

class Stacks(_message.Message):
    __slots__ = ("id", "ranks")
    ID_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    ranks: _containers.RepeatedCompositeFieldContainer[_common_pb2.RankStack]
    def __init__(self, id: _Optional[str] = ..., ranks: _Optional[_Iterable[_Union[_common_pb2.RankStack, _Mapping]]] = ...) -> None: ...

class LogOpen(_message.Message):
    __slots__ = ("stream_id",)
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    def __init__(self, stream_id: _Optional[str] = ...) -> None: ...

class SpooledEvent(_message.Message):
    __slots__ = ("sequence", "name", "version", "kind", "severity", "time", "monotonic", "rank", "pid", "unit", "span", "parent", "body")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    name: str
    version: int
    kind: EventKind
    severity: Severity
    time: float
    monotonic: float
    rank: _common_pb2.RankKey
    pid: int
    unit: str
    span: str
    parent: str
    body: str
    def __init__(self, sequence: _Optional[int] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., kind: _Optional[_Union[EventKind, str]] = ..., severity: _Optional[_Union[Severity, str]] = ..., time: _Optional[float] = ..., monotonic: _Optional[float] = ..., rank: _Optional[_Union[_common_pb2.RankKey, _Mapping]] = ..., pid: _Optional[int] = ..., unit: _Optional[str] = ..., span: _Optional[str] = ..., parent: _Optional[str] = ..., body: _Optional[str] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("node", "spool", "boot_id", "events")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    node: str
    spool: str
    boot_id: str
    events: _containers.RepeatedCompositeFieldContainer[SpooledEvent]
    def __init__(self, node: _Optional[str] = ..., spool: _Optional[str] = ..., boot_id: _Optional[str] = ..., events: _Optional[_Iterable[_Union[SpooledEvent, _Mapping]]] = ...) -> None: ...

class EventsTaken(_message.Message):
    __slots__ = ("spool", "sequence")
    SPOOL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    spool: str
    sequence: int
    def __init__(self, spool: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class Telemetry(_message.Message):
    __slots__ = ("at", "samples")
    AT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    at: float
    samples: _containers.RepeatedCompositeFieldContainer[Sample]
    def __init__(self, at: _Optional[float] = ..., samples: _Optional[_Iterable[_Union[Sample, _Mapping]]] = ...) -> None: ...

class Sample(_message.Message):
    __slots__ = ("metric", "value", "device", "rank")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    metric: str
    value: float
    device: str
    rank: _common_pb2.RankKey
    def __init__(self, metric: _Optional[str] = ..., value: _Optional[float] = ..., device: _Optional[str] = ..., rank: _Optional[_Union[_common_pb2.RankKey, _Mapping]] = ...) -> None: ...
