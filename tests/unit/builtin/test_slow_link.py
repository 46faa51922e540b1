"""The host of a world that is far from all others has a slow link."""

from collections.abc import Sequence

import pytest

from dlroverd.builtin.slow_link import METRIC, SlowLinkRule
from dlroverd.model.diagnosis import Conclusion, Diagnosed, Reading, Remedy, WorldNode, WorldRank, WorldView
from dlroverd.plugin_api.diagnosis import diagnose

MS = 1e-3


def looked(
    told: list[float | None],
    standing: tuple[Conclusion, ...] = (),
    now: float = 50.0,
    nodes: Sequence[WorldNode] = (),
) -> Diagnosed:
    """Have the rule look at nodes with these round trips; None: not known."""
    nodes = tuple(nodes) or tuple(
        WorldNode(node=f"n{number}", readings={METRIC: Reading(value=value, at=now)} if value is not None else {})
        for number, value in enumerate(told)
    )
    ranks = tuple(WorldRank(rank=number, node=node.node) for number, node in enumerate(nodes))
    view = WorldView(
        job=1, role="trainer", gang=0, round=1, now=now, running_s=40.0, step=3, stepped_s=1.0,
        ranks=ranks, nodes=nodes, standing=standing,
    )  # fmt: skip
    return diagnose(SlowLinkRule(), view)


def test_the_host_that_is_far_from_the_others_is_named() -> None:
    said = looked([0.2 * MS, 0.3 * MS, 60 * MS, 0.2 * MS])
    (found,) = said.conclusions
    assert (found.kind, found.node, found.rank, found.since) == ("slow_link", "n2", -1, 50.0)
    assert "takes at least 60 ms, between the others 0.2 ms" in found.sentence
    assert found.evidence == ("it was so at both of the last two readings",)
    assert [(action.remedy, action.node) for action in said.actions] == [(Remedy.REPLACE, "n2")]


@pytest.mark.parametrize(
    "told",
    [
        [0.2 * MS, 60 * MS],  # of two nobody knows whose link it is
        [0.2 * MS, None, 60 * MS],
        [60 * MS, 60 * MS, 0.2 * MS, 0.2 * MS],  # two halves that are far from each other
        [0.02 * MS, 0.02 * MS, 2 * MS, 0.02 * MS],  # a hundred times as far, and no matter
        [20 * MS, 30 * MS, 60 * MS, 25 * MS],  # all are, as under load
        [0.0, float("nan"), float("inf"), -1.0],
        [],
    ],
)
def test_nobody_is_named_where_it_cannot_be_told_or_does_not_matter(told: list[float | None]) -> None:
    assert looked(told) == Diagnosed(findings=(), conclusions=(), actions=())


def test_a_link_that_is_full_is_said_to_be_and_is_no_reason_to_leave_the_host() -> None:
    metric = "host_network_transmit_bytes_per_second"
    nodes = [
        WorldNode(
            node=f"n{number}", readings={METRIC: Reading(value=far, at=50.0), metric: Reading(value=sent, at=50.0)}
        )
        for number, (far, sent) in enumerate(((MS, 1e6), (MS, 2e6), (80 * MS, 1e8), (MS, 2e6)))
    ]
    said = looked([], nodes=nodes)
    (found,) = said.conclusions
    assert "its network link is full" in found.sentence
    assert "50 times as much goes through it as through theirs" in found.evidence
    assert (found.confidence, said.actions) == (0.5, ())


def test_two_of_many_are_named() -> None:
    assert [each.node for each in looked([MS, 40 * MS, MS, MS, 90 * MS, MS]).conclusions] == ["n1", "n4"]


def test_one_that_was_named_is_let_go_at_half_of_what_names_one() -> None:
    before = looked([0.2 * MS, 0.2 * MS, 9 * MS]).conclusions
    (still,) = looked([0.2 * MS, 0.2 * MS, 3 * MS], before, now=80.0).conclusions
    assert still.since == 50.0
    assert looked([0.2 * MS, 0.2 * MS, 2 * MS], before).conclusions == ()
    assert looked([0.2 * MS, 0.2 * MS, 3 * MS]).conclusions == ()
