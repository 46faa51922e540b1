"""Which of many nodes that would do: those close together, those far apart, and the order their ranks take.

Looks at domains alone; whether a node may be taken at all is settled before.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from heapq import nsmallest

from dlroverd.model.free_index import FreeIndex


def packed(index: FreeIndex, scope: set[str], kinds: Sequence[str], count: int) -> list[str]:
    """Choose `count` nodes of `scope` within one domain of the first kind that has such a domain.

    Of these it is the one with the fewest nodes to spare, so that large holes stay for large jobs. If no domain of
    any kind is large enough, those of the last kind are taken whole, the largest first, until the rest fits in one.
    Nodes in no known domain are taken last.
    """
    for at, kind in enumerate(kinds):
        enough = {name: group for name, group in _groups(index, scope, kind).items() if len(group) >= count}
        if enough:
            size = min(map(len, enough.values()))
            tight = {name: group for name, group in enough.items() if len(group) == size}
            return packed(index, tight[_smallest_hole(index, scope, kinds[at + 1 :], tight)], kinds[:at], count)
    if not kinds:
        return nsmallest(count, scope, key=index.order)
    taken: set[str] = set()
    for _, group in sorted(_groups(index, scope, kinds[-1]).items(), key=lambda each: (-len(each[1]), each[0])):
        if len(taken) + len(group) >= count:
            return [*taken, *packed(index, scope - taken, kinds, count - len(taken))]
        taken |= group
    return [*taken, *packed(index, scope - taken, (), count - len(taken))]


def spread(index: FreeIndex, scope: set[str], kind: str, besides: Collection[str], count: int) -> list[str]:
    """Choose `count` nodes of `scope`, from as many domains of `kind` as can be, the fullest of free nodes first.

    Two are of one domain only when every domain has one, those of `besides` counted. Nodes in no known domain are
    taken last.
    """
    groups = _groups(index, scope, kind)
    had = {name: len(group.intersection(besides)) for name, group in index.domains(kind).items()}
    turns = [
        (turn, -len(group), name)
        for name, group in groups.items()
        for turn in range(had[name], had[name] + min(len(group), count))
    ]
    shares = Counter(name for *_, name in sorted(turns)[:count])
    chosen = [node for name, share in shares.items() for node in nsmallest(share, groups[name], key=index.order)]
    return chosen + sorted(scope.difference(*groups.values()), key=index.order)[: count - len(chosen)]


def near(index: FreeIndex, scope: set[str], kinds: Sequence[str], neighbours: Collection[str], count: int) -> list[str]:
    """Choose `count` nodes of `scope` in the narrowest domains of `neighbours` that have so many together."""
    for kind in kinds:
        around = [group & scope for group in index.domains(kind).values() if not group.isdisjoint(neighbours)]
        close = set().union(*around)
        if len(close) >= count:
            return packed(index, close, kinds, count)
    return packed(index, scope, kinds, count)


def in_rank_order(
    index: FreeIndex, nodes: Collection[str], kinds: Sequence[str], before: Sequence[str] = ()
) -> tuple[str, ...]:
    """Order nodes so that those of one domain are neighbours, and nodes of the world before keep their places.

    If as many nodes as before are wanted, those that stay keep their very numbers, and newcomers take the numbers
    that became free, each in its own domain if it can. Otherwise those that stay keep their order.
    """
    place = {node: number for number, node in enumerate(before)}
    where = {node: _path(index, node, kinds) for node in sorted(nodes)}
    if len(nodes) == len(before) and not place.keys().isdisjoint(nodes):
        return _filled(where, before, {node: _path(index, node, kinds) for node in before})
    last = len(before)
    first: dict[tuple[str, ...], int] = {}
    for node, path in where.items():
        for depth in range(1, len(path) + 1):
            first[path[:depth]] = min(first.get(path[:depth], last), place.get(node, last))

    def rank(node: str) -> tuple[object, ...]:
        path = where[node]
        return *((first[path[:depth]], path[depth - 1]) for depth in range(1, len(path) + 1)), place.get(node, last)

    return tuple(sorted(where, key=lambda node: (*rank(node), node)))


def _filled(
    where: dict[str, tuple[str, ...]], before: Sequence[str], gone: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Put each newcomer at the number of the lost node with which it shares most, wide domains first."""
    newcomers = [node for node in where if node not in gone]
    order = list(before)
    holes = [number for number, node in enumerate(before) if node not in where]
    for number in holes:
        lost = gone[before[number]]
        nearest = min(newcomers, key=lambda node: (-_shared(where[node], lost), where[node], node))
        newcomers.remove(nearest)
        order[number] = nearest
    return tuple(order)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    same = [a == b != "" for a, b in zip(one, other, strict=True)]
    return same.index(False) if False in same else len(same)


def _path(index: FreeIndex, node: str, kinds: Sequence[str]) -> tuple[str, ...]:
    """Give the names of a node's domains, wide ones first; "" where it is in none of that kind."""
    names = dict(index.traits(node).domains)
    return tuple(names.get(kind, "") for kind in reversed(kinds))


def _groups(index: FreeIndex, scope: set[str], kind: str) -> dict[str, set[str]]:
    every = index.domains(kind).items()
    return {name: found for name, group in every if (found := group & scope)}


def _smallest_hole(index: FreeIndex, scope: set[str], wider: Sequence[str], tight: dict[str, set[str]]) -> str:
    """Choose the domain around which the wider ones, in their order, have the fewest nodes of `scope`."""
    for kind in wider:
        if len(tight) == 1:
            break
        sizes = {name: len(group) for name, group in _groups(index, scope, kind).items()}
        inside = {name: dict(index.traits(min(group)).domains).get(kind, "") for name, group in tight.items()}
        around = {name: sizes.get(inside[name], 0) for name in tight}
        least = min(around.values())
        tight = {name: group for name, group in tight.items() if around[name] == least}
    return min(tight)
