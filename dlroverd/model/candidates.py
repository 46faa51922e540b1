"""Which nodes would do for a gang, wherever the job's other gangs go."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dlroverd.model.constraints import parse
from dlroverd.model.free_index import WHOLLY_DOUBTED, FreeIndex
from dlroverd.model.placement import GangRequest, NodeTraits, PlacementRequest


@dataclass(frozen=True, slots=True)
class Candidates:
    """Nodes of `only` (None: all there are) but not of `barred`, with `need` slots free and at most so doubtful."""

    only: frozenset[str] | None
    barred: frozenset[str]
    need: int
    doubt: int = WHOLLY_DOUBTED

    def has(self, index: FreeIndex, node: str) -> bool:
        """Whether a node is one of them."""
        free = index.free(node)
        return (
            free is not None
            and free >= self.need
            and (self.only is None or node in self.only)
            and node not in self.barred
            and index.order(node)[0][0] <= self.doubt
        )

    def count(self, index: FreeIndex) -> int:
        """How many they are."""
        if self.only is None:
            every = replace(self, barred=frozenset())
            return index.count(self.need, self.doubt) - sum(every.has(index, node) for node in self.barred)
        return sum(map(len, self.levels(index)))

    def in_order(self, index: FreeIndex) -> Iterator[str]:
        """Give them one by one as in `FreeIndex.order`; the index must not change meanwhile."""
        for bucket in index.buckets(self.need, self.doubt):
            yield from (n for n in bucket if (self.only is None or n in self.only) and n not in self.barred)

    def levels(self, index: FreeIndex) -> Iterator[set[str]]:
        """Give those that are equally doubtful and free together, in that order."""
        for bucket in index.buckets(self.need, self.doubt):
            yield set(bucket if self.only is None else self.only.intersection(bucket)).difference(self.barred)


def candidates(index: FreeIndex, request: PlacementRequest, gang: GangRequest) -> Candidates:
    """Give the nodes that would do for a gang by its own words."""
    only: set[str] | None = None
    if gang.require:
        constraints = [parse(text) for text in gang.require]
        only = set()
        for (labels, model), nodes in index.alike().items():
            traits = NodeTraits(labels=labels, model=model)
            if not any(each.unmet(traits) for each in constraints):
                only |= nodes
    if gang.memory_bytes:
        large = {node for node, traits in index.described().items() if traits.memory_bytes >= gang.memory_bytes}
        only = large if only is None else only.intersection(large)
    if gang.nodelist:
        only = set(gang.nodelist) if only is None else only.intersection(gang.nodelist)
    barred = frozenset((*gang.exclude, *request.avoid))
    return Candidates(None if only is None else frozenset(only), barred, gang.slots_per_node)
