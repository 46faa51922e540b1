"""Which rank `job status` calls odd: the one furthest from the others, if it is far from them."""

import pytest

from dlroverd.api.readings import _odd
from dlroverd.model.view import RankReadings, RankView


def ranks(*step_seconds: float | None) -> list[RankView]:
    return [
        RankView(
            rank=number, local_rank=number, node="n1", state="running", readings=RankReadings(step_seconds=seconds)
        )
        for number, seconds in enumerate(step_seconds)
    ]


def test_the_rank_that_is_far_from_the_others_is_named_with_what_and_by_how_much() -> None:
    assert _odd(ranks(1.0, 1.0, 2.0, 1.1)) == "rank 2 on n1: its step time is 90% more than the median"
    assert _odd(ranks(1.0, 0.25, 1.0)) == "rank 1 on n1: its step time is 75% less than the median"


@pytest.mark.parametrize("told", [(1.0, 1.1, 0.95, 1.0), (1.0, 9.0), (1.0, None, 9.0, None), (0.0, 0.0, 1.0)])
def test_ranks_that_are_alike_or_too_few_to_tell_name_none(told: tuple[float | None, ...]) -> None:
    assert _odd(ranks(*told)) == ""
