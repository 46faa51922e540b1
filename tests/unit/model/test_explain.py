"""Why nodes are not taken, why a job does not fit, and which rule an answer breaks: whole sentences."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

from dataclasses import replace

import pytest

from dlroverd.model.explain import Rejected, explain, never
from dlroverd.model.free_index import FreeIndex
from dlroverd.model.place import place
from dlroverd.model.placement import (
    FreeNode,
    GangPlacement,
    GangRequest,
    NodeTraits,
    NoFit,
    Placement,
    PlacementRequest,
)
from dlroverd.model.placement_check import broken_rule

GANG = GangRequest(role="trainer", gang=0, nodes_min=2, nodes_max=2, node_unit=1, slots_per_node=8)


def ask(*gangs: GangRequest, **more: tuple[str, ...]) -> PlacementRequest:
    return PlacementRequest(job=1, name="j", gangs=gangs, avoid=more.get("avoid", ()))


def node(name: str, free: int, **labels: str) -> FreeNode:
    return FreeNode(node=name, slots=8, free=free, labels=tuple(labels.items()), memory_bytes=64 << 30)


@pytest.fixture
def index() -> FreeIndex:
    free = FreeIndex([node("a1", 8, gpu="h100"), node("a2", 2, gpu="h100"), node("b1", 8, gpu="a100"), node("b2", 8, gpu="a100"), node("c1", 8)])  # fmt: skip
    free.describe("down", NodeTraits(slots=8, labels=(("gpu", "h100"),)))
    return free


@pytest.mark.parametrize(
    ("gang", "reason"),
    [
        (replace(GANG, nodes_min=6, nodes_max=8, node_unit=2), "needs at least 6 nodes x 8 slots; 4 nodes have 8 free"),
        (replace(GANG, require=("gpu=h100",)), "needs 2 nodes x 8 slots; 1 node has 8 free; 3 lack gpu=h100"),
        (replace(GANG, require=("gpu=h100", "ssd")), "needs 2 nodes x 8 slots; 0 nodes have 8 free; 3 lack gpu=h100; 2 lack ssd"),
        (replace(GANG, require=("gpu!=a100",), exclude=("a1", "zz")), "needs 2 nodes x 8 slots; 1 node has 8 free; 1 is excluded; 2 are ruled out by gpu!=a100"),
        (replace(GANG, nodelist=("a1", "zz")), "needs 2 nodes x 8 slots; 1 node has 8 free; 4 are not in the node list"),
        (replace(GANG, memory_bytes=65 << 30), "needs 2 nodes x 8 slots; 0 nodes have 8 free; 5 have less memory than the 65 GiB that checkpoints and ranks are to have"),
        (replace(GANG, slots_per_node=9, nodes_min=1), "needs at least 1 node x 9 slots; 0 nodes have 9 free"),
    ],
)  # fmt: skip
def test_why_a_job_does_not_fit(index: FreeIndex, gang: GangRequest, reason: str) -> None:
    assert place(index, ask(gang)) == NoFit(reason=reason)


def test_the_gang_that_finds_no_room_beside_the_others_is_named(index: FreeIndex) -> None:
    trainer, ps = replace(GANG, nodes_min=4, nodes_max=4), replace(GANG, role="ps", nodes_min=1, nodes_max=1)
    assert place(index, ask(trainer, ps)) == NoFit(
        reason="role ps gang 0 needs 1 node x 8 slots; 0 nodes have 8 free beside the job's other gangs"
    )
    together = replace(ps, slots_per_node=1, together_with=("trainer",))
    assert place(index, ask(trainer, together)) == NoFit(
        reason="role ps gang 0 needs 1 node x 1 slot; 1 node has 1 free beside the job's other gangs; "
        "it is to be together with trainer"
    )


def test_each_node_is_said_why_not(index: FreeIndex) -> None:
    gang = replace(GANG, require=("gpu=h100",), exclude=("c1",))
    held = {"down": "held: drained by ann (new kernel)"}
    assert explain(index, ask(gang, avoid=("b2",)), held) == (
        Rejected(node="a2", reason="2 of 8 slots free"),
        Rejected(node="b1", reason="label gpu=a100 where gpu=h100 is asked for"),
        Rejected(node="b2", reason="label gpu=a100 where gpu=h100 is asked for"),
        Rejected(node="c1", reason="excluded by the job"),
        Rejected(node="down", reason="held: drained by ann (new kernel)"),
    )
    kept = replace(GANG, nodelist=("a1", "a2"), memory_bytes=65 << 30)
    assert explain(index, ask(kept), held)[:2] == (
        Rejected(
            node="a1", reason="its memory, 64 GiB, is less than the 65 GiB that checkpoints and ranks are to have"
        ),
        Rejected(
            node="a2", reason="its memory, 64 GiB, is less than the 65 GiB that checkpoints and ranks are to have"
        ),
    )
    small = replace(GANG, role="ps", slots_per_node=1, nodelist=("a2", "b1"), apart_from=("rollout",))
    seated = (GangPlacement(role="rollout", gang=0, nodes=("b1",)),)
    assert explain(index, replace(ask(gang, small, avoid=("a1",)), seated=seated), {}) == (
        Rejected(node="a1", reason="trainer: avoided by the job; ps: not in the job's node list"),
        Rejected(node="b1", reason="trainer: label gpu=a100 where gpu=h100 is asked for; ps: has role rollout, from which ps is to be apart"),
        Rejected(node="b2", reason="trainer: label gpu=a100 where gpu=h100 is asked for; ps: not in the job's node list"),
        Rejected(node="c1", reason="trainer: excluded by the job; ps: not in the job's node list"),
        Rejected(node="down", reason="trainer: may not be used now; ps: not in the job's node list"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gang", "sentence"),
    [
        (replace(GANG, require=("gpu=h200",)), "asks for 2 nodes x 8 slots; 0 of the 6 nodes known would do; 6 lack gpu=h200"),
        (replace(GANG, require=("!gpu",)), "asks for 2 nodes x 8 slots; 1 of the 6 nodes known would do; 5 are ruled out by !gpu"),
        (replace(GANG, nodelist=("zz",)), "asks for 2 nodes x 8 slots; 0 of the 6 nodes known would do; 6 are not in the node list"),
        (replace(GANG, require=("gpu=h100",), slots_per_node=16), "asks for 2 nodes x 16 slots; 0 of the 6 nodes known would do; 3 lack gpu=h100"),
        (replace(GANG, require=("gpu=h100",)), ""),  # one is down and one is full, which may change
        (GANG, ""),
    ],
)  # fmt: skip
def test_what_can_never_be_met_is_said(index: FreeIndex, gang: GangRequest, sentence: str) -> None:
    assert never(index, ask(gang)) == sentence


def test_broken_rules_are_named(index: FreeIndex) -> None:
    gang = replace(GANG, slots_per_node=5, require=("gpu",))
    request = ask(gang, avoid=("b2",))

    def rule(*nodes: str) -> str:
        placed = GangPlacement(role="trainer", gang=0, nodes=nodes)
        return broken_rule(index, request, Placement(gangs=(placed,)))

    assert rule("a1", "b1") == ""
    assert rule("a1", "a1") == "it gives role trainer gang 0 a node twice"
    assert rule("a1") == "it gives role trainer gang 0 1 node where 2 to 2 in steps of 1 are legal"
    assert rule("a1", "zz") == "it gives role trainer gang 0 node zz, which may not be used"
    assert rule("a1", "b2") == "it gives role trainer gang 0 node b2, which the job avoids"
    assert rule("a1", "a2") == "it takes 5 slots of node a2, which has 2 free"
    assert rule("a1", "c1") == "it gives role trainer gang 0 node c1: no label gpu where gpu is asked for"
    assert broken_rule(index, request, Placement(gangs=())) == "it places [] where [('trainer', 0)] were asked for"


def test_roles_on_wrong_nodes_are_named(index: FreeIndex) -> None:
    trainer = replace(GANG, slots_per_node=2)
    ps = replace(GANG, role="ps", nodes_min=1, nodes_max=1, slots_per_node=1)

    def rule(other: GangRequest, on: str) -> str:
        gangs = (GangPlacement(role="trainer", gang=0, nodes=("a1", "b1")), GangPlacement(role="ps", gang=0, nodes=(on,)))  # fmt: skip
        return broken_rule(index, ask(trainer, other), Placement(gangs=gangs))

    apart = "it gives role ps gang 0 and role trainer gang 0, which are to be apart, node a1"
    together = "it gives roles ps and trainer, which are to be together, nodes that they do not share"
    assert rule(replace(ps, apart_from=("trainer",)), "a1") == apart
    assert rule(replace(ps, apart_from=("trainer",)), "b2") == ""
    assert rule(replace(ps, together_with=("trainer",)), "b2") == together
    assert rule(replace(ps, together_with=("trainer", "gone")), "a1") == ""
    larger = replace(trainer, together_with=("ps",))
    placed = (
        GangPlacement(role="trainer", gang=0, nodes=("a1", "b1")),
        GangPlacement(role="ps", gang=0, nodes=("b1",)),
    )
    assert broken_rule(index, ask(larger, ps), Placement(gangs=placed)) == ""
