"""What binds every answer to a placement question, whoever gives it."""

from collections.abc import Iterator

from dlroverd.model.candidates import candidates
from dlroverd.model.explain import nodes_phrase, why_not
from dlroverd.model.free_index import FreeIndex
from dlroverd.model.placement import GangPlacement, GangRequest, Placement, PlacementRequest


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
            return f"it gives {label} {nodes_phrase(count)} where {legal} are legal"
        suits = candidates(index, request, gang)
        for node in given.nodes:
            free = index.free(node)
            if free is None:
                return f"it gives {label} node {node}, which may not be used"
            if node in request.avoid:
                return f"it gives {label} node {node}, which the job avoids"
            taken[node] = taken.get(node, 0) + gang.slots_per_node
            if taken[node] > free:
                return f"it takes {taken[node]} slots of node {node}, which has {free} free"
            if not suits.has(index, node):
                return f"it gives {label} node {node}: {why_not(index, request, gang, node)}"
    return next(_misplaced_roles(request, answer), "")


def _misplaced_roles(request: PlacementRequest, answer: Placement) -> Iterator[str]:
    """Say which roles share nodes that must not, or do not share nodes that must."""
    every = (*answer.gangs, *request.seated)
    for gang, given in zip(request.gangs, answer.gangs, strict=True):
        for other in every:
            shared = sorted(set(given.nodes).intersection(other.nodes))
            if other is not given and other.role in gang.apart_from and shared:
                yield f"it gives {_both(gang, other)}, which are to be apart, node {shared[0]}"
        own = _nodes_of(gang.role, every)
        for role in gang.together_with:
            theirs = _nodes_of(role, every)
            if theirs and not (own <= theirs or theirs <= own):
                yield f"it gives roles {gang.role} and {role}, which are to be together, nodes that they do not share"


def _both(gang: GangRequest, other: GangPlacement) -> str:
    return f"role {gang.role} gang {gang.gang} and role {other.role} gang {other.gang}"


def _nodes_of(role: str, gangs: tuple[GangPlacement, ...]) -> set[str]:
    return {node for gang in gangs if gang.role == role for node in gang.nodes}
