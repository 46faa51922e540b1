"""The facts of the log that are about nodes; the others, and what all of them have in common, are in event.py."""

from dataclasses import dataclass

from dlroverd.model.ids import RankKey
from dlroverd.model.node import DeviceObservation, NodeDomains, NodeFacts, NodeState
from dlroverd.model.world import Drill, Held, StuckRank, SuspectSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeJoined:
    """An agent said hello: for the first time, after a reboot, or with other facts."""

    node: str
    boot_id: str
    facts: NodeFacts
    log_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMoved:
    """A node changed state: row (state, `on`) of the node table. `heard_at`: when a silent one was last heard."""

    node: str
    on: str
    to: NodeState
    reason: str
    deadline: float = 0.0
    heard_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectNamed:
    """The agents of `askers` are to call a silent node."""

    node: str
    askers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectsSeen:
    """A node's agent says which silent nodes answer it; nodes not named any more are forgotten."""

    node: str
    suspects: tuple[SuspectSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfirmedDown:
    """A person said that a silent node is down."""

    node: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSeen:
    """Which of a node's accelerators cannot be granted, and why."""

    node: str
    devices: tuple[DeviceObservation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckSeen:
    """Which ranks a node cannot end; nothing is placed there while there are any."""

    node: str
    stuck: tuple[StuckRank, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOrdered:
    """A fault is made on purpose at a node; `job` is 0 when it is about the node itself."""

    job: int
    node: str
    drill: Drill
    actor: str
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillsEnded:
    """A node is not asked for any fault any more."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphansSeen:
    """What a node runs that this log does not know. Left running, and listed."""

    node: str
    orphans: tuple[RankKey, ...]
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyChanged:
    """The inventory says otherwise of `nodes` which domains they are in; `pack_by` are the kinds to pack by."""

    pack_by: tuple[str, ...]
    nodes: tuple[NodeDomains, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFailed:
    """Nodes that share a switch, a PDU or a mount (`kind` and `name`) fell silent together.

    `began_at` and `last_at` are when the first and the last of them was heard; until `deadline` more may follow.
    """

    kind: str
    name: str
    nodes: tuple[str, ...]
    began_at: float
    last_at: float
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainSettled:
    """No more nodes of a domain fell silent. Until `deadline` what is left of it is not used if half is silent."""

    kind: str
    name: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCleared:
    """What is left of a domain that failed is used again."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAdopted:
    """A person said that this log takes the place of the one the node follows."""

    node: str
    adopt_from: str
    actor: str
