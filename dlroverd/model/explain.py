"""Why nodes cannot be taken for a gang, and why a job does not fit: short sentences with true numbers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dlroverd.model.candidates import candidates
from dlroverd.model.constraints import parse, unmet
from dlroverd.model.free_index import FreeIndex
from dlroverd.model.placement import GangRequest, NodeTraits, PlacementRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A node that no gang of a request can have, and why not."""

    node: str
    reason: str


def explain(index: FreeIndex, request: PlacementRequest, held: Mapping[str, str]) -> tuple[Rejected, ...]:
    """Say of each node that no gang of the request can have why not, by node id.

    `held` says it of nodes that may not be used, and of those that the job avoids.
    """
    rejected = []
    for node in sorted({*index.described(), *index.usable(), *held}):
        if node in held:
            rejected.append(Rejected(node=node, reason=held[node]))
            continue
        reasons = {gang.role: why_not(index, request, gang, node) for gang in request.gangs}
        if all(reasons.values()):
            same = len(set(reasons.values())) == 1
            each = [reason if same else f"{role}: {reason}" for role, reason in reasons.items()]
            rejected.append(Rejected(node=node, reason="; ".join(each[:1] if same else each)))
    return tuple(rejected)


def why_not(index: FreeIndex, request: PlacementRequest, gang: GangRequest, node: str) -> str:
    """Say why a node cannot be taken for a gang; "" if it can."""
    traits, free = index.traits(node), index.free(node)
    if node in gang.exclude:
        return "excluded by the job"
    if gang.nodelist and node not in gang.nodelist:
        return "not in the job's node list"
    text, found = unmet(gang.require, traits)
    if text:
        return f"{found} where {text} is asked for"
    if traits.memory_bytes < gang.memory_bytes:
        return f"its memory, {size_phrase(traits.memory_bytes)}, is less than {_memory(gang)}"
    if node in request.avoid:
        return "avoided by the job"
    for seated in request.seated:
        if seated.role in gang.apart_from and node in seated.nodes:
            return f"has role {seated.role}, from which {gang.role} is to be apart"
    if free is None:
        return "may not be used now"
    if free < gang.slots_per_node:
        return f"{free} of {traits.slots or free} slots free"
    return ""


def short_of(index: FreeIndex, request: PlacementRequest, gang: GangRequest, *, beside: bool = False) -> str:
    """Say what a gang needs and what there is; `beside`: as things are with other gangs of the job placed."""
    room = candidates(index, request, gang).count(index)
    there = f"{nodes_phrase(room)} {'has' if room == 1 else 'have'} {gang.slots_per_node} free"
    if beside:
        there += " beside the job's other gangs"
    said = _ruled_out(index, gang, index.usable())[1] if _choosy(gang) else []
    related = [f"apart from {role}" for role in gang.apart_from]
    related += [f"together with {role}" for role in gang.together_with]
    if related:
        said.append(f"it is to be {' and '.join(related)}")
    return "; ".join((_asks("needs", gang, several=len(request.gangs) > 1), there, *said))


def never(index: FreeIndex, request: PlacementRequest) -> str:
    """Say why a job's constraints could not be met even if every known node were free; "" if they could be."""
    every = index.described()
    for gang in request.gangs:
        if not _choosy(gang):
            continue
        left, ruled_out = _ruled_out(index, gang, every)
        large = sum(every[node].slots >= gang.slots_per_node for node in left)
        if large < gang.fewest:
            there = f"{large} of the {nodes_phrase(len(every))} known would do"
            return "; ".join((_asks("asks for", gang, several=len(request.gangs) > 1), there, *ruled_out))
    return ""


def nodes_phrase(count: int) -> str:
    """Say `1 node` or `2 nodes`."""
    return f"{count} node{'s' if count != 1 else ''}"


def size_phrase(size_bytes: int) -> str:
    """Write bytes in whole GiB, or MiB where those are few, rounded down: `64 GiB`."""
    unit, factor = ("GiB", 1 << 30) if size_bytes >= 10 << 30 or size_bytes % (1 << 30) == 0 else ("MiB", 1 << 20)
    return f"{size_bytes // factor} {unit}"


def _memory(gang: GangRequest) -> str:
    return f"the {size_phrase(gang.memory_bytes)} that checkpoints and ranks are to have"


def _choosy(gang: GangRequest) -> bool:
    return bool(gang.require or gang.nodelist or gang.exclude or gang.memory_bytes)


def _asks(verb: str, gang: GangRequest, *, several: bool) -> str:
    whose = f"role {gang.role} gang {gang.gang} {verb}" if several else verb
    least = "at least " if gang.most > gang.fewest else ""
    slots = f"{gang.slots_per_node} slot{'s' if gang.slots_per_node != 1 else ''}"
    return f"{whose} {least}{nodes_phrase(gang.fewest)} x {slots}"


def _ruled_out(index: FreeIndex, gang: GangRequest, nodes: Collection[str]) -> tuple[set[str], list[str]]:
    """Give those of `nodes` that a gang's constraints allow, and say how many each constraint rules out."""
    left, said = set(nodes), []
    for barred, one, more in (
        (left.intersection(gang.exclude), "is excluded", "are excluded"),
        (left.difference(gang.nodelist or left), "is not in the node list", "are not in the node list"),
    ):
        lost = barred & left
        left -= lost
        if lost:
            said.append(f"{len(lost)} {one if len(lost) == 1 else more}")
    for text in gang.require:
        constraint = parse(text)
        lost = set()
        for (labels, model), alike in index.alike().items():
            if constraint.unmet(NodeTraits(labels=labels, model=model)):
                lost |= alike & left
        left -= lost
        if lost:
            verb = "lack" if constraint.holds else "are ruled out by"
            one = "lacks" if constraint.holds else "is ruled out by"
            said.append(f"{len(lost)} {one if len(lost) == 1 else verb} {text}")
    small = {node for node in left if gang.memory_bytes and index.traits(node).memory_bytes < gang.memory_bytes}
    if small:
        said.append(f"{len(small)} {'has' if len(small) == 1 else 'have'} less memory than {_memory(gang)}")
    left -= small
    return left, said
