"""Small fleets and jobs drawn at random, and what brute force finds for them."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from hypothesis import strategies as st

from dlroverd.model.placement import FreeNode, GangPlacement, GangRequest, Placement, PlacementRequest

ROLES = ("trainer", "ps", "evaluator")
NAMES = tuple(f"n{i}" for i in range(6))
MEMORY = 64 << 30
PACK = ("switch", "rack")
CONSTRAINTS = ("ssd", "!ssd", "gpu=a", "gpu!=a", "gpu=b", "device=*H100*", "device!=*H100*")


@st.composite
def fleets(draw: st.DrawFn, *, described: bool = True, fewest: int = 0) -> tuple[FreeNode, ...]:
    """Draw `fewest` to 6 nodes of 4 slots; switches are in racks, as in reality, and some nodes are in no known one."""
    nodes = []
    for name in draw(st.sets(st.sampled_from(NAMES), min_size=fewest)):
        switch = draw(st.sampled_from(("s1", "s2", "s3", "")))
        where = (("rack", "r1" if switch == "s1" else "r2"), ("switch", switch)) if switch else ()
        labels = (
            draw(st.sampled_from(((), (("gpu", "a"),), (("gpu", "b"),)))),
            draw(st.sampled_from(((), (("ssd", ""),)))),
        )
        nodes.append(
            FreeNode(
                node=name,
                slots=4,
                free=draw(st.sampled_from((4, 4, 4, 3, 2, 1, 0))),
                labels=tuple(pair for part in labels for pair in part) if described else (),
                domains=where if described else (),
                model=draw(st.sampled_from(("", "NVIDIA H100 80GB"))) if described else "",
                doubt=draw(st.sampled_from((0.0, 0.0, 0.0, 0.3, 0.31, 0.9))) if described else 0.0,
                memory_bytes=draw(st.sampled_from((MEMORY, MEMORY, 1))) if described else 0,
            )
        )
    return tuple(sorted(nodes, key=lambda node: node.node))


@st.composite
def racks(draw: st.DrawFn) -> tuple[FreeNode, ...]:
    """Draw up to 16 nodes behind 5 switches in 3 racks, mostly free and proven; a few are in no known domain."""
    nodes = []
    for switch, rack in (("s1", "r1"), ("s2", "r1"), ("s3", "r2"), ("s4", "r2"), ("s5", "r3"), ("", "")):
        nodes += [
            FreeNode(
                node=f"{switch or 'x'}n{number}",
                slots=4,
                free=draw(st.sampled_from((4, 4, 4, 2, 0))),
                domains=(("rack", rack), ("switch", switch)) if switch else (),
                doubt=draw(st.sampled_from((0.0, 0.0, 0.0, 0.5))),
            )
            for number in range(draw(st.integers(0, 3 if switch else 1)))
        ]
    return tuple(sorted(nodes, key=lambda node: node.node))


RACKED = tuple(f"s{switch}n{number}" for switch in range(1, 6) for number in range(3))


@st.composite
def tight(draw: st.DrawFn) -> tuple[tuple[FreeNode, ...], PlacementRequest]:
    """Draw a fleet that is nearly full, and 2 or 3 gangs of equal ranks that may have only some nodes each."""
    names = NAMES[:5]
    fleet = tuple(FreeNode(node=name, slots=2, free=draw(st.integers(0, 2))) for name in names)
    wanted = []
    for number in range(draw(st.integers(2, 3))):
        count = draw(st.integers(1, 3))
        wanted.append(
            GangRequest(
                role=ROLES[number],
                gang=0,
                nodes_min=count,
                nodes_max=count + draw(st.integers(0, 1)),
                node_unit=1,
                slots_per_node=1,
                nodelist=tuple(draw(st.sets(st.sampled_from(names), min_size=count))),
            )
        )
    return fleet, PlacementRequest(job=1, name="j", gangs=tuple(wanted))


def seldom(what: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw nothing two times of three, so that most of a job is not bound by most of what may bind it."""
    return st.integers(0, 2).flatmap(lambda third: what if third == 2 else st.just(()))


most_nodes = st.sets(st.sampled_from((*NAMES, "unknown")), min_size=3).map(tuple)
some_nodes = st.lists(st.sampled_from((*NAMES, "unknown")), max_size=3, unique=True).map(tuple)


@st.composite
def gangs(draw: st.DrawFn, number: int, slots: st.SearchStrategy[int], *, choosy: bool, related: bool) -> GangRequest:
    unit = draw(st.sampled_from((1, 1, 2)))
    fewest = draw(st.integers(1, 2)) * unit
    most = fewest + draw(st.integers(0, 2)) * unit
    some_roles = st.lists(st.sampled_from(ROLES), max_size=2, unique=True).map(tuple)
    return GangRequest(
        role=draw(st.sampled_from(ROLES[:2])),
        gang=number,
        nodes_min=fewest,
        nodes_max=most,
        node_unit=unit,
        slots_per_node=draw(slots),
        require=draw(seldom(st.lists(st.sampled_from(CONSTRAINTS), max_size=2).map(tuple))) if choosy else (),
        nodelist=draw(seldom(most_nodes)) if choosy else (),
        exclude=draw(seldom(some_nodes)) if choosy else (),
        near=draw(some_nodes) if choosy else (),
        memory_bytes=draw(st.sampled_from((0, 0, MEMORY))) if choosy else 0,
        spread=draw(st.sampled_from(("", "", "rack", "pdu"))) if choosy else "",
        pack=draw(st.sampled_from(((), PACK, PACK[:1]))) if choosy else (),
        apart_from=draw(seldom(some_roles)) if related else (),
        together_with=draw(seldom(some_roles)) if related else (),
    )


