from dlroverd.protocol.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HoldKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOLD_KIND_UNSPECIFIED: _ClassVar[HoldKind]
    HOLD_KIND_CORDON: _ClassVar[HoldKind]
    HOLD_KIND_DRAIN: _ClassVar[HoldKind]
    HOLD_KIND_MAINTENANCE: _ClassVar[HoldKind]
    HOLD_KIND_QUARANTINE: _ClassVar[HoldKind]

class DrainMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRAIN_MODE_UNSPECIFIED: _ClassVar[DrainMode]
    DRAIN_MODE_FINISH: _ClassVar[DrainMode]
    DRAIN_MODE_AT_CHECKPOINT: _ClassVar[DrainMode]
    DRAIN_MODE_NOW: _ClassVar[DrainMode]

class HangKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HANG_KIND_UNSPECIFIED: _ClassVar[HangKind]
    HANG_KIND_STOPPED: _ClassVar[HangKind]
    HANG_KIND_KERNEL: _ClassVar[HangKind]
    HANG_KIND_SPINNING: _ClassVar[HangKind]
    HANG_KIND_IO: _ClassVar[HangKind]
    HANG_KIND_IDLE: _ClassVar[HangKind]
    HANG_KIND_LOADER: _ClassVar[HangKind]
    HANG_KIND_COLLECTIVE: _ClassVar[HangKind]
    HANG_KIND_NETWORK: _ClassVar[HangKind]
    HANG_KIND_ABSENT: _ClassVar[HangKind]
    HANG_KIND_WORKING: _ClassVar[HangKind]
HOLD_KIND_UNSPECIFIED: HoldKind
HOLD_KIND_CORDON: HoldKind
HOLD_KIND_DRAIN: HoldKind
HOLD_KIND_MAINTENANCE: HoldKind
HOLD_KIND_QUARANTINE: HoldKind
DRAIN_MODE_UNSPECIFIED: DrainMode
DRAIN_MODE_FINISH: DrainMode
DRAIN_MODE_AT_CHECKPOINT: DrainMode
DRAIN_MODE_NOW: DrainMode
HANG_KIND_UNSPECIFIED: HangKind
HANG_KIND_STOPPED: HangKind
HANG_KIND_KERNEL: HangKind
HANG_KIND_SPINNING: HangKind
HANG_KIND_IO: HangKind
HANG_KIND_IDLE: HangKind
HANG_KIND_LOADER: HangKind
HANG_KIND_COLLECTIVE: HangKind
HANG_KIND_NETWORK: HangKind
HANG_KIND_ABSENT: HangKind
HANG_KIND_WORKING: HangKind

class JobStacksRequest(_message.Message):
    __slots__ = ("job", "role", "gang", "ranks")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    job: int
    role: str
    gang: int
    ranks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, job: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., ranks: _Optional[_Iterable[int]] = ...) -> None: ...

class DryRunRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: _common_pb2.JobSpec
    def __init__(self, spec: _Optional[_Union[_common_pb2.JobSpec, _Mapping]] = ...) -> None: ...

class DryRunView(_message.Message):
    __slots__ = ("refused", "placed", "reason", "ahead", "preempts", "rejected", "limits")
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    PREEMPTS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    refused: str
    placed: _containers.RepeatedCompositeFieldContainer[GangPlacement]
    reason: str
    ahead: int
    preempts: _containers.RepeatedScalarFieldContainer[int]
    rejected: _containers.RepeatedCompositeFieldContainer[Rejected]
    limits: _containers.RepeatedCompositeFieldContainer[LimitView]
    def __init__(self, refused: _Optional[str] = ..., placed: _Optional[_Iterable[_Union[GangPlacement, _Mapping]]] = ..., reason: _Optional[str] = ..., ahead: _Optional[int] = ..., preempts: _Optional[_Iterable[int]] = ..., rejected: _Optional[_Iterable[_Union[Rejected, _Mapping]]] = ..., limits: _Optional[_Iterable[_Union[LimitView, _Mapping]]] = ...) -> None: ...

