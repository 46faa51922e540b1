"""From stacks to a verdict. The stacks are like those that py-spy gives of torch over gloo."""

from dataclasses import replace

import pytest

from dlroverd.model.hang import SURE, HangKind, HangVerdict, Phase
from dlroverd.model.hang_verdict import Circumstances, judge
from dlroverd.model.ids import RankKey
from dlroverd.model.stacks import Frame, GroupPosition, ProcessStack, RankStack, ThreadStack

BUDGETS: dict[str, float] = dict.fromkeys(Phase, 60.0)
MAIN = ("<module> train.py:90", "main train.py:40")
BACKWARD = (*MAIN, "Tensor.backward torch/_tensor.py:623", "_engine_run_backward torch/autograd/graph.py:979")
BARRIER = (*MAIN[:1], "main train.py:55", "barrier torch/distributed/distributed_c10d.py:5000")
SPIN = (*MAIN, "spin train.py:9")
SAVE = (*MAIN, "save_checkpoint train.py:20", "save torch/serialization.py:900")
COMPILE = (*MAIN, "_compile torch/_dynamo/convert_frame.py:700", "run torch/_dynamo/symbolic_convert.py:1")
LOADER = (*MAIN, "_next_data torch/utils/data/dataloader.py:1400", "_try_get_data torch/utils/data/dataloader.py:1250")
FETCH = ("_worker_loop torch/utils/data/_utils/worker.py:330", "__getitem__ data.py:12")
IDLE_WORKER = (*FETCH[:1], "Queue.get multiprocessing/queues.py:113", "wait multiprocessing/connection.py:900")


def thread(calls: tuple[str, ...], moved: int = 0, native: str = "") -> ThreadStack:
    frames = []
    for call in reversed(calls):
        function, _, place = call.partition(" ")
        file, _, line = place.partition(":")
        frames.append(Frame(function=function, file=file, line=int(line)))
    if native:
        frames.insert(0, Frame(function=native, file="lib.so", native=True))
    return ThreadStack(tid=1, moved=moved, frames=tuple(frames))


def rank(
    number: int,
    calls: tuple[str, ...] = BACKWARD,
    state: str = "S",
    *,
    moved: int = 0,
    native: str = "",
    wchan: str = "",
    worker: tuple[str, tuple[str, ...]] | None = None,
    problem: str = "",
) -> RankStack:
    threads = (thread(calls, moved, native),) if calls else ()
    processes = [ProcessStack(pid=number, state=state, wchan=wchan, problem=problem, looks=3, threads=threads)]
    if worker is not None:
        processes.append(ProcessStack(pid=99, state=worker[0], looks=1, threads=(thread(worker[1]),)))
    return RankStack(key=RankKey(1, "trainer", 0, 1, number), node=f"n{number // 2 + 1}", processes=tuple(processes))


def judged(stacks: list[RankStack], quiet_s: float, idle: dict[int, bool] | None = None, ranks: int = 0) -> HangVerdict:
    return judge(stacks, Circumstances(quiet_s=quiet_s, budgets=BUDGETS, idle=idle or {}, ranks=ranks or len(stacks)))


def at(stack: RankStack, begun: int, *, waits: bool = True) -> RankStack:
    """Have a rank say how far it is in the group of all."""
    open_number = begun if waits else 0
    said = GroupPosition(group="0", about="default_pg", begun=begun, open=open_number, call="all_reduce", of="Float[4]")
    return replace(stack, positions=(said,))


OTHERS = [rank(0), rank(1), rank(3)]
IN_8 = [at(each, 8) for each in OTHERS]


