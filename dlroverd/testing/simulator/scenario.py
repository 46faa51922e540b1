"""The scenario file: a fleet, what it is given to do, what goes wrong, and how long each thing takes.

All amounts carry their unit in the value (`repair: 2h`), shares are numbers from 0 to 1, and rates are per day and
per thing: a node, or the switch, the power unit or the fleet that fails as one.
"""

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from dlroverd.config.document import Document
from dlroverd.config.durations import shown
from dlroverd.config.schema import Count, Duration, Name, Section, setting
from dlroverd.config.validation import validate
from dlroverd.config.yaml_source import parse, read_file

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0)]
_PRESETS = files("dlroverd.testing.simulator") / "presets"


class FaultKind(StrEnum):
    """What can go wrong. The first word of the comment is what fails as one."""

    HOST_CRASH = "host_crash"  # node: off at once, back after its repair
    HOST_REBOOT = "host_reboot"  # node: off at once, back by itself
    GPU_LOST = "gpu_lost"  # node: one accelerator is gone until its repair
    NIC_DOWN = "nic_down"  # node: reaches the daemon, and no other node, until its repair
    LINK_FLAP = "link_flap"  # node: the same for a moment, long enough to break collectives
    PARTITION = "partition"  # node: cut from the daemon only
    SLOW_NODE = "slow_node"  # node: its steps take longer until its repair
    PROCESS_CRASH = "process_crash"  # node: one rank raises an exception
    AGENT_CRASH = "agent_crash"  # node: its agent dies and is started again
    SWITCH_OUTAGE = "switch_outage"  # switch: all its nodes reach nobody
    PDU_OUTAGE = "pdu_outage"  # pdu: all its nodes are off
    DAEMON_CRASH = "daemon_crash"  # fleet: the daemon dies and is started again


SCOPE = {FaultKind.SWITCH_OUTAGE: "switch", FaultKind.PDU_OUTAGE: "pdu", FaultKind.DAEMON_CRASH: "fleet"}
NODE = "node"


def _spread(value: Any) -> Any:
    return {"median": value} if not isinstance(value, dict) else value


class SpreadFields(Section):
    """How long something takes: log-normal around its median, or always the same where there is no p90."""

    median: Duration = setting(..., "half of the times are below this", example="2h")
    p90: Duration | None = setting(None, "nine in ten are below this", example="8h")

    @model_validator(mode="after")
    def _ordered(self) -> "SpreadFields":
        if self.median <= 0:
            raise ValueError("the median must be more than 0")
        if self.p90 is not None and self.p90 < self.median:
            raise ValueError("p90 is below the median; exchange them")
        return self


Spread = Annotated[SpreadFields, BeforeValidator(_spread), WithJsonSchema({"type": ["string", "number", "object"]})]


class Group(Section):
    """Nodes that are alike. They are named `GROUP-00000` and on."""

    name: Name = setting(..., "what its nodes' names begin with", example="h100")
    nodes: Annotated[Count, Field(ge=1)] = setting(..., "how many", example="512")
    slots: Annotated[Count, Field(ge=1, le=64)] = setting(8, "accelerators of each", example="8")
    model: str = setting("H100", "the accelerators' model", example="H100")
    labels: dict[str, str] = setting({}, "the nodes' labels", example="{pool: train}")
    domains: dict[Name, Annotated[Count, Field(ge=1)]] = setting(
        {}, "what nodes share, and how many share one", example="{switch: 32, rack: 4, pdu: 16}"
    )
    lemons: Share = setting(0.0, "the share of nodes that fail more often than others", example="0.03")


