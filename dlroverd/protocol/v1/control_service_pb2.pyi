from dlroverd.protocol.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

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
    __slots__ = ("after", "job", "node", "names", "since", "limit", "follow")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    after: int
    job: int
    node: str
    names: _containers.RepeatedScalarFieldContainer[str]
    since: float
    limit: int
    follow: bool
    def __init__(self, after: _Optional[int] = ..., job: _Optional[int] = ..., node: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., since: _Optional[float] = ..., limit: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class ListPluginsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RankView(_message.Message):
    __slots__ = ("rank", "local_rank", "node", "state", "pid", "exit")
    RANK_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    rank: int
    local_rank: int
    node: str
    state: str
    pid: int
    exit: str
    def __init__(self, rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., node: _Optional[str] = ..., state: _Optional[str] = ..., pid: _Optional[int] = ..., exit: _Optional[str] = ...) -> None: ...

class GangView(_message.Message):
    __slots__ = ("gang", "state", "round", "world_size", "master", "step", "ranks", "network")
    GANG_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    WORLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    MASTER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RANKS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    gang: int
    state: str
    round: int
    world_size: int
    master: str
    step: int
    ranks: _containers.RepeatedCompositeFieldContainer[RankView]
    network: str
    def __init__(self, gang: _Optional[int] = ..., state: _Optional[str] = ..., round: _Optional[int] = ..., world_size: _Optional[int] = ..., master: _Optional[str] = ..., step: _Optional[int] = ..., ranks: _Optional[_Iterable[_Union[RankView, _Mapping]]] = ..., network: _Optional[str] = ...) -> None: ...

class RoleView(_message.Message):
    __slots__ = ("name", "gangs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GANGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    gangs: _containers.RepeatedCompositeFieldContainer[GangView]
    def __init__(self, name: _Optional[str] = ..., gangs: _Optional[_Iterable[_Union[GangView, _Mapping]]] = ...) -> None: ...

class PhasesView(_message.Message):
    __slots__ = ("detected", "stopped", "placed", "started", "first_step", "unknown", "total")
    DETECTED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    detected: float
    stopped: float
    placed: float
    started: float
    first_step: float
    unknown: float
    total: float
    def __init__(self, detected: _Optional[float] = ..., stopped: _Optional[float] = ..., placed: _Optional[float] = ..., started: _Optional[float] = ..., first_step: _Optional[float] = ..., unknown: _Optional[float] = ..., total: _Optional[float] = ...) -> None: ...

class IncidentView(_message.Message):
    __slots__ = ("id", "role", "gang", "round", "began_at", "open", "action", "phases", "step", "cause", "victims", "drill")
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
    def __init__(self, id: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ..., began_at: _Optional[float] = ..., open: _Optional[bool] = ..., action: _Optional[str] = ..., phases: _Optional[_Union[PhasesView, _Mapping]] = ..., step: _Optional[int] = ..., cause: _Optional[_Union[_common_pb2.Cause, _Mapping]] = ..., victims: _Optional[_Iterable[_Union[_common_pb2.Cause, _Mapping]]] = ..., drill: _Optional[str] = ...) -> None: ...

class JobView(_message.Message):
    __slots__ = ("id", "name", "user", "state", "reason", "restarts", "restarts_in_window", "submitted_at", "started_at", "finished_at", "gave_up", "roles", "incidents", "spec")
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
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., user: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., restarts: _Optional[int] = ..., restarts_in_window: _Optional[int] = ..., submitted_at: _Optional[float] = ..., started_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., gave_up: _Optional[bool] = ..., roles: _Optional[_Iterable[_Union[RoleView, _Mapping]]] = ..., incidents: _Optional[_Iterable[_Union[IncidentView, _Mapping]]] = ..., spec: _Optional[_Union[_common_pb2.JobSpec, _Mapping]] = ...) -> None: ...

class NodeView(_message.Message):
    __slots__ = ("id", "state", "reason", "since", "address", "slots", "free", "devices", "agent_version", "jobs", "orphans", "notes")
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
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[float] = ..., address: _Optional[str] = ..., slots: _Optional[int] = ..., free: _Optional[int] = ..., devices: _Optional[int] = ..., agent_version: _Optional[str] = ..., jobs: _Optional[_Iterable[int]] = ..., orphans: _Optional[_Iterable[str]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class EventView(_message.Message):
    __slots__ = ("position", "index", "time", "name", "job", "node", "body")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    position: int
    index: int
    time: float
    name: str
    job: int
    node: str
    body: str
    def __init__(self, position: _Optional[int] = ..., index: _Optional[int] = ..., time: _Optional[float] = ..., name: _Optional[str] = ..., job: _Optional[int] = ..., node: _Optional[str] = ..., body: _Optional[str] = ...) -> None: ...

class PluginView(_message.Message):
    __slots__ = ("name", "version", "kinds", "origin", "health", "last_error", "failures")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    origin: str
    health: str
    last_error: str
    failures: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., origin: _Optional[str] = ..., health: _Optional[str] = ..., last_error: _Optional[str] = ..., failures: _Optional[int] = ...) -> None: ...

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
