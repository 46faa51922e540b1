"""What a user asks for, with every default already filled in, and the states it goes through."""

from dataclasses import dataclass, field
from enum import StrEnum

# `step 12`, `step: 12`, `step=12`, `iteration 12/500` (Megatron's form), `global_step 12`.
DEFAULT_PROGRESS_PATTERN = r"(?i)\b(?:global_)?(?:step|iter|iteration)\b\s*[:=#]?\s*(\d+)"
# `saved checkpoint at step 12`, `successfully saved checkpoint from iteration 500` (Megatron's form).
DEFAULT_CHECKPOINT_PATTERN = r"(?i)\bsaved checkpoint\b.*?\b(?:step|iter|iteration)\b\s*[:=#]?\s*(\d+)"


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    PLACING = "placing"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    SUSPENDED = "suspended"
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


class GrowWhen(StrEnum):
    """When a job that runs on fewer nodes than it may takes more."""

    CHECKPOINT = "checkpoint"
    NOW = "now"
    NEVER = "never"


class ProgressFrom(StrEnum):
    """Where the training step of a rank is known from if the rank does not tell it."""

    PATTERN = "pattern"
    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom a job runs as, and who that is where it was submitted; `home` "" where that is not known."""

    uid: int
    gid: int
    name: str
    home: str = ""
    groups: tuple[int, ...] = ()


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
class Secret:
    """Where the value of the environment's `name` is on a node: in a file of the user's, or a credential left for them.

    It is read by the rank itself as it begins: no one else of us, and no log, ever has the value.
    """

    name: str
    file: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """One kind of process within a job.

    `argv` is complete (interpreter, its options, script, arguments) and absolute in its first word.
    `nodes_min..nodes_max` counts nodes of one gang, in multiples of `node_unit`; each runs `nproc_per_node` ranks.
    `restart_with` names the roles whose restart this one joins; `("*",)` is all of them. `lease_s`: its ranks end once
    the daemon has not heard of their node for so long, so that a new world need not wait for the node's return; 0:
    they go on, and the old world is over when its collective group is. `spares` more nodes are
    kept for it, and run nothing until one of its nodes is lost. `warm_spares`: beside each of its ranks a process waits
    that has imported what the rank has, for the next round on the same node.

    Where it goes: `require` are constraints on a node's labels (`label`, `label=value`, `!label`, `label!=value`,
    `device=PATTERN`), `nodelist` the only nodes it may have ("" of them: any), `exclude` nodes it must not have;
    `spread` a kind of domain (rack, switch ...) over which its nodes are taken evenly; `apart_from` and
    `together_with` roles whose nodes it must not or must share.
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
    spares: int = 0
    require: tuple[str, ...] = ()
    nodelist: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    spread: str = ""
    apart_from: tuple[str, ...] = ()
    together_with: tuple[str, ...] = ()
    lease_s: float = 0.0
    warm_spares: bool = True
    secrets: tuple[Secret, ...] = ()


class FailureVerdict(StrEnum):
    """What a user's rule has follow: ranks restart in place, on another node, the whole job restarts, or it fails."""

    PROCESS = "process"
    NODE = "node"
    JOB = "job"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRule:
    """One line of a user's own policy. It matches a root cause if all that it names does; () names nothing.

    `exit_codes` and `signals` are numbers, `exceptions` class names with or without their module, `outputs` texts that
    stand in one line of the rank's last words, `kinds` are CauseKind values; `*` in the middle two is any text.
    `free`: a restart by this rule costs the job's budget nothing.
    """

    verdict: FailureVerdict
    exit_codes: tuple[int, ...] = ()
    signals: tuple[int, ...] = ()
    exceptions: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    free: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseBudget:
    """How long a gang may make no step in one phase (model/hang.py)."""

    phase: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as submitted, resolved: nothing about it is looked up anywhere later.

    Durations are in seconds; `time_limit_s` 0 means none. `max_restarts` counts restarts that a fault of
    the job itself costs, within a sliding window of `restart_window_s`. `progress_pattern` is a regular
    expression with one group, the step, that finds progress in the output of a script that knows nothing of us;
    with `progress` AUTO the optimizer steps of torch are counted besides, and win over it.
    `allow_mismatch`: start it even where its nodes have different code. `check`: its nodes pass node checks, to this
    level (`CheckLevel`), before it starts on them; "": what they passed before will do.
    `priority`: a higher one is placed first, and may have lower ones stopped for it; `project` is who pays (quotas).
    `preempt_grace_s` follows the TERM by which a job makes room. `grow`: when it takes more nodes, up to `nodes_max`;
    after losing some it waits up to `replace_wait_s` for ones that are coming before it goes on with fewer.
    `checkpoint_pattern` finds the step of a complete checkpoint in the output; `notice_signal` (a name such as USR1, ""
    for none) tells the ranks that a stop is planned. `checkpoint_interval_s` is how often a script that asks is told to
    save: 0 has it worked out (core/interval.py), -1 never.
    `on_failure` is the user's own policy, the first rule that matches counts. After `no_progress_restarts` restarts in
    a row that got no further than the best before them the job fails; 0 never does that.
    `checkpoint_memory_bytes` of each node are set aside for the checkpoints of all its ranks there; 0: none.
    `hang` is an AutomationStage, for when it makes no steps, or "off"; "": the fleet's. `hang_budgets` are how long it
    may make none, where that is not learnt.
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
    check: str = ""
    on_failure: tuple[FailureRule, ...] = ()
    no_progress_restarts: int = 5
    priority: int = 0
    project: str = ""
    preempt_grace_s: float = 60.0
    grow: GrowWhen = GrowWhen.CHECKPOINT
    replace_wait_s: float = 60.0
    checkpoint_pattern: str = DEFAULT_CHECKPOINT_PATTERN
    notice_signal: str = ""
    progress: ProgressFrom = ProgressFrom.PATTERN
    checkpoint_interval_s: float = 0.0
    checkpoint_memory_bytes: int = 0
    hang: str = ""
    hang_budgets: tuple[PhaseBudget, ...] = ()

    def role(self, name: str) -> RoleSpec:
        """Find a role; KeyError if the job has none of that name."""
        for role in self.roles:
            if role.name == name:
                return role
        raise KeyError(name)
