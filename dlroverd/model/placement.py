"""Where gangs go: the question a scheduler is asked, and its answer. How it is answered is in place.py."""

from dataclasses import dataclass

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRequest:
    """One gang to place: `nodes_min..nodes_max` nodes in steps of `node_unit`, `slots_per_node` on each.

    These bind. `require` has constraints on a node's labels and devices (see constraints.py); `memory_bytes` is what a
    node must have of memory in all. Only nodes of `nodelist` are taken if there is one, and none of `exclude`. It
    shares no node with the job's roles in `apart_from`. With each role in `together_with` it shares nodes: all nodes of
    one of the two roles are nodes of the other.

    These are wishes. `spread` is a kind of domain, such as "rack": nodes are taken evenly from as many as possible.
    Otherwise they are packed: into one domain of the first kind of `pack` (narrow ones first) in which they fit. The
    nodes of `near` are taken again where they can be, and others as near to them as can be.
    """

    role: str
    gang: int
    nodes_min: int
    nodes_max: int
    node_unit: int
    slots_per_node: int
    require: tuple[str, ...] = ()
    nodelist: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    apart_from: tuple[str, ...] = ()
    together_with: tuple[str, ...] = ()
    spread: str = ""
    pack: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    memory_bytes: int = 0

    @property
    def fewest(self) -> int:
        """The smallest legal number of nodes."""
        return -(-self.nodes_min // self.node_unit) * self.node_unit

    @property
    def most(self) -> int:
        """The largest legal number of nodes."""
        return self.nodes_max // self.node_unit * self.node_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPlacement:
    """The nodes of one gang, in the order its ranks take them."""

    role: str
    gang: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequest:
    """The gangs of one job that need nodes now. `name` is the job's label; nodes in `avoid` are not for it.

    `seated` are the job's other gangs, which keep their nodes: those that are asked for are apart from or together
    with them as well.
    """

    job: int
    name: str
    gangs: tuple[GangRequest, ...]
    avoid: tuple[str, ...] = ()
    seated: tuple[GangPlacement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTraits:
    """What a node is, whether it is free or not.

    `slots` is how many ranks fit on it at all, `memory_bytes` all its memory. `labels` are names and values ("" for a
    feature, which has none); `domains` kinds and names, as in ("rack", "r1"). `model` is that of its accelerators, ""
    without any. `doubt` is from 0 (proven) to 1: doubtful nodes are taken when nothing else fits, the least doubtful
    first.
    """

    slots: int = 0
    labels: Pairs = ()
    domains: Pairs = ()
    model: str = ""
    doubt: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeNode:
    """One node that may take ranks: how many fit on it at all (`slots`), and how many more now (`free`).

    The others are as in NodeTraits.
    """

    node: str
    slots: int
    free: int
    labels: Pairs = ()
    domains: Pairs = ()
    model: str = ""
    doubt: float = 0.0
    memory_bytes: int = 0

    @property
    def traits(self) -> NodeTraits:
        """What the node is."""
        return NodeTraits(
            slots=self.slots,
            labels=self.labels,
            domains=self.domains,
            model=self.model,
            doubt=self.doubt,
            memory_bytes=self.memory_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job of lower priority than the one that is asked about, which could make room for it.

    `slots` is what it holds of each node, `since` when it got that. `leaving`: it is making room already. `protected`:
    it did so lately and is left alone.
    """

    job: int
    priority: int
    since: float
    slots: tuple[tuple[str, int], ...]
    leaving: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementView:
    """All that a scheduler sees: what is asked for, and every node that may be used, ordered by node id.

    `queue` are the jobs that wait behind it, the next first, at most 100: an answer may place one of them instead.
    `running` are those that could make room.
    """

    request: PlacementRequest
    nodes: tuple[FreeNode, ...]
    queue: tuple[PlacementRequest, ...] = ()
    running: tuple[RunningJob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Every gang of the request has its nodes; gangs are in the order of the request.

    `job` is the one of the view's queue that is placed instead of the one asked about, 0 if that itself is.
    """

    gangs: tuple[GangPlacement, ...]
    job: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preempt:
    """These running jobs are to make room: each at its next checkpoint, if it tells of them, else at once."""

    jobs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFit:
    """The gangs cannot all be placed now. `reason` is a true sentence with numbers, shown to users."""

    reason: str