class Training(Section):
    """How a job trains: what a restart costs besides the daemon's part, and what a checkpoint does."""

    start: Spread = setting(
        "15s", "from a rank's start until it can join its group: imports, the device", example="15s"
    )
    join: Duration = setting("5s", "until the group is whole, from its last rank's being there", example="30s")
    load: Duration = setting("60s", "to load a checkpoint", example="60s")
    first_step: Duration = setting("5s", "from the loaded checkpoint to the end of the first step", example="5s")
    checkpoint_every: Duration = setting("60s", "between two checkpoints", example="60s")
    checkpoint_blocks: Duration = setting("0.02s", "for which steps stand still at each", example="0.02s")
    link_error: Duration = setting(
        "30s", "until a rank whose peer is cut off raises an error; a shorter cut only stalls", example="30s"
    )
    source: str = setting("", "where these figures come from", example="peers.md 2(e)")

    @model_validator(mode="after")
    def _possible(self) -> "Training":
        if self.checkpoint_every <= self.checkpoint_blocks:
            raise ValueError("checkpoint_every must be longer than checkpoint_blocks")
        return self


class JobClass(Section):
    """Jobs that are alike."""

    name: Name = setting(..., "what its jobs' names begin with", example="small")
    nodes: str = setting(..., "of each job: a number, or MIN:MAX", example="4")
    slots: Annotated[Count, Field(ge=1, le=64)] | None = setting(
        None, "ranks on each node; all, if left out", example="8"
    )
    at_start: Annotated[Count, Field(ge=0)] = setting(0, "submitted when the fleet begins", example="1")
    per_day: Amount = setting(0.0, "submitted each day, at random times", example="24")
    work: Spread = setting(..., "time on steps that a job needs to end by itself", example="{median: 1h, p90: 8h}")
    priority: int = setting(0, "the higher, the earlier", example="0")
    bugs: Share = setting(0.0, "of jobs that fail at the same place each time", example="0.05")
    cancelled: Share = setting(0.0, "of jobs that a person cancels", example="0.05")
    training: Training = setting({}, "how they train", example="{load: 60s}")

    @field_validator("nodes")
    @classmethod
    def _range(cls, value: str) -> str:
        low, _, high = value.partition(":")
        if not (low.isdigit() and (high or low).isdigit() and 1 <= int(low) <= int(high or low) <= 1_000_000):
            raise ValueError(f"must be a number of nodes or MIN:MAX, both from 1, such as 4 or 2:4, not {shown(value)}")
        return value

    @property
    def nodes_range(self) -> tuple[int, int]:
        """The least and the most nodes."""
        low, _, high = self.nodes.partition(":")
        return int(low), int(high or low)


class Rate(Section):
    """How often one kind of fault comes, and how long it lasts."""

    per_day: Amount = setting(..., "a day, for each node, switch, power unit, or the fleet", example="0.0065")
    repair: Spread = setting("10m", "until what failed is well again", example="{median: 2h, p90: 12h}")
    source: str = setting(..., "who measured it, or that it is an assumption", example="Meta RSC, HPCA'25")


class Preset(Section):
    """Published rates, as one file of presets/ has them."""

    about: str = setting(..., "which fleet, and what the paper says", example="16,384 H100")
    rates: dict[FaultKind, Rate] = setting(..., "of each kind of fault", example="{}")


class Faults(Section):
    """What goes wrong: by a preset's rates, by rates of one's own over these, or exactly as a trace says."""

    preset: str = setting("", "published rates by name", example="meta-rsc")
    scale: Amount = setting(1.0, "by which the preset's rates are multiplied", example="2")
    rates: dict[FaultKind, Rate] = setting({}, "rates of one's own, which replace the preset's", example="{}")
    trace: str = setting("", "a file of faults, as `sim trace` writes it, in place of rates", example="trace.yaml")
    lemon_factor: Annotated[float, Field(ge=1.0)] = setting(
        10.0, "by which a lemon fails more often than another node", example="10"
    )
    slow_to: Annotated[float, Field(gt=0.0, le=1.0)] = setting(
        0.7, "the speed of a slow node, of a well one's", example="0.7"
    )


