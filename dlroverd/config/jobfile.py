"""The job file: what a user may ask for, before anything is looked up on the host it is submitted from.

`run` and `submit` make the same JobFile from their flags, so both are resolved in one place (`resolve.py`).
"""

import re
import signal
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from dlroverd.config.document import Document
from dlroverd.config.durations import shown
from dlroverd.config.failure_rules import FailureRuleFile
from dlroverd.config.hangs import HangFile
from dlroverd.config.resources import ResourcesFile
from dlroverd.config.schema import (
    MAX_COUNT,
    Count,
    Duration,
    Interval,
    Name,
    Size,
    Text,
    check_name,
    limit,
    setting,
)
from dlroverd.config.secrets import SecretFile
from dlroverd.config.validation import validate
from dlroverd.config.where import WhereFile, disagreement
from dlroverd.model.checkup import CheckLevel
from dlroverd.model.job import GrowWhen, JobSpec, ProgressFrom, RoleSpec, User

# The defaults live in the model; these two only carry them here.
_JOB = JobSpec(name="", user=User(uid=0, gid=0, name=""), roles=())
_ROLE = RoleSpec(argv=(), cwd="")
_COUNT = r"[1-9]\d{0,6}"

Nproc: TypeAlias = int | Literal["gpu", "cpu", "auto"]


def parse_nodes(value: object) -> tuple[int, int]:
    """Read N or MIN:MAX; ValueError, with what is wrong, if it is neither."""
    match = re.fullmatch(rf"({_COUNT})(?::({_COUNT}))?", str(value))
    if isinstance(value, tuple):
        low, high = value
    elif match:
        low, high = int(match[1]), int(match[2] or match[1])
    else:
        raise ValueError(f"must be a number of nodes or MIN:MAX, both from 1, such as 4 or 2:4, not {shown(value)}")
    if low > high:
        raise ValueError(f"the minimum of {low}:{high} is above its maximum; use {high}:{low}")
    if high > MAX_COUNT:
        raise ValueError(f"must be at most {MAX_COUNT}, not {high}")
    return low, high


def _nproc(value: object) -> Nproc:
    if value in ("gpu", "cpu", "auto"):
        return value
    if re.fullmatch(_COUNT, str(value)) and int(str(value)) <= MAX_COUNT:
        return int(str(value))
    raise ValueError(f"must be a number from 1, gpu, cpu or auto, not {shown(value)}")


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}; correct {shown(value)}") from None
    if groups != 1:
        raise ValueError(f"must have one group, the step, such as `step (\\d+)`, not {groups} in {shown(value)}")
    return value


def _signal(value: str) -> str:
    name = value.upper().removeprefix("SIG")
    if name in ("KILL", "STOP") or (name and f"SIG{name}" not in signal.Signals.__members__):
        raise ValueError(f"must be a signal that a script can handle, by name, such as USR1, not {shown(value)}")
    return name


def _env_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(
            f"an environment name has letters, digits and _ and begins with no digit, unlike {shown(value)}"
        )
    return value


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL character; drop it")
    return value


NodeRange = Annotated[
    tuple[int, int],
    PlainValidator(parse_nodes),
    PlainSerializer(lambda nodes: f"{nodes[0]}:{nodes[1]}", when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "pattern": rf"^{_COUNT}(:{_COUNT})?$", "minimum": 1}),
]
NprocPerNode = Annotated[
    Nproc,
    PlainValidator(_nproc),
    WithJsonSchema({"type": ["string", "integer"], "pattern": rf"^({_COUNT}|gpu|cpu|auto)$", "minimum": 1}),
]
Argument = Annotated[Text, AfterValidator(_without_nul)]
Label = Annotated[str, AfterValidator(lambda value: value and check_name(value))]
EnvName = Annotated[str, AfterValidator(_env_name)]


