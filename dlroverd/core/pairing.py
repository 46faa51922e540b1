"""Who meets whom in a benchmark that takes several nodes, and what its times say of nodes and of what is between them.

DLRover's two rounds: neighbours, then the fastest with the slowest, so that each suspect meets a node that did well.
A node that was well in any group is proven. One that failed with two others that are proven is bad; two that failed
together and are proven each have a bad link. Where that leaves a doubt (two bad nodes met each other, or each met one
of the good) there are up to three rounds more, of those in doubt with proven nodes, or with any that they have not met.
A path that was slow is tried once more.
Pure; three nodes or fewer can tell nothing of who is to blame.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import median_low

from dlroverd.model.checkup import MatchRound

Group = tuple[str, ...]

MOST_ROUNDS = 5
LEAST_NODES = 4
# DLRover's line: slower than so many times the median of all.
_SLOW = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What all rounds say. `links` are groups whose nodes are well, and not with each other; `slow_links` alike."""

    bad: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    links: tuple[Group, ...] = ()
    slow_links: tuple[Group, ...] = ()
    unknown: tuple[str, ...] = ()


def next_groups(nodes: tuple[str, ...], rounds: tuple[MatchRound, ...]) -> tuple[Group, ...]:
    """Say who is to meet whom next; nobody once all is told, or nothing more can be."""
    if not rounds:
        return _paired(nodes, [(each, each + 1) for each in range(0, len(nodes) - 1, 2)])
    if len(nodes) < LEAST_NODES or len(rounds) >= MOST_ROUNDS:
        return ()
    if len(rounds) == 1:
        seen = _Seen.of(rounds)
        return _crossed(nodes, rounds[0]) if seen.failed or seen.slow else ()
    return _settling(nodes, rounds)


def judge(nodes: tuple[str, ...], rounds: tuple[MatchRound, ...]) -> Judgement:
    """Say who is bad, slow, or badly joined, and of whom that is not known."""
    seen = _Seen.of(rounds)
    doubt = tuple(node for node in nodes if node not in seen.proven)
    if len(nodes) < LEAST_NODES:
        return Judgement(unknown=doubt)
    guilty = [node for node in doubt if len(seen.with_proven(node)) > 1]
    slow = tuple(node for node in guilty if not any(group in seen.failed for group in seen.with_proven(node)))
    apart = [group for group in (*seen.failed, *seen.slow) if seen.proven.issuperset(group)]
    # Where two of three are known not to work together, that is why the three did not.
    apart = [
        group
        for place, group in enumerate(apart)
        if not any({*other} < {*group} for other in apart) and not any({*other} == {*group} for other in apart[:place])
    ]
    return Judgement(
        bad=tuple(node for node in guilty if node not in slow),
        slow=slow,
        links=tuple(group for group in apart if group in seen.failed),
        slow_links=tuple(group for group in apart if group in seen.slow),
        unknown=tuple(node for node in doubt if node not in guilty),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Which groups did well, which were slow and which failed. One of which somebody was not heard says nothing.

    Slow is what takes longer than is usual, and than the fastest that met at the same time: a fleet may have more to
    do in one round than in another. `again` are those that were slow the only time they met.
    """

    well: tuple[Group, ...]
    slow: tuple[Group, ...]
    failed: tuple[Group, ...]
    again: tuple[Group, ...]

    @classmethod
    def of(cls, rounds: Iterable[MatchRound]) -> "_Seen":
        took: dict[Group, list[tuple[float, float]]] = {}
        failed: dict[Group, None] = {}
        for each in rounds:
            seconds = {group: [each.times.get(node, 0.0) for node in group] for group in each.groups}
            heard = {group: max(told) for group, told in seconds.items() if all(second > 0 for second in told)}
            failed |= {group: None for group, told in seconds.items() if all(told) and group not in heard}
            for group, second in heard.items():
                others = min((least for other, least in heard.items() if other != group), default=0.0)
                took.setdefault(group, []).append((second, others))
        usual = median_low(min(second for second, _ in runs) for runs in took.values()) if took else 0.0
        slow = tuple(
            group
            for group, runs in took.items()
            if all(second > _SLOW * max(usual, others) for second, others in runs) and group not in failed
        )
        again = tuple(group for group in slow if len(took[group]) == 1)
        return cls(tuple(group for group in took if group not in slow), slow, tuple(failed), again)

    @property
    def proven(self) -> frozenset[str]:
        return frozenset(node for group in self.well for node in group)

    def with_proven(self, node: str) -> list[Group]:
        """Give the groups in which a node was slow or failed with others that all are proven."""
        return [
            group for group in (*self.failed, *self.slow) if node in group and self.proven.issuperset({*group} - {node})
        ]

    def met(self) -> frozenset[frozenset[str]]:
        """Give the pairs of which it is known whether they work; of three that did not it is of none."""
        groups = (*self.well, *(group for group in (*self.failed, *self.slow) if len(group) == 2))
        return frozenset(frozenset(pair) for group in groups for pair in combinations(group, 2))


def _paired(nodes: tuple[str, ...], pairs: list[tuple[int, int]]) -> tuple[Group, ...]:
    """Group nodes by their places; one that is left over joins the last pair."""
    groups = [(nodes[one], nodes[other]) for one, other in pairs]
    left = tuple(node for node in nodes if not any(node in group for group in groups))
    return (*groups[:-1], (*groups[-1], *left)) if groups else ()


def _crossed(nodes: tuple[str, ...], last: MatchRound) -> tuple[Group, ...]:
    """Pair the fastest with the slowest inward; those that failed or were not heard come last."""
    ordered = tuple(sorted(nodes, key=lambda node: last.times.get(node, 0.0) if last.times.get(node, 0.0) > 0 else 1e9))
    return _paired(ordered, [(each, len(ordered) - 1 - each) for each in range(len(ordered) // 2)])


def _settling(nodes: tuple[str, ...], rounds: tuple[MatchRound, ...]) -> tuple[Group, ...]:
    """Have each node that is in doubt meet a proven one that it has not met, or else any such one; retry slow paths."""
    seen = _Seen.of(rounds)
    heard = {node for each in rounds for node, second in each.times.items() if second}
    doubt = [node for node in nodes if node in heard and node not in seen.proven and len(seen.with_proven(node)) < 2]
    met = seen.met()
    free = [node for node in nodes if node in seen.proven]
    groups: list[Group] = []
    while doubt:
        node = doubt.pop(0)
        other = next(_unmet(node, free, met), None) or next(_unmet(node, doubt, met), None)
        if other is not None:
            (free if other in free else doubt).remove(other)
            groups.append((node, other))
    # A path that was slow once, between nodes that are well with others, may have been busy.
    busy = {node for group in groups for node in group}
    for group in seen.again:
        if seen.proven.issuperset(group) and not busy & {*group}:
            groups.append(group)
            busy |= {*group}
    return tuple(groups)


def _unmet(node: str, others: list[str], met: frozenset[frozenset[str]]) -> Iterator[str]:
    return (other for other in others if frozenset((node, other)) not in met)
