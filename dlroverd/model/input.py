"""Everything that can change the state enters as one of these. There is no other way in."""

from dataclasses import dataclass

from dlroverd.model.checkup import CheckLevel
from dlroverd.model.diagnosis import Action, Conclusion
from dlroverd.model.difference import DifferenceKind
from dlroverd.model.hang import HangVerdict
from dlroverd.model.hold import DrainMode, HoldKind
from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.model.job import JobSpec
from dlroverd.model.node import NodeDomains, NodeFacts
from dlroverd.model.placement import NoFit, Placement, Preempt
from dlroverd.model.spooled import EventBatch
from dlroverd.model.trust_input import TrustInput
from dlroverd.model.world import DrillKind, Held, Observed, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """A client asks for a job. The same `request_id` twice is one job."""

    request_id: str
    spec: JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """A person ends a job."""

    request_id: str
    job: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A person wants a new round of a job that runs."""

    request_id: str
    job: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """A person wants a job stopped and kept; at its next checkpoint within `within_s`, if it tells of any."""

    request_id: str
    job: int
    actor: str
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A person wants a suspended job to go on."""

    request_id: str
    job: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A person changes how many nodes a role's gangs may have; a role of "" is the job's only one."""

    request_id: str
    job: int
    actor: str
    role: str
    nodes_min: int
    nodes_max: int
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GangCheckpointed:
    """A gang's world told of a newer checkpoint than the state knows."""

    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPaced:
    """Where a gang's world is, and how many steps it makes a second; only when something may follow from that.

    `progress.asks` is of all its nodes.
    """

    progress: Progress
    steps_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHello:
    """An agent opened its session. `log_id` and `position` are those of the desired state it follows."""

    node: str
    boot_id: str
    facts: NodeFacts
    log_id: str
    position: int
    observed: Observed
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """An agent says what it sees."""

    node: str
    observed: Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSilent:
    """A node was not heard for `unreachable_after_s`, on the monotonic clock of the runtime.

    Its session is over: the node comes back with a hello.
    """

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GangStepped:
    """The first training step that a gang's world was seen at, or the first that it does not do again.

    Others are telemetry and never come here.
    """

    progress: Progress

    @property
    def gang(self) -> GangKey:
        """The gang that made the step."""
        return self.progress.round.gang_key


@dataclass(frozen=True, slots=True, kw_only=True)
class GangStalled:
    """A gang's world, last seen at `step`, has made no step for `quiet_s`; its budget for that was `budget_s`."""

    round: RoundKey
    step: int
    phase: str
    quiet_s: float
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HangFound:
    """What the stacks of a suspected world said: that it hangs, or that it works."""

    round: RoundKey
    verdict: HangVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GangMovedOn:
    """A world that was suspected of hanging makes steps again."""

    round: RoundKey
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementAnswered:
    """A scheduler's answer to question `question`, or why it has none ("" when `answer` is there)."""

    job: int
    question: int
    answer: Placement | NoFit | Preempt | None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StillSilent:
    """Nothing has been heard of a silent node for so long; told again and again while it may run ranks with a lease."""

    node: str
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptNode:
    """A person says that this daemon's log takes the place of the one the node's agent follows."""

    node: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDown:
    """A person says that a node which is not heard is down: nothing runs there any more."""

    node: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldNodes:
    """A person takes nodes out of use, in the name of `owner`.

    Jobs leave them by `mode`, and at once when `deadline_s` have passed (0: never). `reboot` and `until_checked` are
    for maintenance: see `Maintenance`.
    """

    request_id: str
    nodes: tuple[str, ...]
    kind: HoldKind
    owner: str
    actor: str
    reason: str
    mode: DrainMode = DrainMode.FINISH
    deadline_s: float = 0.0
    reboot: bool = False
    until_checked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseNodes:
    """A person lets go of nodes in the name of `owner`: of one `kind`, or of what one `request` set, or of all."""

    request_id: str
    nodes: tuple[str, ...]
    owner: str
    actor: str
    kind: HoldKind | None = None
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearNodes:
    """A person says that nodes were repaired."""

    request_id: str
    nodes: tuple[str, ...]
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAutomation:
    """A person stops what automation does by itself."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAutomation:
    """A person lets automation act again."""

    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDrill:
    """A person wants a fault made, at a rank of the current world of `gang`, or at `node` if `gang` is None."""

    request_id: str
    kind: DrillKind
    actor: str
    gang: GangKey | None = None
    rank: int = 0
    node: str = ""
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCheckup:
    """A person wants nodes checked, all that are named or none."""

    request_id: str
    nodes: tuple[str, ...]
    level: CheckLevel
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageChanged:
    """The log's disk is short of space (the reserve is in use), or is not any more."""

    low: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologySet:
    """The whole inventory as it is configured now. `pack_by` are the kinds of domains to pack by, narrow ones first."""

    pack_by: tuple[str, ...] = ()
    nodes: tuple[NodeDomains, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceFound:
    """An audit of a node found a difference; see `Difference`."""

    node: str
    kind: DifferenceKind
    what: str
    mended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsForwarded:
    """An agent hands on what its ranks and it said of themselves."""

    batch: EventBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldDiagnosed:
    """All that a diagnosis rule has to say of a world, which may be over by now."""

    rule: str
    round: RoundKey
    conclusions: tuple[Conclusion, ...]
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRestored:
    """The log was restored from a copy made at `taken_at`, in place of the logs `ancestors`; said at each start."""

    ancestors: tuple[str, ...]
    taken_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time passed: a deadline may be due."""


Input = (
    Submit
    | Cancel
    | Restart
    | Suspend
    | Resume
    | Scale
    | GangCheckpointed
    | GangPaced
    | GangStalled
    | HangFound
    | GangMovedOn
    | NodeHello
    | NodeReport
    | NodeSilent
    | StillSilent
    | GangStepped
    | PlacementAnswered
    | AdoptNode
    | ConfirmDown
    | HoldNodes
    | ReleaseNodes
    | ClearNodes
    | PauseAutomation
    | ResumeAutomation
    | OrderDrill
    | AskCheckup
    | StorageChanged
    | TopologySet
    | DifferenceFound
    | EventsForwarded
    | WorldDiagnosed
    | StateRestored
    | TrustInput
    | Tick
)