class RoleFile(WhereFile):
    """One role: what runs, and where."""

    script: Argument = setting("", "a Python script, from the working directory", example="train.py")
    module: Argument = setting("", "a Python module, run as python -m", example="pkg.train")
    command: Argument = setting("", "any other program: a path, or a name in PATH", example="./train.sh")
    args: list[Argument] = setting([], "its arguments", example="[--lr, 3e-4]")
    python: Argument = setting(
        "",
        "the interpreter; else that of $VIRTUAL_ENV, else that of the virtual environment dlroverctl is in if torch is "
        "there too, else python3 or python in PATH",
        example="/opt/env/bin/python",
    )
    workdir: Argument = setting("", "the working directory; else the one you submit from", example="/data/run")
    env: dict[EnvName, Argument | None] = setting(
        {}, "environment; a name without a value takes yours", example="{NCCL_DEBUG: INFO, HF_TOKEN: }"
    )
    secrets: dict[EnvName, SecretFile] = setting(
        {},
        "names in the environment whose values each rank reads on its node, as you (docs/secrets.md)",
        example="{HF_TOKEN: {file: ~/.hf_token}}",
    )
    nnodes: NodeRange = setting((1, 1), "nodes of one gang, as N or MIN:MAX", example="2:4")
    node_unit: Count = Field(1, ge=1, description="nodes come and go in multiples of it", examples=["2"])
    nproc_per_node: NprocPerNode = setting(
        1, "ranks on each node; gpu, cpu and auto count those of the host you submit from", example="8"
    )
    resources: ResourcesFile = setting(
        ResourcesFile(), "limits and places of its ranks on a node", example="{memory: 500GiB, cpus: 0-31}"
    )
    fence: Literal["collective", "lease"] = setting(
        "collective",
        "what keeps ranks on a lost node from going on beside new ones: their collective group, or a lease, for ranks "
        "that do things outside of it",
        example="lease",
    )
    lease: Duration = limit(
        30.0,
        "with `fence: lease`, how long ranks may run without the daemon hearing of their node",
        fires="the ranks on that node are killed, and the job may go on elsewhere",
        example="30s",
        gt=0,
    )
    gangs: Count = Field(1, ge=1, description="how many such worlds the role has", examples=["1"])
    spares: Count = Field(
        _ROLE.spares,
        ge=0,
        description="nodes kept for each gang beside its own; one takes the place of a node that is lost",
        examples=["1"],
    )
    warm_spares: bool = setting(
        _ROLE.warm_spares,
        "keep a process for each rank that has imported what the rank has, so that a restart in place is quick "
        "(docs/warm-spares.md)",
        example="false",
    )
    restart_with: list[Text] = setting(["*"], "roles whose restart this one joins; '*' is all", example="[trainer]")

    @field_validator("node_unit")
    @classmethod
    def _divides(cls, unit: int, info: ValidationInfo) -> int:
        low, high = info.data.get("nnodes", (unit, unit))
        if low % unit or high % unit:
            raise ValueError(f"{unit} does not divide nnodes {low}:{high}; use {_legal_ranges(low, high, unit)}")
        return unit