class NetworkPart(Section):
    """The network between daemon and agents."""

    loss: Share = setting(0.001, "of messages that are lost", example="0.001")
    latency: Duration = setting("5ms", "of a message, at most", example="5ms")


class Scenario(Section):
    """The whole file."""

    days: Annotated[float, Field(gt=0.0, le=3660.0)] = setting(30.0, "how long it runs, in virtual days", example="30")
    seed: Annotated[int, Field(ge=0)] = setting(1, "of all that is left to chance", example="1")
    fleet: list[Group] = Field(
        ..., min_length=1, description="groups of nodes", examples=["[{name: h100, nodes: 512}]"]
    )
    workload: list[JobClass] = Field(..., min_length=1, description="classes of jobs", examples=["[]"])
    faults: Faults = setting({}, "what goes wrong", example="{preset: meta-rsc}")
    network: NetworkPart = setting({}, "how messages travel", example="{loss: 0.001}")

    @property
    def nodes(self) -> int:
        """How many nodes it has."""
        return sum(group.nodes for group in self.fleet)


def read(path: str, *, days: float | None = None, seed: int | None = None, nodes: int | None = None) -> Scenario:
    """Read a scenario, with other `days`, `seed` and size of its first group; ConfigError says all that is wrong."""
    document = read_file(path)
    for key, value in (("days", days), ("seed", seed)):
        if value is not None:
            document.data[key] = value
            document.marks[key,] = f"--{key}"
    groups = document.data.get("fleet")
    if nodes is not None and isinstance(groups, list) and groups and isinstance(groups[0], dict):
        groups[0]["nodes"] = nodes
        document.marks["fleet", 0, "nodes"] = "--nodes"
    scenario = validate(document, Scenario)
    _check(scenario, document)
    return scenario


def _check(scenario: Scenario, document: Document) -> None:
    """Hold the parts against each other; ConfigError for the first that do not fit."""
    for part, key in ((scenario.fleet, "fleet"), (scenario.workload, "workload")):
        names = [each.name for each in part]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise document.error((key, index, "name"), f"another one is called {name} already; choose another name")
    widest = max(group.slots for group in scenario.fleet)
    for index, jobs in enumerate(scenario.workload):
        if jobs.nodes_range[0] > scenario.nodes:
            text = f"asks for {jobs.nodes_range[0]} nodes, and the fleet has {scenario.nodes}; ask for less"
            raise document.error(("workload", index, "nodes"), text)
        if jobs.slots is not None and jobs.slots > widest:
            text = f"is {jobs.slots}, and no node has more than {widest}; ask for less"
            raise document.error(("workload", index, "slots"), text)
    if scenario.faults.trace and (scenario.faults.preset or scenario.faults.rates):
        raise document.error(("faults", "trace"), "stands beside a preset or rates; keep one of them")
    rates(scenario.faults, document)


def rates(faults: Faults, document: Document | None = None) -> dict[FaultKind, Rate]:
    """Give the rates that hold: the preset's, scaled, and over them the file's own; ConfigError if there is no such."""
    found: dict[FaultKind, Rate] = {}
    if faults.preset:
        known = sorted(each.name.removesuffix(".yaml") for each in _PRESETS.iterdir() if each.name.endswith(".yaml"))
        if faults.preset not in known:
            at = document or Document("scenario")
            raise at.error(("faults", "preset"), f"must be one of {', '.join(known)}, not {shown(faults.preset)}")
        for kind, rate in preset(faults.preset).rates.items():
            found[kind] = rate.model_copy(update={"per_day": rate.per_day * faults.scale})
    return found | faults.rates


def preset(name: str) -> Preset:
    """Read the preset of that name."""
    return validate(parse((_PRESETS / f"{name}.yaml").read_bytes(), f"presets/{name}.yaml"), Preset)


def resolve_path(scenario_path: str, name: str) -> str:
    """Give the path of a file that a scenario names: beside it, unless it is absolute."""
    return str(Path(scenario_path).parent / name)
