"""What a scheduler may answer, and what the core makes of an answer that breaks a rule."""

import pytest

from dlroverd.core.handle import Decision
from dlroverd.core.passes import preempt, queue
from dlroverd.model.event import PlacementRejected
from dlroverd.model.fault import ExitInfo
from dlroverd.model.input import ConfirmDown, NodeSilent
from dlroverd.model.job import JobState, RankState
from dlroverd.model.limits import Limits
from dlroverd.model.placement import GangPlacement, NoFit, Placement, Preempt
from dlroverd.model.quota import Quota
from tests.unit.core.desk import Desk, spec


def rejections(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events if isinstance(event, PlacementRejected)]


@pytest.fixture
def busy() -> Desk:
    """One node with one slot, taken by job 1; job 2, of higher priority, is asked about."""
    desk = Desk()
    desk.node("n1")
    job = desk.submit(spec())
    desk.place(job, "n1")
    desk.run(job)
    desk.submit(spec(priority=5))
    return desk


def test_a_job_behind_the_head_may_be_placed_instead() -> None:
    desk = Desk()
    desk.node("n1", slots=2)
    desk.node("n2", slots=1)
    head = desk.submit(spec(nproc_per_node=2))
    small = desk.submit(spec())
    gangs = (GangPlacement(role="trainer", gang=0, nodes=("n2",)),)
    desk.answer(Placement(gangs=gangs, job=small), head)
    assert desk.state.jobs[small].state is JobState.STARTING
    assert desk.state.jobs[head].state is JobState.QUEUED
    assert desk.state.jobs[head].reason == f"job {small} is placed before it, as the scheduler decided"


def test_a_job_that_does_not_wait_is_not_placed(busy: Desk) -> None:
    decision = busy.answer(Placement(gangs=(GangPlacement(role="trainer", gang=0, nodes=("n1",)),), job=1), 2)
    assert rejections(decision) == ["it places job 1, which does not wait"]


def test_a_quota_binds_the_scheduler_too() -> None:
    desk = Desk(Limits(quotas=(Quota(kind="user", name="ann", devices=1),)))
    desk.node("n1", slots=3)
    desk.place(desk.submit(spec()), "n1")
    head = desk.submit(spec("bob"))
    held = desk.submit(spec())
    gangs = (GangPlacement(role="trainer", gang=0, nodes=("n1",)),)
    decision = desk.answer(Placement(gangs=gangs, job=held), head)
    assert rejections(decision) == [
        f"it places job {held}: user ann uses 1 of 1 devices (quota), and it needs 1",
    ]
    assert desk.state.jobs[head].state is JobState.STARTING


@pytest.mark.parametrize("jobs", [(), (2,), (7,)])
def test_only_running_jobs_of_lower_priority_make_room(busy: Desk, jobs: tuple[int, ...]) -> None:
    decision = busy.answer(Preempt(jobs=jobs), 2)
    assert len(rejections(decision)) == 1
    # The built-in rule decides instead, and it has job 1 make room.
    assert busy.state.jobs[1].plan is not None


def test_preemption_can_be_switched_off() -> None:
    desk = Desk(Limits(preemption=False))
    desk.node("n1")
    job = desk.submit(spec())
    desk.place(job, "n1")
    desk.run(job)
    urgent = desk.submit(spec(priority=5))
    assert not preempt.candidates(desk.state, desk.limits, desk.state.jobs[urgent])
    desk.answer(Preempt(jobs=(job,)), urgent)
    assert desk.state.jobs[job].plan is None


def test_who_made_room_is_left_alone_for_a_while(busy: Desk) -> None:
    busy.answer(Preempt(jobs=(1,)), 2)
    busy.now += 5
    third = busy.submit(spec(priority=9))
    assert [each.leaving for each in preempt.candidates(busy.state, busy.limits, busy.state.jobs[third])] == [True]


def test_nothing_is_said_of_a_fit_that_is_not_there(busy: Desk) -> None:
    busy.answer(NoFit(reason="because I say so"), 2)
    assert queue.why(busy.state, busy.limits, 2) == "because I say so"


def test_a_range_takes_no_more_than_the_quota() -> None:
    desk = Desk(Limits(quotas=(Quota(kind="project", name="*", devices=3),)))
    for number in range(5):
        desk.node(f"n{number}")
    job = desk.submit(spec(project="vision", nodes_min=1, nodes_max=5))
    decision = desk.place(job, "n0", "n1", "n2", "n3")
    assert rejections(decision) == ["it gives role trainer gang 0 4 nodes where 1 to 3 in steps of 1 are legal"]
    assert len(desk.state.gangs_of(job)[0].nodes) == 3


def test_quotas_count_what_is_given_back() -> None:
    desk = Desk(Limits(quotas=(Quota(kind="user", name="*", jobs=1),)))
    desk.node("n1", slots=2)
    first = desk.submit(spec())
    desk.place(first, "n1")
    second = desk.submit(spec())
    assert desk.state.jobs[second].state is JobState.QUEUED
    assert queue.why(desk.state, desk.limits, second) == "user ann runs 1 of 1 jobs (quota)"
    other = desk.submit(spec("bob"))
    assert desk.state.jobs[other].state is JobState.PLACING


def test_who_had_room_made_has_none_made_again_soon(busy: Desk) -> None:
    """A job that keeps losing its nodes does not drive out one job after another."""
    busy.answer(Preempt(jobs=(1,)), 2)
    busy.report(1, RankState.GONE, ExitInfo(exited_at=busy.now, signal=15, requested=True))
    busy.place(2, "n1")
    busy.run(2)
    busy.settle()
    busy.node("n2")
    busy.settle()
    busy.run(1)
    busy.turn(NodeSilent(node="n1"))
    busy.turn(ConfirmDown(node="n1", actor="ann"))
    busy.settle()
    assert queue.why(busy.state, busy.limits, 2).startswith(
        "needs 1 node x 1 slot; 0 nodes have 1 free; job 1 of lower priority cannot be asked to make room again yet"
    )
    busy.now += busy.limits.preempt_cooldown_s
    busy.turn()
    busy.settle()
    plan = busy.state.jobs[1].plan
    assert plan is not None
    assert plan.stopping