class JobFile(RoleFile):
    """The whole file: a job of one role written flat, or of several under `roles`."""

    name: Label = setting("", "a label; else made from what runs", example="digits")
    role: Name = setting(_ROLE.name, "the role's name, ROLE_NAME in its ranks", example="trainer")
    roles: dict[Name, RoleFile] = setting(
        {}, "several roles by name, each with the keys of a role", example="{trainer: {script: train.py}}"
    )
    run_id: Argument = setting(_JOB.run_id, "TORCHELASTIC_RUN_ID; else made from the job's id", example="exp7")
    max_restarts: Count = Field(
        _JOB.max_restarts,
        ge=0,
        description="restarts its own faults may cost within restart_window (torchrun's default is 0)",
        examples=["3"],
    )
    restart_window: Duration = limit(
        _JOB.restart_window_s,
        "the sliding window in which restarts are counted",
        fires="a restart that old no longer counts against max_restarts",
        example="1h",
        gt=0,
    )
    time_limit: Duration = limit(
        _JOB.time_limit_s,
        "how long the job may run, from its first start; 0s is no limit",
        fires="the job fails, naming this limit; its ranks are told as long before as preempt_grace is",
        example="12h",
    )
    start_timeout: Duration = limit(
        _JOB.start_timeout_s,
        "how long all ranks of a world may take to be started",
        fires="the world is stopped and started anew, which counts as a restart",
        example="60s",
        gt=0,
    )
    queue_timeout: Duration = limit(
        _JOB.queue_timeout_s,
        "how long the job may wait for nodes",
        fires="the job fails, saying what it waited for",
        example="7d",
        gt=0,
    )
    restart_grace: Duration = limit(
        _JOB.restart_grace_s,
        "from TERM to KILL when ranks are stopped for a restart",
        fires="what is left of the ranks is killed",
        example="1s",
    )
    cancel_grace: Duration = limit(
        _JOB.cancel_grace_s,
        "from TERM to KILL when the job is cancelled",
        fires="what is left of the ranks is killed",
        example="30s",
    )
    progress_pattern: Annotated[Text, AfterValidator(_pattern)] = setting(
        _JOB.progress_pattern,
        "finds the training step in the ranks' output: a regular expression with one group",
        example=r"step (\d+)",
    )
    progress: ProgressFrom = setting(
        _JOB.progress,
        "where the training step is known from: `auto` counts the steps of torch's optimizers, in an unchanged script",
        example="auto",
    )
    checkpoint_pattern: Annotated[Text, AfterValidator(_pattern)] = setting(
        _JOB.checkpoint_pattern,
        "finds the step of a complete checkpoint in the ranks' output: a regular expression with one group",
        example=r"checkpoint (\d+) is complete",
    )
    checkpoint_memory: Size = setting(
        _JOB.checkpoint_memory_bytes,
        "memory of each node that is set aside for the checkpoints of all its ranks (docs/checkpoints.md); 0 is none",
        example="64GiB",
    )
    priority: Count = Field(
        _JOB.priority,
        ge=-MAX_COUNT,
        description="a higher one is placed first, and may have lower ones stopped for it",
        examples=["10"],
    )
    project: Label = setting(_JOB.project, "who pays: quotas may be set for it", example="vision")
    grow: GrowWhen = setting(
        _JOB.grow,
        "when a job that runs on fewer nodes than it may takes more; one that tells of no checkpoint waits for ever",
        example="checkpoint",
    )
    replace_wait: Duration = limit(
        _JOB.replace_wait_s,
        "how long a job that lost nodes waits for ones that are coming, rather than go on with fewer",
        fires="the job goes on with as many nodes as there are, if its range allows that",
        example="60s",
    )
    preempt_grace: Duration = limit(
        _JOB.preempt_grace_s,
        "from TERM to KILL when the job makes room, moves, is suspended or scaled, and has made no checkpoint for it",
        fires="what is left of the ranks is killed",
        example="60s",
    )
    notice_signal: Annotated[Text, AfterValidator(_signal)] = setting(
        _JOB.notice_signal,
        "sent to each rank when such a stop is planned, before it begins; the script must handle it",
        example="USR1",
    )
    checkpoint_interval: Interval = setting(
        _JOB.checkpoint_interval_s,
        "how often a script that asks (dlroverd_train.should_checkpoint) is told to save; auto works it out, or never",
        example="10m",
    )
    on_failure: list[FailureRuleFile] = setting(
        [],
        "your own rules for failures; the first that matches the root cause counts, else docs/failures.md",
        example="[{exit_code: 3, verdict: abort}]",
    )
    no_progress_restarts: Count = Field(
        _JOB.no_progress_restarts,
        ge=0,
        description="after so many restarts in a row that got no further than the best step the job fails; 0 never",
        examples=["5"],
    )
    hangs: HangFile = setting(HangFile(), "what follows when it makes no steps", example="{stage: act, step: 2m}")
    allow_mismatch: bool = setting(
        _JOB.allow_mismatch, "start even if interpreter, packages or script differ between its nodes", example="true"
    )
    check: CheckLevel | None = setting(
        None, "its nodes pass node checks of this level first (see docs/checks.md)", example="instant"
    )

    @model_validator(mode="after")
    def _flat_or_roles(self) -> Self:
        """Refuse a role's keys beside `roles`: it would be open which role they mean."""
        of_a_role = (*RoleFile.model_fields, "role")
        flat = [key for key in of_a_role if key in self.model_fields_set]
        if self.roles and flat:
            raise ValueError(f"{flat[0]} belongs inside a role when roles is given; move it there")
        names = [*(self.roles or [self.role])]
        for path, role in self.named_roles():
            for name in role.restart_with:
                if name not in (*names, "*"):
                    key = ".".join([*path, "restart_with"])
                    raise ValueError(f"{key} names '{name}', which is no role of the job; use {', '.join(names)}, *")
            key, problem = disagreement(path[-1] if path else self.role, role, names)
            if problem:
                raise ValueError(f"{'.'.join([*path, key])} {problem}")
        return self

    def named_roles(self) -> list[tuple[tuple[str, ...], RoleFile]]:
        """List the roles with the path of each in the file, () for the flat form."""
        return [(("roles", name), role) for name, role in self.roles.items()] or [((), self)]


@dataclass(frozen=True, slots=True)
class JobDraft:
    """A checked job file beside the document it came from, so that later refusals name their place too."""

    job: JobFile
    document: Document


def draft(document: Document) -> JobDraft:
    """Check a job file or a command line's flags; ConfigError with a sentence for each thing wrong."""
    return JobDraft(validate(document, JobFile), document)


def json_schema() -> dict[str, Any]:
    """The job file's JSON schema (2020-12), for editors and other tools."""
    schema = JobFile.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "dlroverd job file"}


def _legal_ranges(low: int, high: int, unit: int) -> str:
    """Name the widest and the narrowest legal range next to an illegal one."""
    down, up = (
        (max(unit, low // unit * unit), -(-low // unit) * unit),
        (-(-high // unit) * unit, high // unit * unit),
    )
    pairs = [(down[0], up[0]), (down[1], up[1])] if low != high else [(down[0], down[0]), (up[0], up[0])]
    return " or ".join(dict.fromkeys(f"{a}:{b}" for a, b in pairs if a <= b))
