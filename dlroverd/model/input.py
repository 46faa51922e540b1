"""Everything that can change the state enters as one of these. There is no other way in."""

from dataclasses import dataclass

from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec
from dlroverd.model.node import NodeFacts
from dlroverd.model.placement import NoFit, Placement
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
    """The first training step that a gang's world was seen at; later steps are telemetry and never come here."""

    progress: Progress

    @property
    def gang(self) -> GangKey:
        """The gang that made the step."""
        return self.progress.round.gang_key


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementAnswered:
    """A scheduler's answer to question `question`, or why it has none ("" when `answer` is there)."""

    job: int
    question: int
    answer: Placement | NoFit | None
    failure: str = ""


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
class StorageChanged:
    """The log's disk is short of space (the reserve is in use), or is not any more."""

    low: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time passed: a deadline may be due."""


Input = (
    Submit
    | Cancel
    | Restart
    | NodeHello
    | NodeReport
    | NodeSilent
    | GangStepped
    | PlacementAnswered
    | AdoptNode
    | ConfirmDown
    | OrderDrill
    | StorageChanged
    | Tick
)
