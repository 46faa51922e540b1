"""The built-in rule of placement against a brute-force model, and what it costs."""

from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.placement import (
    FreeIndex,
    FreeNode,
    GangRequest,
    NoFit,
    Placement,
    PlacementRequest,
    broken_rule,
    place,
)


@st.composite
def gangs(draw: st.DrawFn, number: int, slots: st.SearchStrategy[int]) -> GangRequest:
    unit = draw(st.integers(1, 2))
    fewest = draw(st.integers(1, 2)) * unit
    most = fewest + draw(st.integers(0, 2)) * unit
    return GangRequest(
        role=draw(st.sampled_from(["trainer", "ps"])),
        gang=number,
        nodes_min=fewest,
        nodes_max=most,
        node_unit=unit,
        slots_per_node=draw(slots),
    )


def requests(*, most_gangs: int = 3, equal_slots: bool = False) -> st.SearchStrategy[PlacementRequest]:
    def of(count: int, slots: int) -> st.SearchStrategy[PlacementRequest]:
        each = st.just(slots) if equal_slots else st.integers(1, 4)
        return st.builds(
            PlacementRequest,
            job=st.just(1),
            name=st.just("j"),
            gangs=st.tuples(*(gangs(number, each) for number in range(count))),
        )

    return st.tuples(st.integers(1, most_gangs), st.integers(1, 3)).flatmap(lambda pair: of(*pair))


fleets = st.dictionaries(st.sampled_from([f"n{i}" for i in range(6)]), st.integers(0, 4), max_size=6)


def index_of(fleet: dict[str, int]) -> FreeIndex:
    return FreeIndex(FreeNode(node=node, slots=4, free=free) for node, free in fleet.items())


def contents(index: FreeIndex, fleet: dict[str, int]) -> dict[str, int | None]:
    return {node: index.free(node) for node in fleet}


def fits(fleet: dict[str, int], wanted: list[GangRequest]) -> bool:
    """Whether all gangs fit with their fewest nodes: every way is tried."""
    if not wanted:
        return True
    gang, rest = wanted[0], wanted[1:]
    able = [node for node, free in fleet.items() if free >= gang.slots_per_node]
    return any(
        fits({n: f - gang.slots_per_node * (n in chosen) for n, f in fleet.items()}, rest)
        for chosen in combinations(able, gang.fewest)
    )


@given(fleets, requests())
def test_an_answer_keeps_every_rule_and_leaves_the_index_alone(
    fleet: dict[str, int], request: PlacementRequest
) -> None:
    index = index_of(fleet)
    answer = place(index, request)
    if isinstance(answer, Placement):
        assert broken_rule(index, request, answer) == ""
    assert contents(index, fleet) == fleet
    assert list(index.best_fit(0)) == sorted(fleet, key=lambda node: (fleet[node], node))


@given(fleets, requests(most_gangs=1))
def test_one_gang_gets_the_largest_legal_count_of_the_tightest_nodes(
    fleet: dict[str, int], request: PlacementRequest
) -> None:
    gang = request.gangs[0]
    able = sorted((free, node) for node, free in fleet.items() if free >= gang.slots_per_node)
    legal = [n for n in range(gang.nodes_min, gang.nodes_max + 1) if n % gang.node_unit == 0 and n <= len(able)]
    answer = place(index_of(fleet), request)
    if not legal:
        assert isinstance(answer, NoFit)
        have = "node has" if len(able) == 1 else "nodes have"
        assert f"; {len(able)} {have} {gang.slots_per_node} free" in answer.reason
    else:
        assert isinstance(answer, Placement)
        assert answer.gangs[0].nodes == tuple(sorted(node for _, node in able[: legal[-1]]))


@given(fleets, requests(equal_slots=True))
def test_gangs_of_equal_ranks_fit_exactly_when_any_way_exists(fleet: dict[str, int], request: PlacementRequest) -> None:
    assert isinstance(place(index_of(fleet), request), Placement) == fits(fleet, list(request.gangs))


@given(fleets, requests())
def test_no_fit_is_never_hidden_by_an_answer(fleet: dict[str, int], request: PlacementRequest) -> None:
    if not fits(fleet, list(request.gangs)):
        assert isinstance(place(index_of(fleet), request), NoFit)


@given(fleets, requests())
def test_the_answer_does_not_depend_on_how_the_index_came_about(
    fleet: dict[str, int], request: PlacementRequest
) -> None:
    worn = index_of(dict(reversed(fleet.items())))
    for node, free in fleet.items():
        worn.set(node, 9)
        worn.set("gone", free)
    for node, free in fleet.items():
        worn.set(node, free)
    worn.remove("gone")
    worn.remove("gone")
    assert place(worn, request) == place(index_of(fleet), request)


def test_the_reason_has_the_numbers() -> None:
    index = index_of({"a": 4, "b": 4, "c": 1})
    four = GangRequest(role="trainer", gang=0, nodes_min=4, nodes_max=8, node_unit=2, slots_per_node=4)
    answer = place(index, PlacementRequest(job=1, name="j", gangs=(four,)))
    assert answer == NoFit(reason="needs at least 4 nodes x 4 slots; 2 nodes have 4 free")


def test_the_reason_names_the_gang_that_found_no_room_beside_the_others() -> None:
    index = index_of({"a": 4})
    wanted = tuple(
        GangRequest(role=role, gang=0, nodes_min=1, nodes_max=1, node_unit=1, slots_per_node=3)
        for role in ("trainer", "ps")
    )
    answer = place(index, PlacementRequest(job=1, name="j", gangs=wanted))
    assert answer == NoFit(
        reason="role ps gang 0 needs 1 node x 3 slots; 0 nodes have 3 free beside the job's other gangs"
    )


class CountingIndex(FreeIndex):
    """Counts what is asked of the index."""

    operations = 0

    def set(self, node: str, free: int) -> None:
        self.operations += 1
        super().set(node, free)

    def best_fit(self, need: int) -> Iterator[str]:
        for node in super().best_fit(need):
            self.operations += 1
            yield node

    def most_free(self, need: int) -> Iterator[str]:
        for node in super().most_free(need):
            self.operations += 1
            yield node


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

    assert cost(20, 8) == cost(5000, 8) < 100
    assert cost(5000, 0) == 0


def test_broken_rules_are_named() -> None:
    index = index_of({"a": 4, "b": 4})
    gang = GangRequest(role="t", gang=0, nodes_min=2, nodes_max=2, node_unit=1, slots_per_node=3)
    request = PlacementRequest(job=1, name="j", gangs=(gang,))
    good = place(index, request)
    assert isinstance(good, Placement)

    def rule(*nodes: str) -> str:
        changed = type(good.gangs[0])(role="t", gang=0, nodes=nodes)
        return broken_rule(index, request, Placement(gangs=(changed,)))

    assert rule("a", "b") == ""
    assert rule("a", "a") == "it gives role t gang 0 a node twice"
    assert rule("a") == "it gives role t gang 0 1 node where 2 to 2 in steps of 1 are legal"
    assert rule("a", "z") == "it gives role t gang 0 node z, which may not be used"
    assert "where [('t', 0)] were asked for" in broken_rule(index, request, Placement(gangs=()))
    index.set("b", 2)
    assert rule("a", "b") == "it takes 3 slots of node b, which has 2 free"
