"""Planted faults among nodes that meet each other: who is found, and that nobody is condemned who is well."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.core import pairing
from dlroverd.core.pairing import Judgement
from dlroverd.model.checkup import MatchRound

EXAMPLES = settings(max_examples=300, deadline=None)
SLOWER = 5.0


def played(
    nodes: tuple[str, ...],
    bad: Iterable[str] = (),
    slow: Iterable[str] = (),
    links: Iterable[frozenset[str]] = (),
    absent: Iterable[str] = (),
) -> tuple[Judgement, tuple[MatchRound, ...]]:
    """Play all rounds of a match in which these nodes and paths are at fault."""
    bad, slow, links, absent = set(bad), set(slow), set(links), set(absent)
    rounds: tuple[MatchRound, ...] = ()
    while groups := pairing.next_groups(nodes, rounds):
        met = [node for group in groups for node in group]
        assert len(met) == len(set(met)), "a node meets two groups at once"
        assert all(len(group) > 1 for group in groups)
        times: dict[str, float] = {}
        for group in groups:
            fails = bad & {*group} or absent & {*group} or any(link <= {*group} for link in links)
            took = SLOWER if slow & {*group} else 1.0
            for number, node in enumerate(group):
                if node not in absent:
                    times[node] = -1.0 if fails else took + number / 100
        rounds = (*rounds, MatchRound(groups=groups, times=times))
        assert len(rounds) <= pairing.MOST_ROUNDS
    return pairing.judge(nodes, rounds), rounds


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number:02}" for number in range(count))


FLEETS = st.integers(min_value=4, max_value=24).map(names)


@EXAMPLES
@given(FLEETS)
def test_a_fleet_that_is_well_meets_once(nodes: tuple[str, ...]) -> None:
    found, rounds = played(nodes)
    assert found == Judgement()
    assert len(rounds) == 1


@EXAMPLES
@given(FLEETS, st.data())
def test_one_bad_node_is_found_and_no_other(nodes: tuple[str, ...], data: st.DataObject) -> None:
    bad = data.draw(st.sampled_from(nodes))
    found, _ = played(nodes, bad=[bad])
    assert found == Judgement(bad=(bad,))


@EXAMPLES
@given(FLEETS, st.data())
def test_two_bad_nodes_are_found_wherever_they_are(nodes: tuple[str, ...], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from(nodes), min_size=2, max_size=2))
    found, _ = played(nodes, bad=bad)
    assert (found.links, found.slow) == ((), ())
    assert set(found.bad) <= bad
    assert bad <= {*found.bad, *found.unknown}
    # Of four there may be none left to tell by; from six on both are named.
    if len(nodes) > 5:
        assert set(found.bad) == bad


@EXAMPLES
@given(FLEETS, st.data())
def test_a_broken_path_is_told_from_a_bad_node(nodes: tuple[str, ...], data: st.DataObject) -> None:
    first = pairing.next_groups(nodes, ())
    group = data.draw(st.sampled_from(first))
    link = frozenset(group[:2])
    found, _ = played(nodes, links=[link])
    assert (found.bad, found.slow, found.unknown) == ((), (), ())
    assert found.links
    assert all(link <= {*each} for each in found.links)


@EXAMPLES
@given(FLEETS, st.data())
def test_one_slow_node_is_found_and_no_other(nodes: tuple[str, ...], data: st.DataObject) -> None:
    slow = data.draw(st.sampled_from(nodes))
    found, _ = played(nodes, slow=[slow])
    assert found == Judgement(slow=(slow,))


@EXAMPLES
@given(FLEETS, st.data())
def test_whatever_is_at_fault_nobody_is_condemned_who_is_well(nodes: tuple[str, ...], data: st.DataObject) -> None:
    some = st.sets(st.sampled_from(nodes), max_size=3)
    bad, slow, absent = data.draw(some), data.draw(some), data.draw(some)
    pairs = st.sets(st.sampled_from(nodes), min_size=2, max_size=2).map(frozenset)
    links = data.draw(st.sets(pairs, max_size=2))
    found, _ = played(nodes, bad, slow, links, absent)
    # A node with two broken paths is as good as bad, and so is a slow one with one.
    torn = {node for node in nodes if sum(node in link for link in links) + (node in slow) > 1}
    assert set(found.bad) <= bad | torn
    assert not set(found.bad) & absent
    for group in found.links:
        assert any(link <= {*group} for link in links)


@EXAMPLES
@given(FLEETS, st.data())
def test_a_path_that_is_slow_once_is_tried_again(nodes: tuple[str, ...], data: st.DataObject) -> None:
    first = pairing.next_groups(nodes, ())
    group = data.draw(st.sampled_from(first))
    lasts = data.draw(st.booleans())
    rounds: tuple[MatchRound, ...] = ()
    while groups := pairing.next_groups(nodes, rounds):
        late = (lasts or not rounds) and group in groups
        times = {node: SLOWER if late and node in group else 1.0 for each in groups for node in each}
        rounds = (*rounds, MatchRound(groups=groups, times=times))
    assert pairing.judge(nodes, rounds) == Judgement(slow_links=(group,) if lasts else ())
    assert len(rounds) == 3


@EXAMPLES
@given(FLEETS, st.floats(min_value=0.2, max_value=10.0), st.data())
def test_a_fleet_that_has_more_to_do_in_one_round_has_no_slow_nodes(
    nodes: tuple[str, ...], slower: float, data: st.DataObject
) -> None:
    bad = data.draw(st.sampled_from(nodes))
    rounds: tuple[MatchRound, ...] = ()
    while groups := pairing.next_groups(nodes, rounds):
        took = slower if len(rounds) == 1 else 1.0
        times = {node: -1.0 if bad in each else took for each in groups for node in each}
        rounds = (*rounds, MatchRound(groups=groups, times=times))
    assert pairing.judge(nodes, rounds) == Judgement(bad=(bad,))


@given(st.integers(min_value=1, max_value=3).map(names), st.data())
def test_of_three_nodes_it_cannot_be_told(nodes: tuple[str, ...], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from(nodes)))
    found, _ = played(nodes, bad=bad, slow=bad)
    assert (found.bad, found.slow, found.links) == ((), (), ())


def test_pairs_are_those_of_dlrover() -> None:
    """Dlrover-control-plane.md 1.4: [[0,1],[2,3,4]], and with 2, 3 and 4 having failed [[0,4],[1,3,2]]."""
    nodes = ("0", "1", "2", "3", "4")
    first = pairing.next_groups(nodes, ())
    assert first == (("0", "1"), ("2", "3", "4"))
    times = {"0": 1.0, "1": 1.1, "2": -1.0, "3": -1.0, "4": -1.0}
    assert pairing.next_groups(nodes, (MatchRound(groups=first, times=times),)) == (("0", "4"), ("1", "3", "2"))