@pytest.mark.parametrize(
    ("victim", "kind", "text"),
    [
        (rank(2, state="T"), HangKind.STOPPED, "is stopped by a signal (SIGSTOP)"),
        (rank(2, (), state="T"), HangKind.STOPPED, "is stopped by a signal (SIGSTOP)"),
        (rank(2, SPIN, state="R"), HangKind.SPINNING, "turns on the spot in spin (train.py:9)"),
        (rank(2, (*SPIN, "inner train.py:3"), state="R", moved=1), HangKind.SPINNING, "turns on the spot in inner"),
        (rank(2, SPIN, state="D", wchan="rpc_wait"), HangKind.KERNEL, "is stuck in the kernel (rpc_wait)"),
        (rank(2, SPIN, native="__libc_read"), HangKind.IO, "is blocked on I/O"),
        (rank(2, SPIN, wchan="pipe_read"), HangKind.IO, "is blocked on I/O (pipe_read)"),
        (rank(2, SPIN, wchan="hrtimer_nanosleep"), HangKind.IDLE, "waits for something of its own"),
        (rank(2, LOADER, worker=("S", FETCH)), HangKind.LOADER, "worker 99 is stuck in __getitem__ (data.py:12)"),
        (rank(2, LOADER, worker=("S", IDLE_WORKER)), HangKind.LOADER, "no worker of its data loader brings"),
        (rank(2, BARRIER), HangKind.COLLECTIVE, "waits for others in barrier, called at main (train.py:55)"),
    ],
)
def test_the_rank_that_the_others_wait_for_is_named(victim: RankStack, kind: HangKind, text: str) -> None:
    verdict = judged([*OTHERS, victim], 20.0)
    assert verdict.hung
    assert [key.rank for key in verdict.ranks] == [2]
    assert (verdict.kind, verdict.node) == (kind, "n2")
    assert verdict.sentence.startswith("rank 2 on n2 ")
    assert text in verdict.sentence
    assert verdict.sentence.endswith("and 3 of 4 ranks wait for it (main (train.py:40))")
    assert verdict.confidence >= SURE
    assert {number for group in verdict.groups for number in group.ranks} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("victim", "phase"),
    [
        (rank(2, SAVE, state="R", moved=1), Phase.CHECKPOINT),
        (rank(2, SAVE, state="S"), Phase.CHECKPOINT),
        (rank(2, COMPILE, state="R"), Phase.FIRST_STEP),
        (rank(2, (*MAIN, "evaluate train.py:30"), state="R"), Phase.EVALUATE),
        (rank(2, SPIN, state="R", moved=3), ""),
        (rank(2, (*SPIN, "linear torch/nn/functional.py:1"), state="R", moved=1), ""),
        (rank(2, LOADER, worker=("R", FETCH)), ""),
    ],
)
def test_a_rank_that_works_hangs_nobody(victim: RankStack, phase: str) -> None:
    verdict = judged([*OTHERS, victim], 20.0)
    assert (verdict.hung, verdict.phase, verdict.ranks) == (False, phase, ())
    assert verdict.sentence.startswith("rank 2 on n2 ")


def test_what_stands_still_in_a_save_for_longer_than_saves_may_take_hangs() -> None:
    verdict = judged([*OTHERS, rank(2, SAVE, wchan="nfs_wait")], 61.0)
    assert (verdict.hung, verdict.kind) == (True, HangKind.IO)


def test_if_all_wait_at_one_place_no_rank_is_accused() -> None:
    verdict = judged([*OTHERS, rank(2)], 20.0)
    assert (verdict.hung, verdict.kind, verdict.ranks) == (True, HangKind.NETWORK, ())
    assert verdict.confidence < SURE


def test_of_two_ranks_that_wait_for_each_other_neither_is_surely_the_one() -> None:
    verdict = judged([rank(0), rank(1, BARRIER)], 20.0)
    assert verdict.hung
    assert verdict.confidence < SURE


def test_a_rank_of_which_nothing_is_known_is_named_with_less_confidence() -> None:
    silent = RankStack(key=RankKey(1, "trainer", 0, 1, 2), node="n2", problem="node n2 is not connected")
    verdict = judged([*OTHERS, silent], 20.0)
    assert (verdict.kind, verdict.absent, verdict.confidence) == (HangKind.ABSENT, (2,), 0.6)
    assert "node n2 is not connected" in verdict.sentence


def test_nothing_is_concluded_where_most_ranks_could_not_be_looked_at() -> None:
    late = [RankStack(key=RankKey(1, "trainer", 0, 1, number), node="n1", problem="late") for number in (0, 1, 3)]
    verdict = judged([*late, rank(2, SPIN, "R")], 20.0)
    assert (verdict.hung, verdict.absent) == (False, (0, 1, 3))
    assert verdict.sentence == "only 1 of 4 ranks could be looked at"


def test_a_rank_that_ended_meanwhile_is_no_hang() -> None:
    verdict = judged([*OTHERS, rank(2, (), state="", problem="it has ended")], 20.0)
    assert (verdict.hung, verdict.sentence) == (False, "a rank has ended meanwhile")


def test_a_gang_in_which_all_work_does_not_hang() -> None:
    assert not judged([rank(number, SPIN, "R", moved=3) for number in range(4)], 20.0).hung


def test_a_gang_in_which_all_stand_still_hangs_and_no_rank_is_accused() -> None:
    verdict = judged([rank(number, SPIN, wchan="rpc_wait_bit") for number in range(4)], 20.0)
    assert (verdict.hung, verdict.ranks) == (True, ())


def test_a_rank_alone_hangs_by_itself() -> None:
    verdict = judged([rank(0, SPIN, "R")], 20.0)
    assert (verdict.kind, verdict.confidence) == (HangKind.SPINNING, SURE)


BLIND = [
    RankStack(key=RankKey(1, "trainer", 0, 1, number), node="n1", problem="the agent may not look into it")
    for number in range(4)
]


def test_without_stacks_an_idle_device_among_busy_ones_is_the_second_sign() -> None:
    idle = {0: False, 1: False, 2: True, 3: False}
    verdict = judged(BLIND, 61.0, idle)
    assert (verdict.hung, [key.rank for key in verdict.ranks], verdict.absent) == (True, [2], (0, 1, 2, 3))
    assert verdict.sentence == "rank 2 on n1 has left its device idle for 61 s, while those of the 3 others are busy"
    assert verdict.confidence < SURE


