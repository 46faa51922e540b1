"""Where gangs go: the question a scheduler is asked, its answer, and the built-in rule.

Owns the index of free slots and the first-fit rule over it, which decides when no scheduler does. Decides
nothing else: which job is next, and whether an answer still holds against the state, is the core's.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRequest:
    """One gang to place: `nodes_min..nodes_max` nodes in steps of `node_unit`, `slots_per_node` on each."""

    role: str
    gang: int
    nodes_min: int
    nodes_max: int
    node_unit: int
    slots_per_node: int

    @property
    def fewest(self) -> int:
        """The smallest legal number of nodes."""
        return -(-self.nodes_min // self.node_unit) * self.node_unit

    @property
    def most(self) -> int:
        """The largest legal number of nodes."""
        return self.nodes_max // self.node_unit * self.node_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequest:
    """The gangs of one job that need nodes now. `name` is the job's label; nodes in `avoid` are not for it."""

    job: int
    name: str
    gangs: tuple[GangRequest, ...]
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeNode:
    """One node that may take ranks: how many fit on it at all (`slots`), and how many more now (`free`)."""

    node: str
    slots: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementView:
    """All that a scheduler sees: what is asked for, and every node that may be used, ordered by node id."""

    request: PlacementRequest
    nodes: tuple[FreeNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPlacement:
    """The nodes of one gang, in the order its ranks take them."""

    role: str
    gang: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Every gang of the request has its nodes; gangs are in the order of the request."""

    gangs: tuple[GangPlacement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFit:
    """The gangs cannot all be placed now. `reason` is a true sentence with numbers, shown to users."""

    reason: str


class FreeIndex:
    """Free slots of nodes, kept so that finding room costs what is found, not the size of the fleet.

    `set` and `remove` bisect one bucket of equally free nodes (and move its pointers: 80 kB when 10,000 nodes
    are equally free, a few microseconds).
    """

    def __init__(self, nodes: Iterable[FreeNode] = ()) -> None:
        """Begin with `nodes`."""
        self._free: dict[str, int] = {}
        self._levels: list[int] = []
        self._buckets: dict[int, list[str]] = {}
        for node in nodes:
            self.set(node.node, node.free)

    def set(self, node: str, free: int) -> None:
        """Add a node, or change how many slots it has free."""
        if self._free.get(node) == free:
            return
        self.remove(node)
        self._free[node] = free
        if free not in self._buckets:
            insort(self._levels, free)
            self._buckets[free] = []
        insort(self._buckets[free], node)

    def remove(self, node: str) -> None:
        """Forget a node; one that is not known is no error."""
        free = self._free.pop(node, None)
        if free is None:
            return
        bucket = self._buckets[free]
        del bucket[bisect_left(bucket, node)]
        if not bucket:
            del self._buckets[free]
            del self._levels[bisect_left(self._levels, free)]

    def free(self, node: str) -> int | None:
        """How many slots a node has free; None if it may not be used."""
        return self._free.get(node)

    def count(self, need: int) -> int:
        """How many nodes have at least `need` free."""
        return sum(len(self._buckets[level]) for level in self._levels[bisect_left(self._levels, need) :])

    def best_fit(self, need: int) -> Iterator[str]:
        """Nodes with `need` free, least free first, then by node id. The index must not change meanwhile."""
        for level in islice(self._levels, bisect_left(self._levels, need), None):
            yield from self._buckets[level]

    def most_free(self, need: int) -> Iterator[str]:
        """Nodes with `need` free, most free first, then by node id. The index must not change meanwhile."""
        for level in reversed(self._levels[bisect_left(self._levels, need) :]):
            yield from self._buckets[level]


def place(index: FreeIndex, request: PlacementRequest) -> Placement | NoFit:
    """Give all gangs of a request their nodes, or none. `index` is as before when this returns.

    Best fit: the least free nodes that suffice, so that large holes stay for large jobs. Every gang first
    gets its fewest nodes; what is free then goes to the gangs in order, as much as each may take. When gangs
    do not fit side by side that way, the most free nodes are tried: that finds room whenever there is any if
    all gangs need the same slots per node (the construction behind the theorem of Gale and Ryser); with
    unequal needs this is bin packing, and a fit may be missed.
    """
    avoided = {node: free for node in request.avoid if (free := index.free(node)) is not None}
    for node in avoided:
        index.remove(node)
    try:
        return _place(index, request)
    finally:
        for node, free in avoided.items():
            index.set(node, free)


def _place(index: FreeIndex, request: PlacementRequest) -> Placement | NoFit:
    for gang in request.gangs:
        room = index.count(gang.slots_per_node)
        if room < gang.fewest:
            return NoFit(reason=_short_of(gang, room, several=len(request.gangs) > 1))
    attempt = _Attempt(index, request)
    try:
        blocked = attempt.seat_all(spread=False)
        if blocked is not None and len(request.gangs) > 1:
            attempt.undo()
            blocked = attempt.seat_all(spread=True)
        if blocked is None:
            attempt.grow_all()
            return attempt.placement()
        room = index.count(blocked.slots_per_node)
        sentence = _short_of(blocked, room, several=True)
        return NoFit(reason=f"{sentence} beside the job's other gangs")
    finally:
        attempt.undo()


def broken_rule(index: FreeIndex, request: PlacementRequest, answer: Placement) -> str:
    """Say which rule of placement an answer breaks, as a sentence; "" when it may be carried out."""
    wanted = [(gang.role, gang.gang) for gang in request.gangs]
    if [(gang.role, gang.gang) for gang in answer.gangs] != wanted:
        return f"it places {[(g.role, g.gang) for g in answer.gangs]} where {wanted} were asked for"
    taken: dict[str, int] = {}
    for gang, given in zip(request.gangs, answer.gangs, strict=True):
        label, count = f"role {gang.role} gang {gang.gang}", len(given.nodes)
        if len(set(given.nodes)) != count:
            return f"it gives {label} a node twice"
        if not gang.fewest <= count <= gang.most or count % gang.node_unit:
            legal = f"{gang.nodes_min} to {gang.nodes_max} in steps of {gang.node_unit}"
            return f"it gives {label} {_nodes(count)} where {legal} are legal"
        for node in given.nodes:
            free = index.free(node)
            if free is None:
                return f"it gives {label} node {node}, which may not be used"
            if node in request.avoid:
                return f"it gives {label} node {node}, which the job avoids"
            taken[node] = taken.get(node, 0) + gang.slots_per_node
            if taken[node] > free:
                return f"it takes {taken[node]} slots of node {node}, which has {free} free"
    return ""


class _Attempt:
    """Nodes given to gangs so far. What they take is taken from the index until `undo`."""

    def __init__(self, index: FreeIndex, request: PlacementRequest) -> None:
        self._index = index
        self._request = request
        self._before: dict[str, int] = {}
        self._given: dict[GangRequest, set[str]] = {}

    def seat_all(self, *, spread: bool) -> GangRequest | None:
        """Give every gang its fewest nodes, the most demanding first; the one that found no room, or None."""
        for gang in sorted(self._request.gangs, key=lambda g: (-g.slots_per_node, -g.fewest)):
            if not self._add(gang, gang.fewest, spread=spread):
                return gang
        return None

    def grow_all(self) -> None:
        """Give the gangs, in order, as many more nodes as are legal and free."""
        for gang in self._request.gangs:
            own = self._given[gang]
            room = self._index.count(gang.slots_per_node) - sum(
                (self._index.free(node) or 0) >= gang.slots_per_node for node in own
            )
            more = min(room, gang.most - len(own)) // gang.node_unit * gang.node_unit
            self._add(gang, more, spread=False)

    def placement(self) -> Placement:
        """What was given, nodes by id: a gang's order of ranks is stable from one round to the next."""
        return Placement(
            gangs=tuple(
                GangPlacement(role=gang.role, gang=gang.gang, nodes=tuple(sorted(self._given[gang])))
                for gang in self._request.gangs
            )
        )

    def undo(self) -> None:
        """Give everything back."""
        for node, free in self._before.items():
            self._index.set(node, free)
        self._before.clear()
        self._given.clear()

    def _add(self, gang: GangRequest, count: int, *, spread: bool) -> bool:
        own = self._given.setdefault(gang, set())
        order = self._index.most_free if spread else self._index.best_fit
        others = (node for node in order(gang.slots_per_node) if node not in own)
        chosen = list(islice(others, count))
        if len(chosen) < count:
            return False
        for node in chosen:
            free = self._index.free(node) or 0
            self._before.setdefault(node, free)
            self._index.set(node, free - gang.slots_per_node)
        own.update(chosen)
        return True


def _short_of(gang: GangRequest, room: int, *, several: bool) -> str:
    whose = f"role {gang.role} gang {gang.gang} needs" if several else "needs"
    least = "at least " if gang.most > gang.fewest else ""
    has = "has" if room == 1 else "have"
    slots = f"{gang.slots_per_node} slot{'s' if gang.slots_per_node != 1 else ''}"
    return f"{whose} {least}{_nodes(gang.fewest)} x {slots}; {_nodes(room)} {has} {gang.slots_per_node} free"


def _nodes(count: int) -> str:
    return f"{count} node{'s' if count != 1 else ''}"
