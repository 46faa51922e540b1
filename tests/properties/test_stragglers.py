"""The straggler rule on seeded worlds with noise as there is: the right rank, soon, and hardly ever a wrong one."""

import math
import random
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.builtin.straggler import StragglerRule
from dlroverd.model.diagnosis import Conclusion, Reading, WorldNode, WorldRank, WorldView
from dlroverd.plugin_api.diagnosis import diagnose

RECENT = 16
CASES = 300
WITHIN = 10  # readings after the onset


@dataclass(frozen=True)
class Case:
    """A world whose ranks do `work_s` a step by themselves; from reading `onset` on those of `slow` take longer."""

    seed: int
    ranks: int
    per_node: int
    slow: frozenset[int] = frozenset()
    factor: float = 1.0
    onset: int = 20
    noise: float = 0.05
    work_s: float = 0.5
    share: float = 0.7  # of a step, for the fastest ranks


def case(seed: int, *, healthy: bool = False) -> Case:
    """Draw a case: 4 to 64 ranks, noise of 1 to 10 %, one rank or one whole node slow by 30 % to 300 %, at any time."""
    of = random.Random(seed)
    per_node = of.choice((1, 2, 4, 8))
    nodes = of.randint(max(2, math.ceil(4 / per_node)), max(3, 64 // per_node))
    ranks = nodes * per_node
    made = Case(
        seed=seed,
        ranks=ranks,
        per_node=per_node,
        noise=of.uniform(0.01, 0.1),
        work_s=10 ** of.uniform(-1.5, 1.0),
        share=of.uniform(0.4, 0.9),
        onset=of.randint(3, 30),
    )
    if healthy:
        return made
    first = of.randrange(ranks)
    whole = of.random() < 0.3 and nodes > 2
    slow = {rank for rank in range(ranks) if rank // per_node == first // per_node} if whole else {first}
    return replace(made, slow=frozenset(slow), factor=of.uniform(1.3, 4.0))


class Telling:
    """Plays a case reading by reading: noise of each rank's own, noise of all, spikes, and readings that are lost."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._of = random.Random(case.seed)
        self._bias = [self._of.gauss(1.0, 0.01) for _ in range(case.ranks)]
        self._recent: list[list[float]] = [[] for _ in range(case.ranks)]
        self._standing: tuple[Conclusion, ...] = ()

    def reading(self, number: int) -> tuple[Conclusion, ...]:
        case, of = self.case, self._of
        common = math.exp(of.gauss(0.0, 0.05)) * (2.0 if of.random() < 0.02 else 1.0)  # longer sequences, an evaluation
        for rank in range(case.ranks):
            if of.random() < 0.02:
                continue  # a message was lost
            took = case.work_s * self._bias[rank] * common * math.exp(of.gauss(0.0, case.noise))
            if rank in case.slow and number >= case.onset:
                took *= case.factor
            if of.random() < 0.01:
                took *= of.uniform(1.5, 5.0)  # garbage collection, a page fault, a checkpoint's write
            self._recent[rank] = [*self._recent[rank], took][-RECENT:]
        step_s = case.work_s / case.share
        view = world(case, self._recent, step_s, self._standing)
        self._standing = diagnose(StragglerRule(), view).conclusions
        return self._standing


def world(case: Case, recent: list[list[float]], step_s: float, standing: tuple[Conclusion, ...]) -> WorldView:
    return WorldView(
        job=1,
        role="trainer",
        gang=0,
        round=1,
        now=1e9,
        running_s=60.0,
        step=10,
        stepped_s=0.1,
        ranks=tuple(
            WorldRank(
                rank=rank,
                node=f"n{rank // case.per_node}",
                readings={
                    "rank_step_seconds": Reading(value=step_s, at=1e9, recent=(step_s,) * len(values)),
                    **({"rank_work_seconds": reading(values)} if values else {}),
                },
            )
            for rank, values in enumerate(recent)
        ),
        nodes=tuple(WorldNode(node=f"n{node}") for node in range(case.ranks // case.per_node)),
        standing=standing,
    )


def reading(values: list[float]) -> Reading:
    return Reading(value=values[-1], at=1e9, recent=tuple(values))


def names(case: Case, said: tuple[Conclusion, ...]) -> bool:
    """Whether what was said is the truth and the whole of it."""
    told = {
        rank
        for each in said
        for rank in range(case.ranks)
        if rank == each.rank or (each.rank < 0 and each.node == f"n{rank // case.per_node}")
    }
    return told == case.slow


def test_the_slow_rank_or_node_is_named_within_ten_readings() -> None:
    right = 0
    for seed in range(CASES):
        drawn = case(seed)
        play = Telling(drawn)
        seen = [play.reading(number) for number in range(drawn.onset + WITHIN)]
        right += any(names(drawn, said) for said in seen[drawn.onset :])
    assert right >= 0.95 * CASES, f"{right} of {CASES}"


def test_a_healthy_world_is_hardly_ever_accused() -> None:
    accused = 0
    for seed in range(CASES):
        play = Telling(case(seed, healthy=True))
        accused += any(play.reading(number) for number in range(60))
    assert accused <= 0.01 * CASES, f"{accused} of {CASES}"


def test_one_that_recovers_is_let_go() -> None:
    drawn = replace(case(1), slow=frozenset({2}), factor=2.0, onset=0, noise=0.03, ranks=8, per_node=2)
    play = Telling(drawn)
    assert any(play.reading(number) for number in range(WITHIN))
    play.case = replace(drawn, factor=1.0)
    assert not [play.reading(number) for number in range(8)][-1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.floats(), st.floats(0.1, 0.2)), max_size=RECENT).map(lambda values: values or [math.nan]),
        min_size=1,
        max_size=8,
    ),
    st.floats(),
)
def test_no_reading_however_wrong_breaks_it(recent: list[list[float]], step_s: float) -> None:
    """NaN, infinity, less than nothing: unknown, and no accusation of anybody that is not there."""
    drawn = Case(seed=0, ranks=len(recent), per_node=1)
    said = diagnose(StragglerRule(), world(drawn, recent, step_s, ()))
    for each in said.conclusions:
        assert all(math.isfinite(value) and value >= 0.0 for value in recent[each.rank][-3:])