def test_without_stacks_idle_devices_accuse_nobody_if_all_are() -> None:
    verdict = judged(BLIND, 61.0, dict.fromkeys(range(4), True))
    assert (verdict.hung, verdict.ranks) == (True, ())
    assert "the devices of all 4 ranks have been idle for 61 s" in verdict.sentence


@pytest.mark.parametrize(
    ("quiet_s", "idle"),
    [
        (59.0, dict.fromkeys(range(4), True)),  # it may save
        (61.0, dict.fromkeys(range(3), True)),  # of one nothing is known
        (61.0, dict.fromkeys(range(4), False)),
        (61.0, {0: True, 1: True, 2: False, 3: False}),
        (61.0, {}),
    ],
)
def test_without_stacks_nothing_else_is_a_second_sign(quiet_s: float, idle: dict[int, bool]) -> None:
    verdict = judged(BLIND, quiet_s, idle)
    assert (verdict.hung, verdict.sentence) == (False, "no rank could be looked at")


def test_a_rank_that_stands_still_while_its_device_is_busy_waits_for_that_and_is_not_accused() -> None:
    still = rank(2, SPIN, wchan="hrtimer_nanosleep")
    found = judged([*OTHERS, still], 20.0, {0: True, 2: True})
    assert [key.rank for key in found.ranks] == [2]
    assert "in spin (train.py:9), its device idle, and 3 of 4" in found.sentence
    verdict = judged(
        [rank(0, SPIN), rank(1, SPIN), rank(3, SPIN, state="T"), still], 20.0, {0: False, 1: False, 2: False}
    )
    assert [key.rank for key in verdict.ranks] == [3]
    assert "3 of 4 ranks wait for it" in verdict.sentence


def test_of_a_world_of_which_some_were_looked_at_that_is_said() -> None:
    verdict = judged([*OTHERS, rank(2)], 20.0, ranks=10_000)
    assert (verdict.hung, verdict.ranks) == (True, ())
    assert "for one that was not looked at or for the network" in verdict.sentence
    assert verdict.sentence.endswith("(4 of 10000 ranks were looked at)")
    assert judged([*OTHERS, rank(2, SPIN, "R")], 20.0, ranks=10_000).confidence >= SURE


def test_who_is_missing_in_the_collective_bears_out_what_stacks_say() -> None:
    verdict = judged([*IN_8, at(rank(2, SPIN, state="R"), 7, waits=False)], 20.0)
    assert [key.rank for key in verdict.ranks] == [2]
    assert verdict.kind == HangKind.SPINNING
    assert verdict.confidence > 0.95
    assert verdict.sentence.endswith(
        "; it has not begun collective 8 of group 0, all_reduce of Float[4], in which ranks 0-1, 3 wait"
    )


def test_where_all_wait_at_one_place_who_is_missing_in_the_collective_is_named() -> None:
    verdict = judged([*IN_8, at(rank(2), 7, waits=False)], 20.0)
    assert [key.rank for key in verdict.ranks] == [2]
    assert (verdict.kind, verdict.node) == (HangKind.COLLECTIVE, "n2")
    assert verdict.confidence >= SURE
    assert verdict.sentence.startswith("rank 2 on n2 has not begun collective 8 of group 0")

    there = judged([*IN_8, at(rank(2), 8)], 20.0)
    assert (there.kind, there.ranks) == (HangKind.NETWORK, ())
    assert there.sentence.endswith("; all of them have begun collective 8 of group 0, all_reduce of Float[4]")


def test_ranks_that_wait_in_different_collectives_are_not_said_to_be_all_there() -> None:
    other = GroupPosition(group="1", begun=1, open=1, call="broadcast", of="Float[4]")
    elsewhere = at(rank(1), 7, waits=False)
    elsewhere = replace(elsewhere, positions=(*elsewhere.positions, other))
    verdict = judged([IN_8[0], elsewhere], 20.0)
    assert (verdict.hung, verdict.kind, verdict.ranks, verdict.confidence) == (True, HangKind.COLLECTIVE, (), 0.5)
    assert verdict.sentence == (
        "ranks wait for each other in different collectives: rank 0 waits in collective 8 of group 0, all_reduce of "
        "Float[4]; rank 1 waits in collective 1 of group 1, broadcast of Float[4]"
    )


def test_a_rank_that_is_stopped_cannot_say_how_far_it_is_and_is_named_still() -> None:
    verdict = judged([*IN_8[:2], at(rank(3), 7, waits=False), rank(2, state="T")], 20.0)
    assert [key.rank for key in verdict.ranks] == [2]
    assert "collective 8" not in verdict.sentence


def test_a_rank_that_works_is_no_hang_however_far_it_is() -> None:
    assert not judged([*IN_8, at(rank(2, SAVE, moved=3), 7, waits=False)], 20.0).hung
