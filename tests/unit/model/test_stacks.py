"""Ranks at the same place are one group."""

from dlroverd.model.ids import RankKey, numbers
from dlroverd.model.stacks import Frame, ProcessStack, RankStack, ThreadStack, grouped


def stack(rank: int, *calls: str, state: str = "S", problem: str = "", native: str = "") -> RankStack:
    frames = (
        *((Frame(function=native, file="lib.so", native=True),) if native else ()),
        *(Frame(function=call, file="train.py", line=1) for call in calls),
    )
    threads = (ThreadStack(tid=1, frames=frames),) if frames else ()
    process = ProcessStack(pid=1, state=state, looks=1, threads=threads)
    return RankStack(key=RankKey(1, "trainer", 0, 1, rank), node="n1", problem=problem, processes=(process,))


def test_the_largest_group_comes_first_and_those_without_a_stack_last() -> None:
    stacks = [
        stack(0, "spin", "main"),
        *(stack(rank, "backward", "main", native=f"wait{rank}") for rank in (1, 2, 3)),
        stack(4, problem="node n9 is not connected"),
    ]
    groups = grouped(stacks)
    assert [group.ranks for group in groups] == [(1, 2, 3), (0,), (4,)]
    assert [group.problem for group in groups] == ["", "", "node n9 is not connected"]


def test_a_stopped_rank_is_no_part_of_those_that_wait_at_the_same_place() -> None:
    stacks = [stack(0, "backward"), stack(1, "backward"), stack(2, "backward", state="T")]
    assert [group.ranks for group in grouped(stacks)] == [(0, 1), (2,)]


def test_ranks_are_named_in_spans() -> None:
    assert numbers([7, 0, 1, 2, 3]) == "0-3, 7"
    assert numbers([]) == ""
