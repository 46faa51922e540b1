"""The sums by which a cause is judged: faults alike in a row, of a node, of a rank, and how long a restart waits."""

import pytest

from dlroverd.core.passes.courses import COURSES, History, course
from dlroverd.core.state import State
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind, Incident
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.limits import Limits

GANG = GangKey(1, "trainer", 0)


def cause(kind: CauseKind = CauseKind.SIGNAL, *, rank: int = 0, node: str = "n1", rule: str = "signal.segv") -> Cause:
    return Cause(kind=kind, rule=rule, sentence="", rank=GANG.at(1).rank(rank), node=node)


def incident(number: int, of: Cause, *, reached: int = -1, at: float = 0.0, drill: str = "") -> Incident:
    return Incident(
        id=number, gang=GANG, round=number, began_at=at, detected_at=at, cause=of, reached=reached, drill=drill
    )


def history(of: Cause, *before: Incident, reached: int = -1) -> History:
    return History(tuple(reversed(before)), of, reached)


def test_three_faults_of_a_node_count_whichever_rank_had_them() -> None:
    before = [incident(1, cause(rank=1)), incident(2, cause(rank=2))]
    assert history(cause(rank=3), *before).strikes() == 3
    assert history(cause(rank=3, node="n2"), *before).strikes() == 1
    assert history(cause(CauseKind.EXCEPTION), *before).strikes() == 0


def test_three_faults_of_a_rank_count_whichever_nodes_it_was_on() -> None:
    before = [incident(1, cause(node="n1")), incident(2, cause(node="n2"))]
    third = history(cause(node="n3"), *before)
    assert third.strikes() >= course(CauseKind.SIGNAL).strikes
    fourth = history(cause(node="n4"), *before, incident(3, cause(node="n3")))
    assert fourth.strikes() == 1


@pytest.mark.parametrize(("alike", "wait_s"), [(0, 0), (1, 0), (2, 10), (3, 20), (7, 320), (8, 600), (30, 600)])
def test_a_crash_loop_waits_twice_as_long_each_time(alike: int, wait_s: float) -> None:
    before = [incident(number, cause(), reached=5) for number in range(1, alike + 1)]
    assert history(cause(), *before, reached=5).wait_s() == wait_s
    assert history(cause(), *before, reached=6).wait_s() == 0
    assert history(cause(rule="signal.bus"), *before, reached=5).wait_s() == 0


def test_what_comes_from_outside_never_waits() -> None:
    lost = cause(CauseKind.NODE_LOST, rule="node.lost")
    assert history(lost, *[incident(number, lost) for number in range(1, 9)]).wait_s() == 0


def test_the_window_slides_and_drills_do_not_count() -> None:
    state = State("log")
    turn = Turn(state, 0.0, Limits())
    role = RoleSpec(argv=("/bin/true",), cwd="/")
    spec = JobSpec(name="a", user=User(uid=1, gid=1, name="ann"), roles=(role,), restart_window_s=100.0)
    turn.emit(ev.JobSubmitted(job=1, request_id="r", spec=spec, reason="", deadline=0.0))
    for number, at, drill in ((1, 10.0, ""), (2, 60.0, ""), (3, 70.0, "ordered by ann"), (4, 80.0, "")):
        turn.emit(ev.IncidentOpened(job=1, incident=incident(number, cause(), at=at, drill=drill)))
    current = incident(5, cause(), at=120.0)
    state.put(state.meta, "", type(state.m)(now=120.0))
    assert [each.id for each in History.of(state, 1, current, cause(), -1).before] == [4, 2]


def test_kinds_that_cost_nothing_do_so_only_so_often() -> None:
    assert {kind for kind, each in COURSES.items() if each.free and not each.idle} == {
        CauseKind.PORT_TAKEN,
        CauseKind.NETWORK,
        CauseKind.DEVICE_ERROR,
    }
    port = cause(CauseKind.PORT_TAKEN, rule="launch.port_taken")
    before = [incident(1, port), incident(2, cause()), incident(3, port)]
    assert history(port, *before).same_kind() == 2
