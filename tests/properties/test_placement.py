"""The built-in rule of placement against brute force on small fleets, and what it costs on large ones."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dlroverd.model.free_index import FreeIndex
from dlroverd.model.packing import in_rank_order
from dlroverd.model.place import place
from dlroverd.model.placement import FreeNode, GangPlacement, GangRequest, NoFit, Placement, PlacementRequest
from dlroverd.model.placement_check import broken_rule
from tests.properties.placing import PACK, RACKED, fits, fleets, legal, racks, requests, suits, tight, wishes

Fleet = tuple[FreeNode, ...]
plain_fleets = fleets(described=False)
# Time is not what is tested, and a busy machine gives little of it.
patient = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
one_gang = requests(most_gangs=1, choosy=True)


def able(fleet: Fleet, request: PlacementRequest) -> dict[str, FreeNode]:
    """The nodes that the only gang of a request could have."""
    (gang,) = request.gangs
    return {n.node: n for n in fleet if n.free >= gang.slots_per_node and suits(n, request, gang)}


def domain(node: FreeNode, kind: str) -> str:
    return dict(node.domains).get(kind, "")


def tenths(node: FreeNode) -> int:
    return round(node.doubt * 10)


# ---- every answer


@patient
@given(fleets(fewest=3), requests(choosy=True, related=True))
def test_an_answer_keeps_every_rule_and_leaves_the_index_alone(fleet: Fleet, request: PlacementRequest) -> None:
    index = FreeIndex(fleet)
    answer = place(index, request)
    if isinstance(answer, Placement):
        assert legal(fleet, request, answer)
        assert broken_rule(index, request, answer) == ""
    assert tuple(index.nodes()) == fleet
    assert [node for level in index.buckets(0) for node in level] == sorted(index.usable(), key=index.order)


@patient
@given(fleets(fewest=3), requests(choosy=True, related=True), st.data())
def test_whatever_breaks_a_rule_is_found_out(fleet: Fleet, request: PlacementRequest, data: st.DataObject) -> None:
    bare = [replace(g, require=(), nodelist=(), exclude=(), apart_from=(), together_with=()) for g in request.gangs]
    answer = place(FreeIndex(fleet), PlacementRequest(job=1, name="j", gangs=tuple(bare)))
    if isinstance(answer, NoFit):
        names = st.lists(st.sampled_from([node.node for node in fleet]), max_size=4).map(tuple)
        placed = (GangPlacement(role=g.role, gang=g.gang, nodes=data.draw(names)) for g in request.gangs)
        answer = Placement(gangs=tuple(placed))
    assert (broken_rule(FreeIndex(fleet), request, answer) == "") is legal(fleet, request, answer)


@patient
@given(fleets(fewest=3), requests(choosy=True, equal_slots=True))
def test_gangs_of_equal_ranks_fit_exactly_when_any_way_exists(fleet: Fleet, request: PlacementRequest) -> None:
    assert isinstance(place(FreeIndex(fleet), request), Placement) is fits(fleet, request)


@patient
@given(tight())
def test_gangs_move_over_where_that_makes_room(case: tuple[Fleet, PlacementRequest]) -> None:
    fleet, request = case
    answer = place(FreeIndex(fleet), request)
    assert isinstance(answer, Placement) is fits(fleet, request)
    assert isinstance(answer, NoFit) or legal(fleet, request, answer)


@patient
@given(fleets(fewest=3), requests(most_gangs=2, choosy=True, related=True))
def test_no_fit_is_never_hidden_by_an_answer(fleet: Fleet, request: PlacementRequest) -> None:
    if not fits(fleet, request):
        assert isinstance(place(FreeIndex(fleet), request), NoFit)


@patient
@given(fleets(fewest=3), requests(choosy=True, related=True))
def test_the_answer_does_not_depend_on_how_the_index_came_about(fleet: Fleet, request: PlacementRequest) -> None:
    worn = FreeIndex(reversed(fleet))
    for node in fleet:
        worn.describe(node.node, None)
        worn.set(node.node, 9)
        worn.set("gone", node.free)
    for node in fleet:
        worn.set(node.node, node.free)
        worn.describe(node.node, node.traits)
    worn.remove("gone")
    worn.remove("gone")
    assert place(worn, request) == place(FreeIndex(fleet), request)


def test_a_large_role_goes_where_a_small_one_that_it_is_together_with_must_be() -> None:
    fleet = [FreeNode(node=name, slots=8, free=free) for name, free in (("a", 4), ("b", 4), ("x", 8))]
    trainer = GangRequest(role="trainer", gang=0, nodes_min=2, nodes_max=2, node_unit=1, slots_per_node=4)
    ps = replace(trainer, role="ps", nodes_min=1, nodes_max=1, slots_per_node=1, nodelist=("x",))
    request = PlacementRequest(job=1, name="j", gangs=(trainer, replace(ps, together_with=("trainer",))))
    answer = place(FreeIndex(fleet), request)
    assert isinstance(answer, Placement)
    assert [gang.nodes for gang in answer.gangs] == [("a", "x"), ("x",)]


# ---- one gang


@patient
@given(fleets(fewest=3), one_gang)
def test_one_gang_gets_the_largest_legal_count_of_the_least_doubtful(fleet: Fleet, request: PlacementRequest) -> None:
    (gang,) = request.gangs
    could = able(fleet, request)
    answer = place(FreeIndex(fleet), request)
    doubts = [t for t in range(11) if sum(tenths(n) <= t for n in could.values()) >= gang.fewest]
    if not doubts:
        assert isinstance(answer, NoFit)
        have = "node has" if len(could) == 1 else "nodes have"
        assert f"; {len(could)} {have} {gang.slots_per_node} free" in answer.reason
        return
    assert isinstance(answer, Placement)
    nodes = answer.gangs[0].nodes
    wanted = min(gang.most, len(could)) // gang.node_unit * gang.node_unit
    assert len(nodes) == wanted
    least = next(t for t in range(11) if sum(tenths(node) <= t for node in could.values()) >= wanted)
    assert all(tenths(could[name]) <= least for name in nodes)


@patient
@given(plain_fleets, requests(most_gangs=1))
def test_without_wishes_the_tightest_nodes_are_taken(fleet: Fleet, request: PlacementRequest) -> None:
    answer = place(FreeIndex(fleet), request)
    if isinstance(answer, Placement):
        count = len(answer.gangs[0].nodes)
        tight = sorted((node.free, name) for name, node in able(fleet, request).items())[:count]
        assert answer.gangs[0].nodes == tuple(sorted(name for _, name in tight))


def choices(fleet: Fleet, request: PlacementRequest) -> tuple[list[FreeNode], list[FreeNode]]:
    """The nodes that the gang was given, and those that it could have had instead without more doubt."""
    answer = place(FreeIndex(fleet), request)
    assume(isinstance(answer, Placement))
    assert isinstance(answer, Placement)
    could = able(fleet, request)
    chosen = [could[node] for node in answer.gangs[0].nodes]
    least = request.gangs[0].fewest
    worst = next(t for t in range(11) if sum(tenths(n) <= t for n in could.values()) >= least)
    return chosen, [n for n in could.values() if tenths(n) <= worst and n not in chosen]


@patient
@given(racks(), wishes(pack=PACK))
def test_packing_takes_the_narrowest_domain_that_holds_the_gang_or_the_fewest(
    fleet: Fleet, request: PlacementRequest
) -> None:
    chosen, others = choices(fleet, request)
    for kind in PACK:
        sizes = Counter(domain(n, kind) for n in (*chosen, *others) if domain(n, kind))
        enough = [size for size in sizes.values() if size >= len(chosen)]
        if enough:
            (name,) = {domain(n, kind) for n in chosen}
            assert len(chosen) == 1 or sizes[name] == min(enough)
            return
    largest = sorted(sizes.values(), reverse=True)
    fewest = next((k for k in range(len(largest) + 1) if sum(largest[:k]) >= len(chosen)), len(largest))
    assert len({domain(n, "rack") for n in chosen} - {""}) == fewest


@patient
@given(racks(), wishes(spread="rack", pack=PACK))
def test_spreading_takes_evenly_from_as_many_domains_as_can_be(fleet: Fleet, request: PlacementRequest) -> None:
    assume(any(n.domains for n in fleet))
    chosen, others = choices(fleet, request)
    used = Counter(domain(n, "rack") for n in chosen)
    left = {domain(n, "rack") for n in others} - {""}
    assert all(used[full] <= used[spare] + 1 for full in used.keys() - {""} for spare in left)
    assert not (used[""] and left)


@patient
@given(racks(), wishes(pack=PACK), st.lists(st.sampled_from(RACKED), unique=True, max_size=6))
def test_nodes_that_a_gang_had_are_taken_again(fleet: Fleet, request: PlacementRequest, had: list[str]) -> None:
    request = replace(request, gangs=(replace(request.gangs[0], near=tuple(had)),))
    chosen, others = choices(fleet, request)
    assert not {n.node for n in others} & set(had) or {n.node for n in chosen} <= set(had)


@patient
@given(racks(), wishes(pack=PACK), st.sampled_from(RACKED))
def test_others_are_taken_near_those_that_a_gang_has(fleet: Fleet, request: PlacementRequest, own: str) -> None:
    gang = replace(request.gangs[0], near=(own,))
    chosen, others = choices(fleet, replace(request, gangs=(gang,), avoid=(own,)))
    here = next((n for n in fleet if n.node == own), None)
    assume(here is not None)
    assert here is not None
    for kind in PACK:
        close = [n for n in (*chosen, *others) if domain(n, kind) == domain(here, kind) != ""]
        if len(close) >= len(chosen):
            assert all(n in close for n in chosen)
            return


# ---- the order of ranks


@patient
@given(fleets(), st.lists(st.sampled_from([f"n{i}" for i in range(8)]), unique=True, max_size=6))
def test_ranks_of_one_domain_are_neighbours(fleet: Fleet, before: list[str]) -> None:
    nodes = {node.node: node for node in fleet}
    order = in_rank_order(FreeIndex(fleet), nodes, PACK, before)
    assert sorted(order) == sorted(nodes)
    kept = [node for node in order if node in before]
    if len(order) == len(before) and kept:
        assert all(order[number] == node for number, node in enumerate(before) if node in nodes)
        return
    for kind in PACK:
        runs = [
            domain(nodes[a], kind)
            for a, b in zip(order, (*order[1:], None), strict=False)
            if b is None or domain(nodes[a], kind) != domain(nodes[b], kind)
        ]
        assert len(runs) == len(set(runs))
    for switch in {domain(node, "switch") for node in nodes.values()}:
        stayed = [node for node in kept if domain(nodes[node], "switch") == switch]
        assert stayed == [node for node in before if node in stayed]


def test_a_newcomer_takes_the_number_of_the_lost_node_of_its_domain() -> None:
    where = {"a1": "r1", "a2": "r1", "a3": "r1", "b1": "r2", "b2": "r2", "b3": "r2"}
    fleet = [FreeNode(node=node, slots=1, free=1, domains=(("rack", rack),)) for node, rack in where.items()]
    order = in_rank_order(FreeIndex(fleet), ["a1", "a3", "b2", "b3"], ["rack"], ["b1", "b2", "a1", "a2"])
    assert order == ("b3", "b2", "a1", "a3")


def test_worlds_of_another_size_keep_the_order_of_domains() -> None:
    where = {"a1": "r1", "a2": "r1", "b1": "r2", "b2": "r2", "c1": "r3"}
    fleet = [FreeNode(node=node, slots=1, free=1, domains=(("rack", rack),)) for node, rack in where.items()]
    order = in_rank_order(FreeIndex(fleet), list(where), ["rack"], ["b2", "a2"])
    assert order == ("b2", "b1", "a2", "a1", "c1")


# ---- what it costs


class CountingIndex(FreeIndex):
    """Counts what is asked of the index."""

    operations = 0

    def set(self, node: str, free: int) -> None:
        self.operations += 1
        super().set(node, free)

    def buckets(self, need: int, doubt: int = 10) -> Iterator[list[str]]:
        for level in super().buckets(need, doubt):
            self.operations += 1
            yield level


@pytest.mark.parametrize("slots", [1, 4, 8])
def test_the_cost_does_not_grow_with_the_fleet(slots: int) -> None:
    wanted = PlacementRequest(
        job=1,
        name="j",
        gangs=tuple(
            GangRequest(role="t", gang=n, nodes_min=2, nodes_max=4, node_unit=1, slots_per_node=slots) for n in range(3)
        ),
    )

    def cost(fleet: int, free: int) -> int:
        index = CountingIndex(FreeNode(node=f"n{i:05}", slots=8, free=free) for i in range(fleet))
        index.operations = 0
        place(index, wanted)
        return index.operations

    assert cost(20, 8) == cost(5000, 8) < 150
    assert cost(5000, 0) == 0
