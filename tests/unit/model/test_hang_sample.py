"""Whom of a world is looked at, when it is too large to look at everyone."""

import pytest

from dlroverd.model.hang_sample import MOST_NODES, MOST_RANKS, MOST_WAVES, Signs, waves
from dlroverd.model.ids import RankKey


def world(nodes: int, each: int) -> list[tuple[RankKey, str]]:
    return [(RankKey(1, "trainer", 0, 1, rank), f"n{rank // each}") for rank in range(nodes * each)]


def asked(of: list[list[tuple[RankKey, str]]]) -> list[list[int]]:
    return [[key.rank for key, _ in wave] for wave in of]


@pytest.mark.parametrize(("nodes", "each"), [(1, 1), (2, 256), (64, 8)])
def test_everyone_is_looked_at_at_once_if_they_are_few(nodes: int, each: int) -> None:
    assert asked(waves(world(nodes, each), Signs())) == [list(range(nodes * each))]


@pytest.mark.parametrize(("nodes", "each"), [(1250, 8), (10_000, 1), (40, 250)])
def test_of_ten_thousand_ranks_so_many_are_asked_as_the_daemon_can_take(nodes: int, each: int) -> None:
    made = waves(world(nodes, each), Signs())
    assert 1 < len(made) <= MOST_WAVES
    for wave in made:
        assert len({node for _, node in wave}) <= MOST_NODES
        assert len(wave) <= MOST_RANKS
    flat = [rank for wave in asked(made) for rank in wave]
    assert len(set(flat)) == len(flat)
    # Whole nodes, far apart.
    assert len(made[0]) == len({node for _, node in made[0]}) * each
    assert max(asked(made)[0]) - min(asked(made)[0]) > 5_000


@pytest.mark.parametrize(
    "signs",
    [
        Signs(steps={**dict.fromkeys(range(10_000), 500.0), 4321: 499.0}),
        Signs(steps={4321: 7.0, 9: 8.0}),
        Signs(idle={**dict.fromkeys(range(10_000), False), 4321: True}),
    ],
)
def test_those_that_are_behind_and_their_neighbours_come_first(signs: Signs) -> None:
    made = waves(world(1250, 8), signs)
    assert [node for _, node in made[0]][: 3 * 8 : 8] == ["n540", "n539", "n541"]


def test_a_world_that_is_all_idle_has_nobody_to_begin_with() -> None:
    ranks = world(1250, 8)
    assert waves(ranks, Signs(idle=dict.fromkeys(range(10_000), True))) == waves(ranks, Signs())
