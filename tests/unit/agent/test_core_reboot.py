"""A host is rebooted when the daemon wants that boot ended and no rank is left: never under one, never unheard."""

from dlroverd_agent.core import (
    Acked,
    Action,
    AgentCore,
    Connected,
    DesiredArrived,
    Disconnected,
    Followed,
    RankChanged,
    Reboot,
    Recovered,
    Ticked,
)
from dlroverd_agent.core.rebooting import AGAIN_S

from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.world import Assignment, Desired, JobDescriptor, RankObservation, Tombstone

GANG = GangKey(1, "trainer", 0)
RANK = GANG.at(1).rank(0)
SPEC = JobSpec(name="a", user=User(uid=1, gid=1, name="u"), roles=(RoleSpec(argv=("/bin/true",), cwd="/"),))
RUNS = Desired(
    log_id="A",
    position=1,
    jobs=(JobDescriptor(job=1, spec=SPEC),),
    assignments=(
        Assignment(
            round=GANG.at(1),
            world_size=1,
            group_rank=0,
            group_world_size=1,
            first_rank=0,
            nproc=1,
            master_addr="n1",
            master_port=20000,
            restart_count=0,
        ),
    ),
)
STOPS = Desired(
    log_id="A",
    position=2,
    reboot="b1",
    tombstones=(Tombstone(round=GANG.at(1), grace_s=1.0, evidence_s=0.0, reason=""),),
)
EMPTY = Desired(log_id="A", position=2, reboot="b1")


def connected() -> AgentCore:
    core = AgentCore("n1", Followed())
    core.handle(Recovered(()), 0.0)
    core.handle(Connected(core.version), 0.0)
    core.handle(Acked(core.version), 0.0)
    return core


def reboots(actions: tuple[Action, ...]) -> list[str]:
    return [action.boot for action in actions if isinstance(action, Reboot)]


def test_an_empty_node_is_rebooted_once_and_again_if_it_is_still_here_long_after() -> None:
    core = connected()
    assert reboots(core.handle(DesiredArrived(EMPTY), 1.0)) == ["b1"]
    assert reboots(core.handle(DesiredArrived(EMPTY), 2.0)) == []
    assert reboots(core.handle(Ticked(), AGAIN_S)) == []
    assert reboots(core.handle(Ticked(), 1.0 + AGAIN_S)) == ["b1"]


def test_a_node_is_not_rebooted_under_a_rank_but_once_that_is_gone() -> None:
    core = connected()
    core.handle(DesiredArrived(RUNS), 1.0)
    core.handle(RankChanged(RankObservation(key=RANK, state=RankState.RUNNING, pid=7)), 2.0)
    assert reboots(core.handle(DesiredArrived(STOPS), 3.0)) == []
    assert reboots(core.handle(RankChanged(RankObservation(key=RANK, state=RankState.EXITED)), 4.0)) == []
    assert reboots(core.handle(RankChanged(RankObservation(key=RANK, state=RankState.GONE)), 5.0)) == ["b1"]


def test_a_daemon_that_is_not_heard_any_more_may_have_changed_its_mind() -> None:
    core = connected()
    core.handle(DesiredArrived(RUNS), 1.0)
    core.handle(RankChanged(RankObservation(key=RANK, state=RankState.RUNNING, pid=7)), 2.0)
    core.handle(DesiredArrived(STOPS), 3.0)
    core.handle(Disconnected(), 4.0)
    assert reboots(core.handle(RankChanged(RankObservation(key=RANK, state=RankState.GONE)), 5.0)) == []
    assert reboots(core.handle(Connected(core.version), 6.0)) == []
    assert reboots(core.handle(DesiredArrived(Desired(log_id="A", position=3)), 7.0)) == []
