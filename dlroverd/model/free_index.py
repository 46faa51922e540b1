"""Free slots of nodes, and what the nodes are, kept so that finding room costs what is found, not the fleet's size."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, KeysView, Mapping
from typing import TypeVar

from dlroverd.model.placement import FreeNode, NodeTraits, Pairs

# Doubt counts in tenths, so that there are few levels to look through.
WHOLLY_DOUBTED = 10
_BLANK = NodeTraits()
K = TypeVar("K")

# Some nodes, where FreeIndex.set would hide the word.
Nodes = set[str]
# Nodes of one level are equally doubtful (tenths) and equally free (slots); levels are taken in their order.
Level = tuple[int, int]
# Constraints look at these alone.
Kind = tuple[Pairs, str]


class FreeIndex:
    """Which nodes may be used, how free each is, and which are alike or of one domain.

    What a node is (`describe`) is known apart from whether it may be used (`set`, `remove`). Those two bisect one
    list of the nodes of a level (and move its pointers: 80 kB when 10,000 nodes are equally free, a few microseconds).
    """

    def __init__(self, nodes: Iterable[FreeNode] = ()) -> None:
        """Begin with `nodes`."""
        self._traits: dict[str, NodeTraits] = {}
        self._domains: dict[str, dict[str, Nodes]] = {}
        self._alike: dict[Kind, Nodes] = {}
        self._free: dict[str, int] = {}
        self._levels: list[Level] = []
        self._buckets: dict[Level, list[str]] = {}
        for node in nodes:
            self.describe(node.node, node.traits)
            self.set(node.node, node.free)

    def describe(self, node: str, traits: NodeTraits | None) -> None:
        """Say what a node is; None forgets it."""
        old = self._traits.get(node)
        if old == traits:
            return
        free = self._free.get(node)
        self.remove(node)
        if old is not None:
            for kind, name in old.domains:
                _leave(self._domains[kind], name, node)
            _leave(self._alike, (old.labels, old.model), node)
            del self._traits[node]
        if traits is not None:
            self._traits[node] = traits
            for kind, name in traits.domains:
                self._domains.setdefault(kind, {}).setdefault(name, set()).add(node)
            self._alike.setdefault((traits.labels, traits.model), set()).add(node)
        if free is not None:
            self.set(node, free)

    def set(self, node: str, free: int) -> None:
        """Add a node, or change how many slots it has free."""
        if self._free.get(node) == free:
            return
        self.remove(node)
        self._free[node] = free
        level = self._level(node, free)
        if level not in self._buckets:
            insort(self._levels, level)
            self._buckets[level] = []
        insort(self._buckets[level], node)

    def remove(self, node: str) -> None:
        """Let a node be used no more; one that may not be is no error."""
        free = self._free.pop(node, None)
        if free is None:
            return
        level = self._level(node, free)
        bucket = self._buckets[level]
        del bucket[bisect_left(bucket, node)]
        if not bucket:
            del self._buckets[level]
            del self._levels[bisect_left(self._levels, level)]

    def free(self, node: str) -> int | None:
        """How many slots a node has free; None if it may not be used."""
        return self._free.get(node)

    def usable(self) -> KeysView[str]:
        """Tell which nodes may be used."""
        return self._free.keys()

    def nodes(self) -> Iterator[FreeNode]:
        """Give the usable nodes as a scheduler sees them, by id."""
        for node in sorted(self._free):
            traits = self.traits(node)
            yield FreeNode(
                node=node,
                slots=traits.slots,
                free=self._free[node],
                labels=traits.labels,
                domains=traits.domains,
                model=traits.model,
                doubt=traits.doubt,
                memory_bytes=traits.memory_bytes,
            )

    def traits(self, node: str) -> NodeTraits:
        """What a node is; one that was never described has nothing."""
        return self._traits.get(node, _BLANK)

    def described(self) -> Mapping[str, NodeTraits]:
        """All nodes that were described, whether they may be used or not."""
        return self._traits

    def alike(self) -> Mapping[Kind, Nodes]:
        """The described nodes by labels and model. Not to be changed."""
        return self._alike

    def domains(self, kind: str) -> Mapping[str, Nodes]:
        """The described nodes of each domain of a kind, by its name. Not to be changed."""
        return self._domains.get(kind, {})

    def doubts(self) -> list[int]:
        """Which tenths of doubt usable nodes have, rising."""
        return sorted({doubt for doubt, _ in self._levels})

    def order(self, node: str) -> tuple[Level, str]:
        """Where a usable node stands among those that are taken one by one: less doubtful, less free, lower id."""
        return self._level(node, self._free[node]), node

    def count(self, need: int, doubt: int = WHOLLY_DOUBTED) -> int:
        """How many nodes, at most so doubtful, have at least `need` free."""
        return sum(map(len, self.buckets(need, doubt)))

    def buckets(self, need: int, doubt: int = WHOLLY_DOUBTED) -> Iterator[list[str]]:
        """Nodes with `need` free and at most so doubtful, level by level; the index must not change meanwhile."""
        for level in self._levels:
            if level[0] > doubt:
                return
            if level[1] >= need:
                yield self._buckets[level]

    def most_free(self, need: int) -> Iterator[str]:
        """Nodes with `need` free, less doubtful and then most free first; the index must not change meanwhile."""
        for level in sorted(self._levels, key=lambda level: (level[0], -level[1])):
            if level[1] >= need:
                yield from self._buckets[level]

    def _level(self, node: str, free: int) -> Level:
        traits = self._traits.get(node, _BLANK)
        return round(traits.doubt * WHOLLY_DOUBTED) if traits.doubt else 0, free


def _leave(groups: dict[K, set[str]], key: K, node: str) -> None:
    groups[key].discard(node)
    if not groups[key]:
        del groups[key]
