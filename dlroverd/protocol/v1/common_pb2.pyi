from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FailureVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_VERDICT_UNSPECIFIED: _ClassVar[FailureVerdict]
    FAILURE_VERDICT_PROCESS: _ClassVar[FailureVerdict]
    FAILURE_VERDICT_NODE: _ClassVar[FailureVerdict]
    FAILURE_VERDICT_JOB: _ClassVar[FailureVerdict]
    FAILURE_VERDICT_ABORT: _ClassVar[FailureVerdict]

class GrowWhen(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROW_WHEN_UNSPECIFIED: _ClassVar[GrowWhen]
    GROW_WHEN_CHECKPOINT: _ClassVar[GrowWhen]
    GROW_WHEN_NOW: _ClassVar[GrowWhen]
    GROW_WHEN_NEVER: _ClassVar[GrowWhen]

class ProgressFrom(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROGRESS_FROM_UNSPECIFIED: _ClassVar[ProgressFrom]
    PROGRESS_FROM_PATTERN: _ClassVar[ProgressFrom]
    PROGRESS_FROM_AUTO: _ClassVar[ProgressFrom]

class CauseKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAUSE_KIND_UNSPECIFIED: _ClassVar[CauseKind]
    CAUSE_KIND_LAUNCH: _ClassVar[CauseKind]
    CAUSE_KIND_PORT_TAKEN: _ClassVar[CauseKind]
    CAUSE_KIND_MISSING_SCRIPT: _ClassVar[CauseKind]
    CAUSE_KIND_SYNTAX_ERROR: _ClassVar[CauseKind]
    CAUSE_KIND_IMPORT_ERROR: _ClassVar[CauseKind]
    CAUSE_KIND_EXCEPTION: _ClassVar[CauseKind]
    CAUSE_KIND_SIGNAL: _ClassVar[CauseKind]
    CAUSE_KIND_EXIT_CODE: _ClassVar[CauseKind]
    CAUSE_KIND_PEER_LOST: _ClassVar[CauseKind]
    CAUSE_KIND_NODE_LOST: _ClassVar[CauseKind]
    CAUSE_KIND_VANISHED: _ClassVar[CauseKind]
    CAUSE_KIND_START_TIMEOUT: _ClassVar[CauseKind]
    CAUSE_KIND_STOPPED: _ClassVar[CauseKind]
    CAUSE_KIND_REQUESTED: _ClassVar[CauseKind]
    CAUSE_KIND_OUT_OF_MEMORY: _ClassVar[CauseKind]
    CAUSE_KIND_DEVICE_LOST: _ClassVar[CauseKind]
    CAUSE_KIND_NO_PATH: _ClassVar[CauseKind]
    CAUSE_KIND_MISMATCH: _ClassVar[CauseKind]
    CAUSE_KIND_CHECK_FAILED: _ClassVar[CauseKind]
    CAUSE_KIND_PREEMPTED: _ClassVar[CauseKind]
    CAUSE_KIND_HANG: _ClassVar[CauseKind]
    CAUSE_KIND_DISK_FULL: _ClassVar[CauseKind]
    CAUSE_KIND_DEVICE_ERROR: _ClassVar[CauseKind]
    CAUSE_KIND_DEVICE_CRASH: _ClassVar[CauseKind]
    CAUSE_KIND_DEVICE_OUT_OF_MEMORY: _ClassVar[CauseKind]
    CAUSE_KIND_NETWORK: _ClassVar[CauseKind]
    CAUSE_KIND_HOST_LIMIT: _ClassVar[CauseKind]
    CAUSE_KIND_PERMISSION: _ClassVar[CauseKind]
    CAUSE_KIND_BAD_ARGUMENTS: _ClassVar[CauseKind]

class DrillKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRILL_KIND_UNSPECIFIED: _ClassVar[DrillKind]
    DRILL_KIND_KILL_RANK: _ClassVar[DrillKind]
    DRILL_KIND_FREEZE_RANK: _ClassVar[DrillKind]
    DRILL_KIND_HANG_RANK: _ClassVar[DrillKind]
    DRILL_KIND_KILL_AGENT: _ClassVar[DrillKind]
    DRILL_KIND_LOSE_NODE: _ClassVar[DrillKind]

class DifferenceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIFFERENCE_KIND_UNSPECIFIED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_VANISHED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_STRAY: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_LEFT_OVER: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_FILE_CHANGED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_SURVEY_FAILED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_NOT_LISTED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_UNTOLD: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_BEHIND: _ClassVar[DifferenceKind]

class CheckLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_LEVEL_UNSPECIFIED: _ClassVar[CheckLevel]
    CHECK_LEVEL_INSTANT: _ClassVar[CheckLevel]
    CHECK_LEVEL_LIGHT: _ClassVar[CheckLevel]

class CheckState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_STATE_UNSPECIFIED: _ClassVar[CheckState]
    CHECK_STATE_OK: _ClassVar[CheckState]
    CHECK_STATE_BAD: _ClassVar[CheckState]
    CHECK_STATE_UNKNOWN: _ClassVar[CheckState]
FAILURE_VERDICT_UNSPECIFIED: FailureVerdict
FAILURE_VERDICT_PROCESS: FailureVerdict
FAILURE_VERDICT_NODE: FailureVerdict
FAILURE_VERDICT_JOB: FailureVerdict
FAILURE_VERDICT_ABORT: FailureVerdict
GROW_WHEN_UNSPECIFIED: GrowWhen
GROW_WHEN_CHECKPOINT: GrowWhen
GROW_WHEN_NOW: GrowWhen
GROW_WHEN_NEVER: GrowWhen
PROGRESS_FROM_UNSPECIFIED: ProgressFrom
PROGRESS_FROM_PATTERN: ProgressFrom
PROGRESS_FROM_AUTO: ProgressFrom
CAUSE_KIND_UNSPECIFIED: CauseKind
CAUSE_KIND_LAUNCH: CauseKind
CAUSE_KIND_PORT_TAKEN: CauseKind
CAUSE_KIND_MISSING_SCRIPT: CauseKind
CAUSE_KIND_SYNTAX_ERROR: CauseKind
CAUSE_KIND_IMPORT_ERROR: CauseKind
CAUSE_KIND_EXCEPTION: CauseKind
CAUSE_KIND_SIGNAL: CauseKind
CAUSE_KIND_EXIT_CODE: CauseKind
CAUSE_KIND_PEER_LOST: CauseKind
CAUSE_KIND_NODE_LOST: CauseKind
CAUSE_KIND_VANISHED: CauseKind
CAUSE_KIND_START_TIMEOUT: CauseKind
CAUSE_KIND_STOPPED: CauseKind
CAUSE_KIND_REQUESTED: CauseKind
CAUSE_KIND_OUT_OF_MEMORY: CauseKind
CAUSE_KIND_DEVICE_LOST: CauseKind
CAUSE_KIND_NO_PATH: CauseKind
CAUSE_KIND_MISMATCH: CauseKind
CAUSE_KIND_CHECK_FAILED: CauseKind
CAUSE_KIND_PREEMPTED: CauseKind
CAUSE_KIND_HANG: CauseKind
CAUSE_KIND_DISK_FULL: CauseKind
CAUSE_KIND_DEVICE_ERROR: CauseKind
CAUSE_KIND_DEVICE_CRASH: CauseKind
CAUSE_KIND_DEVICE_OUT_OF_MEMORY: CauseKind
CAUSE_KIND_NETWORK: CauseKind
CAUSE_KIND_HOST_LIMIT: CauseKind
CAUSE_KIND_PERMISSION: CauseKind
CAUSE_KIND_BAD_ARGUMENTS: CauseKind
DRILL_KIND_UNSPECIFIED: DrillKind
DRILL_KIND_KILL_RANK: DrillKind
DRILL_KIND_FREEZE_RANK: DrillKind
DRILL_KIND_HANG_RANK: DrillKind
DRILL_KIND_KILL_AGENT: DrillKind
DRILL_KIND_LOSE_NODE: DrillKind
DIFFERENCE_KIND_UNSPECIFIED: DifferenceKind
DIFFERENCE_KIND_VANISHED: DifferenceKind
DIFFERENCE_KIND_STRAY: DifferenceKind
DIFFERENCE_KIND_LEFT_OVER: DifferenceKind
DIFFERENCE_KIND_FILE_CHANGED: DifferenceKind
DIFFERENCE_KIND_SURVEY_FAILED: DifferenceKind
DIFFERENCE_KIND_NOT_LISTED: DifferenceKind
DIFFERENCE_KIND_UNTOLD: DifferenceKind
DIFFERENCE_KIND_BEHIND: DifferenceKind
CHECK_LEVEL_UNSPECIFIED: CheckLevel
CHECK_LEVEL_INSTANT: CheckLevel
CHECK_LEVEL_LIGHT: CheckLevel
CHECK_STATE_UNSPECIFIED: CheckState
CHECK_STATE_OK: CheckState
CHECK_STATE_BAD: CheckState
CHECK_STATE_UNKNOWN: CheckState

class RoundKey(_message.Message):
    __slots__ = ("job", "role", "gang", "round")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    job: int
    role: str
    gang: int
    round: int
    def __init__(self, job: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ...) -> None: ...

class RankKey(_message.Message):
    __slots__ = ("job", "role", "gang", "round", "rank")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    job: int
    role: str
    gang: int
    round: int
    rank: int
    def __init__(self, job: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ..., rank: _Optional[int] = ...) -> None: ...

class User(_message.Message):
    __slots__ = ("uid", "gid", "name", "home", "groups")
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    uid: int
    gid: int
    name: str
    home: str
    groups: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, uid: _Optional[int] = ..., gid: _Optional[int] = ..., name: _Optional[str] = ..., home: _Optional[str] = ..., groups: _Optional[_Iterable[int]] = ...) -> None: ...

class RoleSpec(_message.Message):
    __slots__ = ("name", "argv", "cwd", "env", "gangs", "nodes_min", "nodes_max", "node_unit", "nproc_per_node", "restart_with", "resources", "spares", "require", "nodelist", "exclude", "spread", "apart_from", "together_with", "lease_s", "warm_spares", "secrets")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    GANGS_FIELD_NUMBER: _ClassVar[int]
    NODES_MIN_FIELD_NUMBER: _ClassVar[int]
    NODES_MAX_FIELD_NUMBER: _ClassVar[int]
    NODE_UNIT_FIELD_NUMBER: _ClassVar[int]
    NPROC_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    RESTART_WITH_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    SPARES_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FIELD_NUMBER: _ClassVar[int]
    NODELIST_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    APART_FROM_FIELD_NUMBER: _ClassVar[int]
    TOGETHER_WITH_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    WARM_SPARES_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    name: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    cwd: str
    env: _containers.ScalarMap[str, str]
    gangs: int
    nodes_min: int
    nodes_max: int
    node_unit: int
    nproc_per_node: int
    restart_with: _containers.RepeatedScalarFieldContainer[str]
    resources: Resources
    spares: int
    require: _containers.RepeatedScalarFieldContainer[str]
    nodelist: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    spread: str
    apart_from: _containers.RepeatedScalarFieldContainer[str]
    together_with: _containers.RepeatedScalarFieldContainer[str]
    lease_s: float
    warm_spares: bool
    secrets: _containers.RepeatedCompositeFieldContainer[Secret]
    def __init__(self, name: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ..., cwd: _Optional[str] = ..., env: _Optional[_Mapping[str, str]] = ..., gangs: _Optional[int] = ..., nodes_min: _Optional[int] = ..., nodes_max: _Optional[int] = ..., node_unit: _Optional[int] = ..., nproc_per_node: _Optional[int] = ..., restart_with: _Optional[_Iterable[str]] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., spares: _Optional[int] = ..., require: _Optional[_Iterable[str]] = ..., nodelist: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ..., spread: _Optional[str] = ..., apart_from: _Optional[_Iterable[str]] = ..., together_with: _Optional[_Iterable[str]] = ..., lease_s: _Optional[float] = ..., warm_spares: _Optional[bool] = ..., secrets: _Optional[_Iterable[_Union[Secret, _Mapping]]] = ...) -> None: ...

class Secret(_message.Message):
    __slots__ = ("name", "file", "credential")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    file: str
    credential: str
    def __init__(self, name: _Optional[str] = ..., file: _Optional[str] = ..., credential: _Optional[str] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("memory_bytes", "tasks_max", "cpus", "numa_nodes", "oom_score_adjust")
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    TASKS_MAX_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    NUMA_NODES_FIELD_NUMBER: _ClassVar[int]
    OOM_SCORE_ADJUST_FIELD_NUMBER: _ClassVar[int]
    memory_bytes: int
    tasks_max: int
    cpus: str
    numa_nodes: str
    oom_score_adjust: int
    def __init__(self, memory_bytes: _Optional[int] = ..., tasks_max: _Optional[int] = ..., cpus: _Optional[str] = ..., numa_nodes: _Optional[str] = ..., oom_score_adjust: _Optional[int] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("name", "user", "roles", "run_id", "max_restarts", "restart_window_s", "time_limit_s", "start_timeout_s", "queue_timeout_s", "restart_grace_s", "cancel_grace_s", "progress_pattern", "allow_mismatch", "priority", "project", "preempt_grace_s", "grow", "replace_wait_s", "checkpoint_pattern", "notice_signal", "on_failure", "no_progress_restarts", "progress", "checkpoint_interval_s", "checkpoint_memory_bytes", "check", "hang", "hang_budgets")
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_RESTARTS_FIELD_NUMBER: _ClassVar[int]
    RESTART_WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    RESTART_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    CANCEL_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PATTERN_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISMATCH_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    PREEMPT_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    GROW_FIELD_NUMBER: _ClassVar[int]
    REPLACE_WAIT_S_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_PATTERN_FIELD_NUMBER: _ClassVar[int]
    NOTICE_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    NO_PROGRESS_RESTARTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    HANG_FIELD_NUMBER: _ClassVar[int]
    HANG_BUDGETS_FIELD_NUMBER: _ClassVar[int]
    name: str
    user: User
    roles: _containers.RepeatedCompositeFieldContainer[RoleSpec]
    run_id: str
    max_restarts: int
    restart_window_s: float
    time_limit_s: float
    start_timeout_s: float
    queue_timeout_s: float
    restart_grace_s: float
    cancel_grace_s: float
    progress_pattern: str
    allow_mismatch: bool
    priority: int
    project: str
    preempt_grace_s: float
    grow: GrowWhen
    replace_wait_s: float
    checkpoint_pattern: str
    notice_signal: str
    on_failure: _containers.RepeatedCompositeFieldContainer[FailureRule]
    no_progress_restarts: int
    progress: ProgressFrom
    checkpoint_interval_s: float
    checkpoint_memory_bytes: int
    check: str
    hang: str
    hang_budgets: _containers.RepeatedCompositeFieldContainer[PhaseBudget]
    def __init__(self, name: _Optional[str] = ..., user: _Optional[_Union[User, _Mapping]] = ..., roles: _Optional[_Iterable[_Union[RoleSpec, _Mapping]]] = ..., run_id: _Optional[str] = ..., max_restarts: _Optional[int] = ..., restart_window_s: _Optional[float] = ..., time_limit_s: _Optional[float] = ..., start_timeout_s: _Optional[float] = ..., queue_timeout_s: _Optional[float] = ..., restart_grace_s: _Optional[float] = ..., cancel_grace_s: _Optional[float] = ..., progress_pattern: _Optional[str] = ..., allow_mismatch: _Optional[bool] = ..., priority: _Optional[int] = ..., project: _Optional[str] = ..., preempt_grace_s: _Optional[float] = ..., grow: _Optional[_Union[GrowWhen, str]] = ..., replace_wait_s: _Optional[float] = ..., checkpoint_pattern: _Optional[str] = ..., notice_signal: _Optional[str] = ..., on_failure: _Optional[_Iterable[_Union[FailureRule, _Mapping]]] = ..., no_progress_restarts: _Optional[int] = ..., progress: _Optional[_Union[ProgressFrom, str]] = ..., checkpoint_interval_s: _Optional[float] = ..., checkpoint_memory_bytes: _Optional[int] = ..., check: _Optional[str] = ..., hang: _Optional[str] = ..., hang_budgets: _Optional[_Iterable[_Union[PhaseBudget, _Mapping]]] = ...) -> None: ...

class PhaseBudget(_message.Message):
    __slots__ = ("phase", "seconds")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    phase: str
    seconds: float
    def __init__(self, phase: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class FailureRule(_message.Message):
    __slots__ = ("verdict", "exit_codes", "signals", "exceptions", "outputs", "kinds", "free")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODES_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    EXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    verdict: FailureVerdict
    exit_codes: _containers.RepeatedScalarFieldContainer[int]
    signals: _containers.RepeatedScalarFieldContainer[int]
    exceptions: _containers.RepeatedScalarFieldContainer[str]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    free: bool
    def __init__(self, verdict: _Optional[_Union[FailureVerdict, str]] = ..., exit_codes: _Optional[_Iterable[int]] = ..., signals: _Optional[_Iterable[int]] = ..., exceptions: _Optional[_Iterable[str]] = ..., outputs: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[str]] = ..., free: _Optional[bool] = ...) -> None: ...

class JobDescriptor(_message.Message):
    __slots__ = ("job", "spec")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    job: int
    spec: JobSpec
    def __init__(self, job: _Optional[int] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("uuid", "model", "memory_bytes", "serial")
    UUID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    model: str
    memory_bytes: int
    serial: str
    def __init__(self, uuid: _Optional[str] = ..., model: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., serial: _Optional[str] = ...) -> None: ...

class NodeFacts(_message.Message):
    __slots__ = ("hostname", "address", "cpus", "memory_bytes", "slots", "devices", "port_low", "port_high", "agent_version", "addresses", "peer_port", "keeps_leases", "labels", "makes_checkups")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    PORT_LOW_FIELD_NUMBER: _ClassVar[int]
    PORT_HIGH_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    PEER_PORT_FIELD_NUMBER: _ClassVar[int]
    KEEPS_LEASES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MAKES_CHECKUPS_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    address: str
    cpus: int
    memory_bytes: int
    slots: int
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    port_low: int
    port_high: int
    agent_version: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    peer_port: int
    keeps_leases: bool
    labels: _containers.ScalarMap[str, str]
    makes_checkups: bool
    def __init__(self, hostname: _Optional[str] = ..., address: _Optional[str] = ..., cpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., slots: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., port_low: _Optional[int] = ..., port_high: _Optional[int] = ..., agent_version: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., peer_port: _Optional[int] = ..., keeps_leases: _Optional[bool] = ..., labels: _Optional[_Mapping[str, str]] = ..., makes_checkups: _Optional[bool] = ...) -> None: ...

class ErrorReport(_message.Message):
    __slots__ = ("source", "type", "message", "file", "line", "text")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    source: str
    type: str
    message: str
    file: str
    line: int
    text: str
    def __init__(self, source: _Optional[str] = ..., type: _Optional[str] = ..., message: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ExitInfo(_message.Message):
    __slots__ = ("exited_at", "code", "signal", "requested", "launch_error", "lost", "step", "error", "output_tail", "result")
    EXITED_AT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ERROR_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TAIL_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    exited_at: float
    code: int
    signal: int
    requested: bool
    launch_error: str
    lost: str
    step: int
    error: ErrorReport
    output_tail: str
    result: str
    def __init__(self, exited_at: _Optional[float] = ..., code: _Optional[int] = ..., signal: _Optional[int] = ..., requested: _Optional[bool] = ..., launch_error: _Optional[str] = ..., lost: _Optional[str] = ..., step: _Optional[int] = ..., error: _Optional[_Union[ErrorReport, _Mapping]] = ..., output_tail: _Optional[str] = ..., result: _Optional[str] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("kind", "rule", "sentence", "rank", "node", "exit", "remedy", "device")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    kind: CauseKind
    rule: str
    sentence: str
    rank: RankKey
    node: str
    exit: ExitInfo
    remedy: str
    device: str
    def __init__(self, kind: _Optional[_Union[CauseKind, str]] = ..., rule: _Optional[str] = ..., sentence: _Optional[str] = ..., rank: _Optional[_Union[RankKey, _Mapping]] = ..., node: _Optional[str] = ..., exit: _Optional[_Union[ExitInfo, _Mapping]] = ..., remedy: _Optional[str] = ..., device: _Optional[str] = ...) -> None: ...

class LogChunk(_message.Message):
    __slots__ = ("role", "gang", "round", "rank", "node", "offset", "data", "gap_bytes", "eof")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    GAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    EOF_FIELD_NUMBER: _ClassVar[int]
    role: str
    gang: int
    round: int
    rank: int
    node: str
    offset: int
    data: bytes
    gap_bytes: int
    eof: bool
    def __init__(self, role: _Optional[str] = ..., gang: _Optional[int] = ..., round: _Optional[int] = ..., rank: _Optional[int] = ..., node: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., gap_bytes: _Optional[int] = ..., eof: _Optional[bool] = ...) -> None: ...

class LogFailed(_message.Message):
    __slots__ = ("node", "sentence", "passing")
    NODE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    PASSING_FIELD_NUMBER: _ClassVar[int]
    node: str
    sentence: str
    passing: bool
    def __init__(self, node: _Optional[str] = ..., sentence: _Optional[str] = ..., passing: _Optional[bool] = ...) -> None: ...

class LogSource(_message.Message):
    __slots__ = ("rank", "from_offset")
    RANK_FIELD_NUMBER: _ClassVar[int]
    FROM_OFFSET_FIELD_NUMBER: _ClassVar[int]
    rank: RankKey
    from_offset: int
    def __init__(self, rank: _Optional[_Union[RankKey, _Mapping]] = ..., from_offset: _Optional[int] = ...) -> None: ...

class KernelWindow(_message.Message):
    __slots__ = ("since", "until")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    since: float
    until: float
    def __init__(self, since: _Optional[float] = ..., until: _Optional[float] = ...) -> None: ...

class KernelLine(_message.Message):
    __slots__ = ("at", "priority", "text")
    AT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at: float
    priority: int
    text: str
    def __init__(self, at: _Optional[float] = ..., priority: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class KernelLog(_message.Message):
    __slots__ = ("node", "window", "lines", "cut", "problem")
    NODE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    node: str
    window: KernelWindow
    lines: _containers.RepeatedCompositeFieldContainer[KernelLine]
    cut: bool
    problem: str
    def __init__(self, node: _Optional[str] = ..., window: _Optional[_Union[KernelWindow, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[KernelLine, _Mapping]]] = ..., cut: _Optional[bool] = ..., problem: _Optional[str] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("kind", "what", "mended", "at")
    KIND_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    MENDED_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    kind: DifferenceKind
    what: str
    mended: str
    at: float
    def __init__(self, kind: _Optional[_Union[DifferenceKind, str]] = ..., what: _Optional[str] = ..., mended: _Optional[str] = ..., at: _Optional[float] = ...) -> None: ...

class Figure(_message.Message):
    __slots__ = ("name", "value", "worse")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WORSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    worse: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., worse: _Optional[str] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("check", "level", "state", "sentence", "figures", "facts", "took_s", "of_job", "at")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CHECK_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    TOOK_S_FIELD_NUMBER: _ClassVar[int]
    OF_JOB_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    check: str
    level: CheckLevel
    state: CheckState
    sentence: str
    figures: _containers.RepeatedCompositeFieldContainer[Figure]
    facts: _containers.ScalarMap[str, str]
    took_s: float
    of_job: bool
    at: float
    def __init__(self, check: _Optional[str] = ..., level: _Optional[_Union[CheckLevel, str]] = ..., state: _Optional[_Union[CheckState, str]] = ..., sentence: _Optional[str] = ..., figures: _Optional[_Iterable[_Union[Figure, _Mapping]]] = ..., facts: _Optional[_Mapping[str, str]] = ..., took_s: _Optional[float] = ..., of_job: _Optional[bool] = ..., at: _Optional[float] = ...) -> None: ...

class RankStack(_message.Message):
    __slots__ = ("key", "node", "problem", "processes", "positions")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    key: RankKey
    node: str
    problem: str
    processes: _containers.RepeatedCompositeFieldContainer[ProcessStack]
    positions: _containers.RepeatedCompositeFieldContainer[GroupPosition]
    def __init__(self, key: _Optional[_Union[RankKey, _Mapping]] = ..., node: _Optional[str] = ..., problem: _Optional[str] = ..., processes: _Optional[_Iterable[_Union[ProcessStack, _Mapping]]] = ..., positions: _Optional[_Iterable[_Union[GroupPosition, _Mapping]]] = ...) -> None: ...

class GroupPosition(_message.Message):
    __slots__ = ("group", "backend", "about", "begun", "open", "call", "of")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    group: str
    backend: str
    about: str
    begun: int
    open: int
    call: str
    of: str
    def __init__(self, group: _Optional[str] = ..., backend: _Optional[str] = ..., about: _Optional[str] = ..., begun: _Optional[int] = ..., open: _Optional[int] = ..., call: _Optional[str] = ..., of: _Optional[str] = ...) -> None: ...

class ProcessStack(_message.Message):
    __slots__ = ("pid", "state", "wchan", "problem", "looks", "threads")
    PID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WCHAN_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    LOOKS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    state: str
    wchan: str
    problem: str
    looks: int
    threads: _containers.RepeatedCompositeFieldContainer[ThreadStack]
    def __init__(self, pid: _Optional[int] = ..., state: _Optional[str] = ..., wchan: _Optional[str] = ..., problem: _Optional[str] = ..., looks: _Optional[int] = ..., threads: _Optional[_Iterable[_Union[ThreadStack, _Mapping]]] = ...) -> None: ...

class ThreadStack(_message.Message):
    __slots__ = ("tid", "name", "cpu_ratio", "moved", "frames")
    TID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CPU_RATIO_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    tid: int
    name: str
    cpu_ratio: float
    moved: int
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    def __init__(self, tid: _Optional[int] = ..., name: _Optional[str] = ..., cpu_ratio: _Optional[float] = ..., moved: _Optional[int] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("function", "file", "line", "native")
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FIELD_NUMBER: _ClassVar[int]
    function: str
    file: str
    line: int
    native: bool
    def __init__(self, function: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., native: _Optional[bool] = ...) -> None: ...
