"""What a user asks for, with every default already filled in, and the states it goes through."""

from dataclasses import dataclass, field
from enum import StrEnum

# `step 12`, `step: 12`, `step=12`, `iteration 12/500` (Megatron's form), `global_step 12`.
DEFAULT_PROGRESS_PATTERN = r"(?i)\b(?:global_)?(?:step|iter|iteration)\b\s*[:=#]?\s*(\d+)"


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    PLACING = "placing"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing follows it."""
        return self in FINAL_JOB_STATES


FINAL_JOB_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


class GangState(StrEnum):
    """Where a gang's current world is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUCCEEDED = "succeeded"


class RankState(StrEnum):
    """Where a rank is; `exited` is its main process, `gone` its whole tree, verified by the agent."""

    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom a job runs as."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the ranks of one role may take of a node, together; 0 and "" limit nothing.

    `memory_bytes` and `tasks_max` are limits of the kernel's, `cpus` and `numa_nodes` lists such as "0-7,16";
    `oom_score_adjust` (-1000 to 1000) is each process's. Carried out by the systemd launcher alone.
    """

    memory_bytes: int = 0
    tasks_max: int = 0
    cpus: str = ""
    numa_nodes: str = ""
    oom_score_adjust: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """One kind of process within a job.

    `argv` is complete (interpreter, its options, script, arguments) and absolute in its first word.
    `nodes_min..nodes_max` counts nodes of one gang, in multiples of `node_unit`; each runs `nproc_per_node` ranks.
    `restart_with` names the roles whose restart this one joins; `("*",)` is all of them.
    """

    name: str = "trainer"
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = field(default_factory=dict)
    gangs: int = 1
    nodes_min: int = 1
    nodes_max: int = 1
    node_unit: int = 1
    nproc_per_node: int = 1
    restart_with: tuple[str, ...] = ("*",)
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as submitted, resolved: nothing about it is looked up anywhere later.

    Durations are in seconds; `time_limit_s` 0 means none. `max_restarts` counts restarts that a fault of
    the job itself costs, within a sliding window of `restart_window_s`. `progress_pattern` is a regular
    expression with one group, the step, that finds progress in the output of a script that knows nothing of us.
    `allow_mismatch`: start it even where its nodes have different code.
    `run_id` becomes TORCHELASTIC_RUN_ID; empty means that the daemon makes one that no other job has.
    """

    name: str
    user: User
    roles: tuple[RoleSpec, ...]
    run_id: str = ""
    max_restarts: int = 3
    restart_window_s: float = 3600.0
    time_limit_s: float = 0.0
    start_timeout_s: float = 60.0
    queue_timeout_s: float = 604800.0
    restart_grace_s: float = 1.0
    cancel_grace_s: float = 30.0
    progress_pattern: str = DEFAULT_PROGRESS_PATTERN
    allow_mismatch: bool = False

    def role(self, name: str) -> RoleSpec:
        """Find a role; KeyError if the job has none of that name."""
        for role in self.roles:
            if role.name == name:
                return role
        raise KeyError(name)
