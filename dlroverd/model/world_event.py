"""The facts of the log that are about worlds, their gangs and ranks: part of the vocabulary in `event.py`."""

from dataclasses import dataclass

from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.model.job import GangState
from dlroverd.model.world import NodeCheck, NodeGrant, RankObservation, Tombstone


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldFormed:
    """A gang has a new world. Ranks go to `grants` in order, `slots` on each.

    `checking`: its nodes are to be checked before any rank starts, and `master_addr` is only the likeliest one.
    `network` says why it has that address.
    """

    round: RoundKey
    grants: tuple[NodeGrant, ...]
    master_addr: str
    master_port: int
    world_size: int
    restart_count: int
    reason: str
    deadline: float
    checking: bool = False
    network: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChecked:
    """A node of a world that is being checked said what it found."""

    node: str
    check: NodeCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldCleared:
    """Every node of a world was found fit, so its ranks start. `network` says why the master has that address."""

    round: RoundKey
    master_addr: str
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GangMoved:
    """A gang changed state: row (state, `on`) of the gang table."""

    gang: GangKey
    on: str
    to: GangState
    reason: str
    deadline: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GangStopping:
    """The current world of a gang is to be stopped on `nodes`."""

    nodes: tuple[str, ...]
    tombstone: Tombstone
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GangReleased:
    """A gang gave its nodes back (those with ranks not yet seen gone stay taken until they are)."""

    gang: GangKey


@dataclass(frozen=True, slots=True, kw_only=True)
class GangStopOverdue:
    """A stop was not confirmed in time; it goes on."""

    gang: GangKey
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleRanksSeen:
    """A node runs ranks of a world that no longer counts; they are to be stopped."""

    node: str
    tombstone: Tombstone


@dataclass(frozen=True, slots=True, kw_only=True)
class TombstoneCleared:
    """A node has confirmed that nothing of the gang up to that round is left."""

    node: str
    gang: GangKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksSeen:
    """A node's ranks of current worlds changed."""

    node: str
    ranks: tuple[RankObservation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """The first training step of a world."""

    round: RoundKey
    step: int
    at: float