class GangPlacement(_message.Message):
    __slots__ = ("role", "gang", "nodes")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    role: str
    gang: int
    nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, role: _Optional[str] = ..., gang: _Optional[int] = ..., nodes: _Optional[_Iterable[str]] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("node", "reason")
    NODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    node: str
    reason: str
    def __init__(self, node: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LimitView(_message.Message):
    __slots__ = ("name", "seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    seconds: float
    def __init__(self, name: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class SubmitJobRequest(_message.Message):
    __slots__ = ("request_id", "spec")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: _common_pb2.JobSpec
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[_common_pb2.JobSpec, _Mapping]] = ...) -> None: ...

class SubmitJobReply(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: int
    def __init__(self, job: _Optional[int] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job", "with_spec")
    JOB_FIELD_NUMBER: _ClassVar[int]
    WITH_SPEC_FIELD_NUMBER: _ClassVar[int]
    job: int
    with_spec: bool
    def __init__(self, job: _Optional[int] = ..., with_spec: _Optional[bool] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: int
    def __init__(self, job: _Optional[int] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("request_id", "job")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    job: int
    def __init__(self, request_id: _Optional[str] = ..., job: _Optional[int] = ...) -> None: ...

class CancelJobReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestartJobRequest(_message.Message):
    __slots__ = ("request_id", "job")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    job: int
    def __init__(self, request_id: _Optional[str] = ..., job: _Optional[int] = ...) -> None: ...

class RestartJobReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ScaleJobRequest(_message.Message):
    __slots__ = ("request_id", "job", "role", "nodes_min", "nodes_max", "within_s")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NODES_MIN_FIELD_NUMBER: _ClassVar[int]
    NODES_MAX_FIELD_NUMBER: _ClassVar[int]
    WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    job: int
    role: str
    nodes_min: int
    nodes_max: int
    within_s: float
    def __init__(self, request_id: _Optional[str] = ..., job: _Optional[int] = ..., role: _Optional[str] = ..., nodes_min: _Optional[int] = ..., nodes_max: _Optional[int] = ..., within_s: _Optional[float] = ...) -> None: ...

class ScaleJobReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SuspendJobRequest(_message.Message):
    __slots__ = ("request_id", "job", "within_s")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    job: int
    within_s: float
    def __init__(self, request_id: _Optional[str] = ..., job: _Optional[int] = ..., within_s: _Optional[float] = ...) -> None: ...

class SuspendJobReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeJobRequest(_message.Message):
    __slots__ = ("request_id", "job")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    job: int
    def __init__(self, request_id: _Optional[str] = ..., job: _Optional[int] = ...) -> None: ...

class ResumeJobReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: int
    def __init__(self, job: _Optional[int] = ...) -> None: ...

class Commit(_message.Message):
    __slots__ = ("round", "step", "save", "path", "place", "size_bytes", "manifest", "node", "at")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    step: int
    save: str
    path: str
    place: str
    size_bytes: int
    manifest: str
    node: str
    at: float
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ..., step: _Optional[int] = ..., save: _Optional[str] = ..., path: _Optional[str] = ..., place: _Optional[str] = ..., size_bytes: _Optional[int] = ..., manifest: _Optional[str] = ..., node: _Optional[str] = ..., at: _Optional[float] = ...) -> None: ...

class JobLogsRequest(_message.Message):
    __slots__ = ("job", "role", "gang", "ranks", "node", "round", "follow", "tail_lines", "since", "all_rounds", "known")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    ALL_ROUNDS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    job: int
    role: str
    gang: int
    ranks: _containers.RepeatedScalarFieldContainer[int]
    node: str
    round: int
    follow: bool
    tail_lines: int
    since: float
    all_rounds: bool
    known: _containers.RepeatedCompositeFieldContainer[_common_pb2.LogSource]
    def __init__(self, job: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., ranks: _Optional[_Iterable[int]] = ..., node: _Optional[str] = ..., round: _Optional[int] = ..., follow: _Optional[bool] = ..., tail_lines: _Optional[int] = ..., since: _Optional[float] = ..., all_rounds: _Optional[bool] = ..., known: _Optional[_Iterable[_Union[_common_pb2.LogSource, _Mapping]]] = ...) -> None: ...

class JobLogsReply(_message.Message):
    __slots__ = ("chunk", "failed")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    chunk: _common_pb2.LogChunk
    failed: _common_pb2.LogFailed
    def __init__(self, chunk: _Optional[_Union[_common_pb2.LogChunk, _Mapping]] = ..., failed: _Optional[_Union[_common_pb2.LogFailed, _Mapping]] = ...) -> None: ...

class ListKernelLogsRequest(_message.Message):
    __slots__ = ("job", "incident")
    JOB_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    job: int
    incident: int
    def __init__(self, job: _Optional[int] = ..., incident: _Optional[int] = ...) -> None: ...

class RedactRequest(_message.Message):
    __slots__ = ("text", "json")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    text: str
    json: bool
    def __init__(self, text: _Optional[str] = ..., json: _Optional[bool] = ...) -> None: ...

class RedactReply(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("with_absent", "survey_s")
    WITH_ABSENT_FIELD_NUMBER: _ClassVar[int]
    SURVEY_S_FIELD_NUMBER: _ClassVar[int]
    with_absent: bool
    survey_s: float
    def __init__(self, with_absent: _Optional[bool] = ..., survey_s: _Optional[float] = ...) -> None: ...

class AdoptNodeRequest(_message.Message):
    __slots__ = ("request_id", "node")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    node: str
    def __init__(self, request_id: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class AdoptNodeReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConfirmDownRequest(_message.Message):
    __slots__ = ("request_id", "node")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    node: str
    def __init__(self, request_id: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class ConfirmDownReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class HoldNodesRequest(_message.Message):
    __slots__ = ("request_id", "nodes", "kind", "mode", "reason", "owner", "deadline_s", "reboot", "until_checked")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    REBOOT_FIELD_NUMBER: _ClassVar[int]
    UNTIL_CHECKED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    kind: HoldKind
    mode: DrainMode
    reason: str
    owner: str
    deadline_s: float
    reboot: bool
    until_checked: bool
    def __init__(self, request_id: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., kind: _Optional[_Union[HoldKind, str]] = ..., mode: _Optional[_Union[DrainMode, str]] = ..., reason: _Optional[str] = ..., owner: _Optional[str] = ..., deadline_s: _Optional[float] = ..., reboot: _Optional[bool] = ..., until_checked: _Optional[bool] = ...) -> None: ...

class HoldNodesReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReleaseNodesRequest(_message.Message):
    __slots__ = ("request_id", "nodes", "owner", "kind", "undo")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    owner: str
    kind: str
    undo: str
    def __init__(self, request_id: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., owner: _Optional[str] = ..., kind: _Optional[str] = ..., undo: _Optional[str] = ...) -> None: ...

class ReleaseNodesReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckNodesRequest(_message.Message):
    __slots__ = ("request_id", "nodes", "level")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    level: _common_pb2.CheckLevel
    def __init__(self, request_id: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., level: _Optional[_Union[_common_pb2.CheckLevel, str]] = ...) -> None: ...

class CheckNodesReply(_message.Message):
    __slots__ = ("checkup",)
    CHECKUP_FIELD_NUMBER: _ClassVar[int]
    checkup: int
    def __init__(self, checkup: _Optional[int] = ...) -> None: ...

class ClearNodesRequest(_message.Message):
    __slots__ = ("request_id", "nodes", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ClearNodesReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PauseAutomationRequest(_message.Message):
    __slots__ = ("request_id", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PauseAutomationReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeAutomationRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class ResumeAutomationReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAutomationRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OrderDrillRequest(_message.Message):
    __slots__ = ("request_id", "kind", "job", "role", "gang", "rank", "node", "for_s")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    kind: _common_pb2.DrillKind
    job: int
    role: str
    gang: int
    rank: int
    node: str
    for_s: float
    def __init__(self, request_id: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.DrillKind, str]] = ..., job: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., rank: _Optional[int] = ..., node: _Optional[str] = ..., for_s: _Optional[float] = ...) -> None: ...

class OrderDrillReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("after", "job", "node", "names", "since", "limit", "follow", "start", "severity", "kind")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    after: int
    job: int
    node: str
    names: _containers.RepeatedScalarFieldContainer[str]
    since: float
    limit: int
    follow: bool
    start: str
    severity: str
    kind: str
    def __init__(self, after: _Optional[int] = ..., job: _Optional[int] = ..., node: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., since: _Optional[float] = ..., limit: _Optional[int] = ..., follow: _Optional[bool] = ..., start: _Optional[str] = ..., severity: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ListPluginsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSinksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReplaySinkRequest(_message.Message):
    __slots__ = ("request_id", "name", "position")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    position: int
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class ReplaySinkReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RankView(_message.Message):
    __slots__ = ("rank", "local_rank", "node", "state", "pid", "exit", "readings")
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    rank: int
    local_rank: int
    node: str
    state: str
    pid: int
    exit: str
    readings: RankReadings
    def __init__(self, rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., node: _Optional[str] = ..., state: _Optional[str] = ..., pid: _Optional[int] = ..., exit: _Optional[str] = ..., readings: _Optional[_Union[RankReadings, _Mapping]] = ...) -> None: ...

class RankReadings(_message.Message):
    __slots__ = ("cpu_ratio", "memory_bytes", "step_seconds", "loss", "device_busy_ratio", "device_memory_used_bytes")
    CPU_RATIO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    STEP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_BUSY_RATIO_FIELD_NUMBER: _ClassVar[int]
    DEVICE_MEMORY_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    cpu_ratio: float
    memory_bytes: float
    step_seconds: float
    loss: float
    device_busy_ratio: float
    device_memory_used_bytes: float
    def __init__(self, cpu_ratio: _Optional[float] = ..., memory_bytes: _Optional[float] = ..., step_seconds: _Optional[float] = ..., loss: _Optional[float] = ..., device_busy_ratio: _Optional[float] = ..., device_memory_used_bytes: _Optional[float] = ...) -> None: ...

class SpreadView(_message.Message):
    __slots__ = ("reading", "ranks", "median", "least", "most")
    READING_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    reading: str
    ranks: int
    median: float
    least: float
    most: float
    def __init__(self, reading: _Optional[str] = ..., ranks: _Optional[int] = ..., median: _Optional[float] = ..., least: _Optional[float] = ..., most: _Optional[float] = ...) -> None: ...

class ReadingView(_message.Message):
    __slots__ = ("metric", "value", "mean", "least", "most", "at")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    metric: str
    value: float
    mean: float
    least: float
    most: float
    at: float
    def __init__(self, metric: _Optional[str] = ..., value: _Optional[float] = ..., mean: _Optional[float] = ..., least: _Optional[float] = ..., most: _Optional[float] = ..., at: _Optional[float] = ...) -> None: ...

class GangView(_message.Message):
    __slots__ = ("gang", "state", "round", "world_size", "master", "step", "ranks", "network", "nodes_max", "room", "growth", "spares", "cadence", "hang")
    GANG_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    MASTER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    NODES_MAX_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    SPARES_FIELD_NUMBER: _ClassVar[int]
    CADENCE_FIELD_NUMBER: _ClassVar[int]
    HANG_FIELD_NUMBER: _ClassVar[int]
    gang: int
    state: str
    round: int
    world_size: int
    master: str
    step: int
    ranks: _containers.RepeatedCompositeFieldContainer[RankView]
    network: str
    nodes_max: int
    room: int
    growth: str
    spares: _containers.RepeatedScalarFieldContainer[str]
    cadence: CadenceView
    hang: HangView
    def __init__(self, gang: _Optional[int] = ..., state: _Optional[str] = ..., round: _Optional[int] = ..., world_size: _Optional[int] = ..., master: _Optional[str] = ..., step: _Optional[int] = ..., ranks: _Optional[_Iterable[_Union[RankView, _Mapping]]] = ..., network: _Optional[str] = ..., nodes_max: _Optional[int] = ..., room: _Optional[int] = ..., growth: _Optional[str] = ..., spares: _Optional[_Iterable[str]] = ..., cadence: _Optional[_Union[CadenceView, _Mapping]] = ..., hang: _Optional[_Union[HangView, _Mapping]] = ...) -> None: ...

class HangView(_message.Message):
    __slots__ = ("phase", "quiet_s", "budgets", "off", "suspicion")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    QUIET_S_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    OFF_FIELD_NUMBER: _ClassVar[int]
    SUSPICION_FIELD_NUMBER: _ClassVar[int]
    phase: str
    quiet_s: float
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    off: str
    suspicion: Suspicion
    def __init__(self, phase: _Optional[str] = ..., quiet_s: _Optional[float] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ..., off: _Optional[str] = ..., suspicion: _Optional[_Union[Suspicion, _Mapping]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("phase", "seconds", "floor_s", "ceiling_s", "basis")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    FLOOR_S_FIELD_NUMBER: _ClassVar[int]
    CEILING_S_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    phase: str
    seconds: float
    floor_s: float
    ceiling_s: float
    basis: str
    def __init__(self, phase: _Optional[str] = ..., seconds: _Optional[float] = ..., floor_s: _Optional[float] = ..., ceiling_s: _Optional[float] = ..., basis: _Optional[str] = ...) -> None: ...

class Suspicion(_message.Message):
    __slots__ = ("since", "step", "phase", "quiet_s", "budget_s", "verdict", "held_back")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    QUIET_S_FIELD_NUMBER: _ClassVar[int]
    BUDGET_S_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    since: float
    step: int
    phase: str
    quiet_s: float
    budget_s: float
    verdict: HangVerdict
    held_back: str
    def __init__(self, since: _Optional[float] = ..., step: _Optional[int] = ..., phase: _Optional[str] = ..., quiet_s: _Optional[float] = ..., budget_s: _Optional[float] = ..., verdict: _Optional[_Union[HangVerdict, _Mapping]] = ..., held_back: _Optional[str] = ...) -> None: ...

class HangVerdict(_message.Message):
    __slots__ = ("hung", "kind", "sentence", "confidence", "ranks", "node", "phase", "groups", "absent")
    HUNG_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    hung: bool
    kind: HangKind
    sentence: str
    confidence: float
    ranks: _containers.RepeatedCompositeFieldContainer[_common_pb2.RankKey]
    node: str
    phase: str
    groups: _containers.RepeatedCompositeFieldContainer[HangGroup]
    absent: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, hung: _Optional[bool] = ..., kind: _Optional[_Union[HangKind, str]] = ..., sentence: _Optional[str] = ..., confidence: _Optional[float] = ..., ranks: _Optional[_Iterable[_Union[_common_pb2.RankKey, _Mapping]]] = ..., node: _Optional[str] = ..., phase: _Optional[str] = ..., groups: _Optional[_Iterable[_Union[HangGroup, _Mapping]]] = ..., absent: _Optional[_Iterable[int]] = ...) -> None: ...

class HangGroup(_message.Message):
    __slots__ = ("ranks", "doing", "frames")
    RANKS_FIELD_NUMBER: _ClassVar[int]
    DOING_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ranks: _containers.RepeatedScalarFieldContainer[int]
    doing: str
    frames: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ranks: _Optional[_Iterable[int]] = ..., doing: _Optional[str] = ..., frames: _Optional[_Iterable[str]] = ...) -> None: ...

class CadenceView(_message.Message):
    __slots__ = ("interval_s", "every", "save_s", "mtbf_s", "restart_s", "lost_ratio", "save_known", "restart_known")
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    EVERY_FIELD_NUMBER: _ClassVar[int]
    SAVE_S_FIELD_NUMBER: _ClassVar[int]
    MTBF_S_FIELD_NUMBER: _ClassVar[int]
    RESTART_S_FIELD_NUMBER: _ClassVar[int]
    LOST_RATIO_FIELD_NUMBER: _ClassVar[int]
    SAVE_KNOWN_FIELD_NUMBER: _ClassVar[int]
    RESTART_KNOWN_FIELD_NUMBER: _ClassVar[int]
    interval_s: float
    every: int
    save_s: float
    mtbf_s: float
    restart_s: float
    lost_ratio: float
    save_known: bool
    restart_known: bool
    def __init__(self, interval_s: _Optional[float] = ..., every: _Optional[int] = ..., save_s: _Optional[float] = ..., mtbf_s: _Optional[float] = ..., restart_s: _Optional[float] = ..., lost_ratio: _Optional[float] = ..., save_known: _Optional[bool] = ..., restart_known: _Optional[bool] = ...) -> None: ...

class PlanView(_message.Message):
    __slots__ = ("kind", "reason", "by", "stopping")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    kind: str
    reason: str
    by: float
    stopping: bool
    def __init__(self, kind: _Optional[str] = ..., reason: _Optional[str] = ..., by: _Optional[float] = ..., stopping: _Optional[bool] = ...) -> None: ...

class RoleView(_message.Message):
    __slots__ = ("name", "gangs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GANGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    gangs: _containers.RepeatedCompositeFieldContainer[GangView]
    def __init__(self, name: _Optional[str] = ..., gangs: _Optional[_Iterable[_Union[GangView, _Mapping]]] = ...) -> None: ...

class PhasesView(_message.Message):
    __slots__ = ("detect", "stop", "wait", "start", "load", "unknown", "total", "decide", "recompute")
    DETECT_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    DECIDE_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTE_FIELD_NUMBER: _ClassVar[int]
    detect: float
    stop: float
    wait: float
    start: float
    load: float
    unknown: float
    total: float
    decide: float
    recompute: float
    def __init__(self, detect: _Optional[float] = ..., stop: _Optional[float] = ..., wait: _Optional[float] = ..., start: _Optional[float] = ..., load: _Optional[float] = ..., unknown: _Optional[float] = ..., total: _Optional[float] = ..., decide: _Optional[float] = ..., recompute: _Optional[float] = ...) -> None: ...

class IncidentView(_message.Message):
    __slots__ = ("id", "role", "gang", "round", "began_at", "open", "action", "phases", "step", "cause", "victims", "drill", "nodes", "reached", "cost_node_s", "domain")
    ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    VICTIMS_FIELD_NUMBER: _ClassVar[int]
    DRILL_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    COST_NODE_S_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    id: int
    role: str
    gang: int
    round: int
    began_at: float
    open: bool
    action: str
    phases: PhasesView
    step: int
    cause: _common_pb2.Cause
    victims: _containers.RepeatedCompositeFieldContainer[_common_pb2.Cause]
    drill: str
    nodes: int
    reached: int
    cost_node_s: float
    domain: str
    def __init__(self, id: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ..., began_at: _Optional[float] = ..., open: _Optional[bool] = ..., action: _Optional[str] = ..., phases: _Optional[_Union[PhasesView, _Mapping]] = ..., step: _Optional[int] = ..., cause: _Optional[_Union[_common_pb2.Cause, _Mapping]] = ..., victims: _Optional[_Iterable[_Union[_common_pb2.Cause, _Mapping]]] = ..., drill: _Optional[str] = ..., nodes: _Optional[int] = ..., reached: _Optional[int] = ..., cost_node_s: _Optional[float] = ..., domain: _Optional[str] = ...) -> None: ...

class TimesView(_message.Message):
    __slots__ = ("productive", "checkpointing", "redone", "starting", "restarting", "stopping", "waiting", "unknown")
    PRODUCTIVE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTING_FIELD_NUMBER: _ClassVar[int]
    REDONE_FIELD_NUMBER: _ClassVar[int]
    STARTING_FIELD_NUMBER: _ClassVar[int]
    RESTARTING_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    productive: float
    checkpointing: float
    redone: float
    starting: float
    restarting: float
    stopping: float
    waiting: float
    unknown: float
    def __init__(self, productive: _Optional[float] = ..., checkpointing: _Optional[float] = ..., redone: _Optional[float] = ..., starting: _Optional[float] = ..., restarting: _Optional[float] = ..., stopping: _Optional[float] = ..., waiting: _Optional[float] = ..., unknown: _Optional[float] = ...) -> None: ...

class GoodputView(_message.Message):
    __slots__ = ("goodput", "wall_s", "placed_s", "times", "node_times")
    GOODPUT_FIELD_NUMBER: _ClassVar[int]
    WALL_S_FIELD_NUMBER: _ClassVar[int]
    PLACED_S_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    NODE_TIMES_FIELD_NUMBER: _ClassVar[int]
    goodput: float
    wall_s: float
    placed_s: float
    times: TimesView
    node_times: TimesView
    def __init__(self, goodput: _Optional[float] = ..., wall_s: _Optional[float] = ..., placed_s: _Optional[float] = ..., times: _Optional[_Union[TimesView, _Mapping]] = ..., node_times: _Optional[_Union[TimesView, _Mapping]] = ...) -> None: ...

class JobView(_message.Message):
    __slots__ = ("id", "name", "user", "state", "reason", "restarts", "restarts_in_window", "submitted_at", "started_at", "finished_at", "gave_up", "roles", "incidents", "spec", "goodput", "plan", "priority", "project", "steps_per_second", "spreads", "odd", "diagnoses")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_IN_WINDOW_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    GAVE_UP_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    GOODPUT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    STEPS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SPREADS_FIELD_NUMBER: _ClassVar[int]
    ODD_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSES_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    user: str
    state: str
    reason: str
    restarts: int
    restarts_in_window: int
    submitted_at: float
    started_at: float
    finished_at: float
    gave_up: bool
    roles: _containers.RepeatedCompositeFieldContainer[RoleView]
    incidents: _containers.RepeatedCompositeFieldContainer[IncidentView]
    spec: _common_pb2.JobSpec
    goodput: GoodputView
    plan: PlanView
    priority: int
    project: str
    steps_per_second: float
    spreads: _containers.RepeatedCompositeFieldContainer[SpreadView]
    odd: str
    diagnoses: _containers.RepeatedCompositeFieldContainer[DiagnosisView]
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., user: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., restarts: _Optional[int] = ..., restarts_in_window: _Optional[int] = ..., submitted_at: _Optional[float] = ..., started_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., gave_up: _Optional[bool] = ..., roles: _Optional[_Iterable[_Union[RoleView, _Mapping]]] = ..., incidents: _Optional[_Iterable[_Union[IncidentView, _Mapping]]] = ..., spec: _Optional[_Union[_common_pb2.JobSpec, _Mapping]] = ..., goodput: _Optional[_Union[GoodputView, _Mapping]] = ..., plan: _Optional[_Union[PlanView, _Mapping]] = ..., priority: _Optional[int] = ..., project: _Optional[str] = ..., steps_per_second: _Optional[float] = ..., spreads: _Optional[_Iterable[_Union[SpreadView, _Mapping]]] = ..., odd: _Optional[str] = ..., diagnoses: _Optional[_Iterable[_Union[DiagnosisView, _Mapping]]] = ...) -> None: ...

class DiagnosisView(_message.Message):
    __slots__ = ("rule", "role", "gang", "round", "kind", "sentence", "confidence", "stage", "made_at", "since", "rank", "node", "device", "evidence", "actions", "acted", "held_back")
    RULE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    ACTED_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    rule: str
    role: str
    gang: int
    round: int
    kind: str
    sentence: str
    confidence: float
    stage: str
    made_at: float
    since: float
    rank: int
    node: str
    device: str
    evidence: _containers.RepeatedScalarFieldContainer[str]
    actions: _containers.RepeatedScalarFieldContainer[str]
    acted: bool
    held_back: str
    def __init__(self, rule: _Optional[str] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ..., kind: _Optional[str] = ..., sentence: _Optional[str] = ..., confidence: _Optional[float] = ..., stage: _Optional[str] = ..., made_at: _Optional[float] = ..., since: _Optional[float] = ..., rank: _Optional[int] = ..., node: _Optional[str] = ..., device: _Optional[str] = ..., evidence: _Optional[_Iterable[str]] = ..., actions: _Optional[_Iterable[str]] = ..., acted: _Optional[bool] = ..., held_back: _Optional[str] = ...) -> None: ...

class NodeView(_message.Message):
    __slots__ = ("id", "state", "reason", "since", "address", "slots", "free", "devices", "agent_version", "jobs", "orphans", "notes", "holds", "progress", "doubt", "labels", "unsurveyed")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    DOUBT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    UNSURVEYED_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: str
    reason: str
    since: float
    address: str
    slots: int
    free: int
    devices: int
    agent_version: str
    jobs: _containers.RepeatedScalarFieldContainer[int]
    orphans: _containers.RepeatedScalarFieldContainer[str]
    notes: _containers.RepeatedScalarFieldContainer[str]
    holds: _containers.RepeatedCompositeFieldContainer[HoldView]
    progress: str
    doubt: float
    labels: _containers.ScalarMap[str, str]
    unsurveyed: bool
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[float] = ..., address: _Optional[str] = ..., slots: _Optional[int] = ..., free: _Optional[int] = ..., devices: _Optional[int] = ..., agent_version: _Optional[str] = ..., jobs: _Optional[_Iterable[int]] = ..., orphans: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ..., holds: _Optional[_Iterable[_Union[HoldView, _Mapping]]] = ..., progress: _Optional[str] = ..., doubt: _Optional[float] = ..., labels: _Optional[_Mapping[str, str]] = ..., unsurveyed: _Optional[bool] = ...) -> None: ...

class HoldView(_message.Message):
    __slots__ = ("owner", "kind", "reason", "since", "mode", "deadline", "request")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    owner: str
    kind: str
    reason: str
    since: float
    mode: str
    deadline: float
    request: str
    def __init__(self, owner: _Optional[str] = ..., kind: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[float] = ..., mode: _Optional[str] = ..., deadline: _Optional[float] = ..., request: _Optional[str] = ...) -> None: ...

class EvidenceView(_message.Message):
    __slots__ = ("at", "kind", "weight", "sentence", "job")
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    at: float
    kind: str
    weight: float
    sentence: str
    job: int
    def __init__(self, at: _Optional[float] = ..., kind: _Optional[str] = ..., weight: _Optional[float] = ..., sentence: _Optional[str] = ..., job: _Optional[int] = ...) -> None: ...

class ReputationView(_message.Message):
    __slots__ = ("of", "name", "standing", "doubt", "reason", "since", "score", "evidence")
    OF_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    DOUBT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    of: str
    name: str
    standing: str
    doubt: float
    reason: str
    since: float
    score: float
    evidence: _containers.RepeatedCompositeFieldContainer[EvidenceView]
    def __init__(self, of: _Optional[str] = ..., name: _Optional[str] = ..., standing: _Optional[str] = ..., doubt: _Optional[float] = ..., reason: _Optional[str] = ..., since: _Optional[float] = ..., score: _Optional[float] = ..., evidence: _Optional[_Iterable[_Union[EvidenceView, _Mapping]]] = ...) -> None: ...

class DeviceView(_message.Message):
    __slots__ = ("uuid", "model", "memory_bytes", "state", "detail", "job", "serial", "readings")
    UUID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    model: str
    memory_bytes: int
    state: str
    detail: str
    job: int
    serial: str
    readings: _containers.RepeatedCompositeFieldContainer[ReadingView]
    def __init__(self, uuid: _Optional[str] = ..., model: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., state: _Optional[str] = ..., detail: _Optional[str] = ..., job: _Optional[int] = ..., serial: _Optional[str] = ..., readings: _Optional[_Iterable[_Union[ReadingView, _Mapping]]] = ...) -> None: ...

class NodeDetail(_message.Message):
    __slots__ = ("node", "why", "hostname", "boot_id", "cpus", "memory_bytes", "addresses", "devices", "reputations", "differences", "readings", "signals", "checks", "checkups")
    NODE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    REPUTATIONS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    READINGS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    CHECKUPS_FIELD_NUMBER: _ClassVar[int]
    node: NodeView
    why: str
    hostname: str
    boot_id: str
    cpus: int
    memory_bytes: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceView]
    reputations: _containers.RepeatedCompositeFieldContainer[ReputationView]
    differences: _containers.RepeatedCompositeFieldContainer[_common_pb2.Difference]
    readings: _containers.RepeatedCompositeFieldContainer[ReadingView]
    signals: _containers.RepeatedCompositeFieldContainer[SignalView]
    checks: _containers.RepeatedCompositeFieldContainer[_common_pb2.CheckResult]
    checkups: _containers.RepeatedCompositeFieldContainer[CheckupView]
    def __init__(self, node: _Optional[_Union[NodeView, _Mapping]] = ..., why: _Optional[str] = ..., hostname: _Optional[str] = ..., boot_id: _Optional[str] = ..., cpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., devices: _Optional[_Iterable[_Union[DeviceView, _Mapping]]] = ..., reputations: _Optional[_Iterable[_Union[ReputationView, _Mapping]]] = ..., differences: _Optional[_Iterable[_Union[_common_pb2.Difference, _Mapping]]] = ..., readings: _Optional[_Iterable[_Union[ReadingView, _Mapping]]] = ..., signals: _Optional[_Iterable[_Union[SignalView, _Mapping]]] = ..., checks: _Optional[_Iterable[_Union[_common_pb2.CheckResult, _Mapping]]] = ..., checkups: _Optional[_Iterable[_Union[CheckupView, _Mapping]]] = ...) -> None: ...

class CheckupView(_message.Message):
    __slots__ = ("id", "level", "cause", "state", "sentence", "at", "actor")
    ID_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    level: str
    cause: str
    state: str
    sentence: str
    at: float
    actor: str
    def __init__(self, id: _Optional[int] = ..., level: _Optional[str] = ..., cause: _Optional[str] = ..., state: _Optional[str] = ..., sentence: _Optional[str] = ..., at: _Optional[float] = ..., actor: _Optional[str] = ...) -> None: ...

class SignalView(_message.Message):
    __slots__ = ("name", "at", "device", "part", "count", "severity", "action", "sentence", "done", "then", "cleared")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    THEN_FIELD_NUMBER: _ClassVar[int]
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    name: str
    at: float
    device: str
    part: str
    count: int
    severity: str
    action: str
    sentence: str
    done: str
    then: str
    cleared: bool
    def __init__(self, name: _Optional[str] = ..., at: _Optional[float] = ..., device: _Optional[str] = ..., part: _Optional[str] = ..., count: _Optional[int] = ..., severity: _Optional[str] = ..., action: _Optional[str] = ..., sentence: _Optional[str] = ..., done: _Optional[str] = ..., then: _Optional[str] = ..., cleared: _Optional[bool] = ...) -> None: ...

class FindingView(_message.Message):
    __slots__ = ("node", "stage", "sentence", "held_back", "since")
    NODE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    node: str
    stage: str
    sentence: str
    held_back: str
    since: float
    def __init__(self, node: _Optional[str] = ..., stage: _Optional[str] = ..., sentence: _Optional[str] = ..., held_back: _Optional[str] = ..., since: _Optional[float] = ...) -> None: ...

class RemovalView(_message.Message):
    __slots__ = ("node", "at")
    NODE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    node: str
    at: float
    def __init__(self, node: _Optional[str] = ..., at: _Optional[float] = ...) -> None: ...

class AutomationView(_message.Message):
    __slots__ = ("quarantine", "paused_by", "reason", "since", "window_s", "allowed", "ready_share", "usable", "nodes", "removals", "findings")
    QUARANTINE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    READY_SHARE_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    REMOVALS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    quarantine: str
    paused_by: str
    reason: str
    since: float
    window_s: float
    allowed: int
    ready_share: float
    usable: int
    nodes: int
    removals: _containers.RepeatedCompositeFieldContainer[RemovalView]
    findings: _containers.RepeatedCompositeFieldContainer[FindingView]
    def __init__(self, quarantine: _Optional[str] = ..., paused_by: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[float] = ..., window_s: _Optional[float] = ..., allowed: _Optional[int] = ..., ready_share: _Optional[float] = ..., usable: _Optional[int] = ..., nodes: _Optional[int] = ..., removals: _Optional[_Iterable[_Union[RemovalView, _Mapping]]] = ..., findings: _Optional[_Iterable[_Union[FindingView, _Mapping]]] = ...) -> None: ...

class EventView(_message.Message):
    __slots__ = ("position", "index", "time", "name", "job", "node", "body", "log_id", "version", "severity", "kind", "monotonic", "host", "boot_id", "unit", "role", "gang", "round", "rank", "pid", "actor", "cause", "span", "parent")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    position: int
    index: int
    time: float
    name: str
    job: int
    node: str
    body: str
    log_id: str
    version: int
    severity: str
    kind: str
    monotonic: float
    host: str
    boot_id: str
    unit: str
    role: str
    gang: int
    round: int
    rank: int
    pid: int
    actor: str
    cause: str
    span: str
    parent: str
    def __init__(self, position: _Optional[int] = ..., index: _Optional[int] = ..., time: _Optional[float] = ..., name: _Optional[str] = ..., job: _Optional[int] = ..., node: _Optional[str] = ..., body: _Optional[str] = ..., log_id: _Optional[str] = ..., version: _Optional[int] = ..., severity: _Optional[str] = ..., kind: _Optional[str] = ..., monotonic: _Optional[float] = ..., host: _Optional[str] = ..., boot_id: _Optional[str] = ..., unit: _Optional[str] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ..., rank: _Optional[int] = ..., pid: _Optional[int] = ..., actor: _Optional[str] = ..., cause: _Optional[str] = ..., span: _Optional[str] = ..., parent: _Optional[str] = ...) -> None: ...

class PluginView(_message.Message):
    __slots__ = ("name", "version", "kinds", "origin", "health", "last_error", "failures", "lag_records")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LAG_RECORDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    origin: str
    health: str
    last_error: str
    failures: int
    lag_records: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., origin: _Optional[str] = ..., health: _Optional[str] = ..., last_error: _Optional[str] = ..., failures: _Optional[int] = ..., lag_records: _Optional[int] = ...) -> None: ...

class SinkView(_message.Message):
    __slots__ = ("name", "plugin", "health", "start", "cursor", "oldest", "newest", "lag_records", "lag_s", "delivered", "retries", "dead_letters", "room", "lost", "last_error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    LAG_RECORDS_FIELD_NUMBER: _ClassVar[int]
    LAG_S_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    plugin: str
    health: str
    start: str
    cursor: int
    oldest: int
    newest: int
    lag_records: int
    lag_s: float
    delivered: int
    retries: int
    dead_letters: int
    room: int
    lost: int
    last_error: str
    def __init__(self, name: _Optional[str] = ..., plugin: _Optional[str] = ..., health: _Optional[str] = ..., start: _Optional[str] = ..., cursor: _Optional[int] = ..., oldest: _Optional[int] = ..., newest: _Optional[int] = ..., lag_records: _Optional[int] = ..., lag_s: _Optional[float] = ..., delivered: _Optional[int] = ..., retries: _Optional[int] = ..., dead_letters: _Optional[int] = ..., room: _Optional[int] = ..., lost: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class DaemonInfo(_message.Message):
    __slots__ = ("version", "log_id", "position", "uptime_s", "storage_low", "settings")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    STORAGE_LOW_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    version: str
    log_id: str
    position: int
    uptime_s: float
    storage_low: bool
    settings: _containers.ScalarMap[str, str]
    def __init__(self, version: _Optional[str] = ..., log_id: _Optional[str] = ..., position: _Optional[int] = ..., uptime_s: _Optional[float] = ..., storage_low: _Optional[bool] = ..., settings: _Optional[_Mapping[str, str]] = ...) -> None: ...
