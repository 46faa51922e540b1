"""Which nodes fell silent for one reason, for which, and in how few words."""

from collections.abc import Sequence

import pytest

from dlroverd.core.handle import handle
from dlroverd.core.passes.outages import ranges
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeDomains, NodeFacts
from dlroverd.model.world import Held, Observed

FACTS = NodeFacts(hostname="h", address="h", cpus=1, memory_bytes=1, slots=1)
LIMITS = Limits()
NODES = [f"n{number}" for number in range(256)]


@pytest.fixture
def state() -> State:
    """256 nodes: 16 to a switch, 32 to a rack, and one mount for all."""
    fleet = State("log")
    for node in NODES:
        item = inp.NodeHello(
            node=node, boot_id="b", facts=FACTS, log_id="", position=0, observed=Observed(version=1), held=Held()
        )
        handle(fleet, [item], 1000.0, LIMITS)
    domains = (
        NodeDomains(node=node, domains=(("mount", "home"), ("rack", f"r{n // 32}"), ("switch", f"s{n // 16}")))
        for n, node in enumerate(NODES)
    )
    handle(fleet, [inp.TopologySet(pack_by=(), nodes=tuple(domains))], 1000.0, LIMITS)
    return fleet


def found(state: State, at: float, nodes: Sequence[str]) -> list[tuple[str, str, int]]:
    decision = handle(state, [inp.NodeSilent(node=node) for node in nodes], at, LIMITS)
    failed = [event for event in decision.events if isinstance(event, ev.DomainFailed)]
    return [(event.kind, event.name, len(event.nodes)) for event in failed]


@pytest.mark.parametrize(
    ("numbers", "finding"),
    [
        ([3], []),
        ([3, 4], [("switch", "s0", 2)]),
        (range(16), [("switch", "s0", 16)]),
        ([3, 20], [("rack", "r0", 2)]),
        ([3, 4, 5, 200], [("switch", "s0", 3)]),
        (range(0, 256, 3), [("mount", "home", 86)]),
    ],
)
def test_what_explains_most_of_the_silent_is_named(
    state: State, numbers: Sequence[int], finding: list[tuple[str, str, int]]
) -> None:
    assert found(state, 2000.0, [NODES[number] for number in numbers]) == finding


def test_those_that_follow_within_the_window_are_of_it_and_later_ones_are_not(state: State) -> None:
    assert found(state, 2000.0, ["n0", "n1"]) == [("switch", "s0", 2)]
    assert found(state, 2000.0 + LIMITS.settle_s, ["n2"]) == [("switch", "s0", 3)]
    assert found(state, 2000.1 + 2 * LIMITS.settle_s, ["n3"]) == []


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (("n17", "n18", "n19", "n24"), "n17-n19, n24"),
        (("n9", "n10", "n11"), "n9-n11"),
        (("n008", "n009", "n010"), "n008-n010"),
        (("b1", "a1", "a2"), "a1-a2, b1"),
        (("rack1-a", "rack1-b"), "rack1-a, rack1-b"),
        (("lonely",), "lonely"),
        (("n1", "m"), "m, n1"),
    ],
)
def test_runs_of_numbers_are_named_by_their_ends(nodes: tuple[str, ...], said: str) -> None:
    assert ranges(tuple(sorted(nodes))) == said