@st.composite
def requests(
    draw: st.DrawFn, *, most_gangs: int = 3, equal_slots: bool = False, choosy: bool = False, related: bool = False
) -> PlacementRequest:
    slots = st.just(draw(st.integers(1, 3))) if equal_slots else st.sampled_from((1, 1, 2, 2, 3, 4))
    count = draw(st.integers(1, most_gangs))
    seated: tuple[GangPlacement, ...] = ()
    if related and draw(st.integers(0, 3)) == 3:
        nodes = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
        seated = (GangPlacement(role=draw(st.sampled_from(ROLES)), gang=9, nodes=tuple(nodes)),)
    return PlacementRequest(
        job=1,
        name="j",
        gangs=tuple(draw(gangs(number, slots, choosy=choosy, related=related)) for number in range(count)),
        avoid=draw(seldom(some_nodes)) if choosy else (),
        seated=seated,
    )


@st.composite
def wishes(draw: st.DrawFn, *, spread: str = "", pack: tuple[str, ...] = ()) -> PlacementRequest:
    """One gang of small ranks, with few constraints and with wishes."""
    fewest = draw(st.integers(1, 6))
    gang = GangRequest(
        role="trainer",
        gang=0,
        nodes_min=fewest,
        nodes_max=fewest + draw(st.integers(0, 2)),
        node_unit=1,
        slots_per_node=draw(st.integers(1, 2)),
        exclude=draw(st.lists(st.sampled_from(RACKED), max_size=1).map(tuple)),
        spread=spread,
        pack=pack,
    )
    return PlacementRequest(job=1, name="j", gangs=(gang,))


def legal(fleet: tuple[FreeNode, ...], request: PlacementRequest, answer: Placement) -> bool:
    """Whether an answer keeps every rule, said once more and more simply than in the code."""
    known = {node.node: node for node in fleet}
    used = Counter[str]()
    for gang, given in zip(request.gangs, answer.gangs, strict=True):
        used.update(dict.fromkeys(given.nodes, gang.slots_per_node))
        if len({*given.nodes}) != len(given.nodes) or not gang.nodes_min <= len(given.nodes) <= gang.nodes_max:
            return False
        if len(given.nodes) % gang.node_unit or not all(suits(known.get(node), request, gang) for node in given.nodes):
            return False
    where: dict[str, list[set[str]]] = {}
    for given in (*answer.gangs, *request.seated):
        where.setdefault(given.role, []).append(set(given.nodes))
    for gang, given in zip(request.gangs, answer.gangs, strict=True):
        for role in gang.apart_from:
            others = [nodes for nodes in where.get(role, ()) if role != gang.role or nodes != set(given.nodes)]
            twice = role == gang.role and where[role].count(set(given.nodes)) > 1
            if twice or any(nodes & set(given.nodes) for nodes in others):
                return False
        own = set().union(*where[gang.role])
        for role in gang.together_with:
            theirs = set().union(*where.get(role, ()))
            if theirs and not own <= theirs and not theirs <= own:
                return False
    return all(used[node] <= known[node].free for node in used)


def suits(node: FreeNode | None, request: PlacementRequest, gang: GangRequest) -> bool:
    """Whether a gang may have a node, as far as its own words go."""
    if node is None or node.node in (*gang.exclude, *request.avoid):
        return False
    if (gang.nodelist and node.node not in gang.nodelist) or node.memory_bytes < gang.memory_bytes:
        return False
    has = dict(node.labels)
    met = {
        "ssd": "ssd" in has,
        "!ssd": "ssd" not in has,
        "gpu=a": has.get("gpu") == "a",
        "gpu!=a": has.get("gpu") != "a",
        "gpu=b": has.get("gpu") == "b",
        "device=*H100*": "H100" in node.model,
        "device!=*H100*": "H100" not in node.model,
    }
    return all(met[text] for text in gang.require)


def fits(fleet: tuple[FreeNode, ...], request: PlacementRequest) -> bool:
    """Whether all gangs fit with their fewest nodes: every way is tried."""
    return any(legal(fleet, request, Placement(gangs=given)) for given in _ways(fleet, request, ()))


def _ways(
    fleet: tuple[FreeNode, ...], request: PlacementRequest, given: tuple[GangPlacement, ...]
) -> Iterator[tuple[GangPlacement, ...]]:
    if len(given) == len(request.gangs):
        yield given
        return
    gang = request.gangs[len(given)]
    used = Counter[str]()
    for each, before in zip(request.gangs, given, strict=False):
        used.update(dict.fromkeys(before.nodes, each.slots_per_node))
    able = [n.node for n in fleet if n.free - used[n.node] >= gang.slots_per_node and suits(n, request, gang)]
    for chosen in combinations(able, gang.fewest):
        yield from _ways(fleet, request, (*given, GangPlacement(role=gang.role, gang=gang.gang, nodes=chosen)))
