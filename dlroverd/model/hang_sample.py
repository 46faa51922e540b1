"""Whom to look at when a gang makes no step: everyone, or of a large world those that may be waited for first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlroverd.model.ids import RankKey

# What is asked for at once: each node answers on a call of its own, all of them within the same second or two, and the
# main threads of a rank and its children take some 10 KiB: a wave is about 5 MiB, which the daemon reads in passing.
MOST_NODES, MOST_RANKS = 64, 512
# Each takes about five seconds. Whom four waves do not show, nor what was read of all ranks, more would seldom.
MOST_WAVES = 4


@dataclass(frozen=True, slots=True)
class Signs:
    """What was read of a gang's ranks since it made no step; who is absent is unknown.

    `steps`: how far each is. `idle`: whether its device did nothing for all of that time; False if it was busy instead.
    """

    steps: Mapping[int, float] = field(default_factory=dict)
    idle: Mapping[int, bool] = field(default_factory=dict)


def waves(ranks: Sequence[tuple[RankKey, str]], signs: Signs) -> list[list[tuple[RankKey, str]]]:
    """Divide ranks, given with their nodes, into those to be asked about at once, those that differ first.

    After the nodes of these come their neighbours, which talk to them in a ring; then every so many-th of the rest.
    """
    of_node: dict[str, list[tuple[RankKey, str]]] = {}
    for each in ranks:
        of_node.setdefault(each[1], []).append(each)
    nodes = list(of_node)
    newest, few_idle = max(signs.steps.values(), default=0.0), 2 * sum(signs.idle.values()) < len(signs.idle)

    def oddness(node: str) -> tuple[float, bool]:
        own = [key.rank for key, _ in of_node[node]]
        step = min(signs.steps.get(rank, newest) for rank in own)
        return step, not (few_idle and any(signs.idle.get(rank) for rank in own))

    odd = sorted(
        (number for number, node in enumerate(nodes) if oddness(node) != (newest, True)),
        key=lambda number: oddness(nodes[number]),
    )
    near = [(number + by) % len(nodes) for number in odd for by in (-1, 1)]
    apart = max(-(-len(nodes) // MOST_NODES), -(-len(ranks) // MOST_RANKS))
    spread = [number for first in range(apart) for number in range(first, len(nodes), apart)]
    made: list[list[tuple[RankKey, str]]] = []
    asked = MOST_NODES
    for number in dict.fromkeys((*odd, *near, *spread)):
        own = of_node[nodes[number]]
        if asked == MOST_NODES or len(made[-1]) + len(own) > MOST_RANKS:
            if len(made) == MOST_WAVES:
                break
            made.append([])
            asked = 0
        made[-1].extend(own)
        asked += 1
    return made
