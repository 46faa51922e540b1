"""The agent's core as a table of situations. What it does is compared whole."""

import itertools
from dataclasses import replace

import pytest
from dlroverd_agent.core import (
    ACK_LATE_S,
    ACK_LATEST_S,
    Acked,
    Action,
    AgentCore,
    Connected,
    DesiredArrived,
    Disconnected,
    Followed,
    Forget,
    RankChanged,
    Reconnect,
    Recovered,
    SaveFollowed,
    Say,
    SendObserved,
    Start,
    Stop,
    Ticked,
    jobs_here,
)

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.world import Assignment, Desired, Held, JobDescriptor, RankObservation, Tombstone

GANG = GangKey(1, "trainer", 0)
SPEC = JobSpec(
    name="digits",
    user=User(uid=1, gid=1, name="ann"),
    roles=(RoleSpec(argv=("/bin/true",), cwd="/", nproc_per_node=2),),
)
KILLED = ExitInfo(exited_at=7.0, signal=9)
ENDED = ExitInfo(exited_at=8.0, code=0)


def part(round_: int) -> Assignment:
    return Assignment(
        round=GANG.at(round_),
        world_size=2,
        group_rank=0,
        group_world_size=1,
        first_rank=0,
        nproc=2,
        master_addr="127.0.0.1",
        master_port=20000,
        restart_count=round_ - 1,
    )


def key(round_: int, rank: int) -> RankKey:
    return GANG.at(round_).rank(rank)


def desired(position: int, *, run: int = 0, stop: int = 0, log: str = "A", adopt_from: str = "") -> Desired:
    return Desired(
        log_id=log,
        position=position,
        adopt_from=adopt_from,
        jobs=(JobDescriptor(job=1, spec=SPEC),) if run else (),
        assignments=(part(run),) if run else (),
        tombstones=(Tombstone(round=GANG.at(stop), grace_s=1.0, evidence_s=0.5, reason="fault"),) if stop else (),
    )


def seen(round_: int, rank: int, state: RankState, exit_: ExitInfo | None = None) -> RankObservation:
    return RankObservation(key=key(round_, rank), state=state, pid=40 + rank, started_at=5.0, exit=exit_)


class Node:
    """A core, and all that it did, shortened to what matters in these tests."""

    def __init__(self, followed: Followed | None = None, found: tuple[RankObservation, ...] = ()) -> None:
        self.core = AgentCore("n1", followed or Followed())
        self.now = 100.0
        assert self.core.handle(Recovered(found), self.now) == ()
        assert self.core.handle(Connected(self.core.version), self.now) == ()

    def did(self, item: object) -> list[str]:
        return [short(action) for action in self.core.handle(item, self.now)]  # type: ignore[arg-type]

    def take(self, wanted: Desired) -> list[str]:
        return self.did(DesiredArrived(wanted))

    def sees(self, *ranks: RankObservation) -> list[str]:
        return [line for rank in ranks for line in self.did(RankChanged(rank))]

    def listed(self) -> list[str]:
        return [f"{each.key.round}#{each.key.rank} {each.state}" for each in self.core.observed().ranks]


def short(action: Action) -> str:
    match action:
        case Start() | Forget():
            return f"{type(action).__name__} {action.key.round}#{action.key.rank}"
        case Stop():
            return f"Stop {action.key.round}#{action.key.rank} {action.evidence_s}+{action.grace_s}"
        case SaveFollowed():
            return f"Save {action.followed.log_id}@{action.followed.position}"
        case SendObserved():
            return f"Observed @{action.observed.position}"
        case Say():
            return action.sentence
        case Reconnect():
            return "Reconnect"
        case _:
            return repr(action)


def running(position: int = 10) -> Node:
    """A node that runs round 1, told at `position`."""
    node = Node()
    node.take(desired(position, run=1))
    node.sees(seen(1, 0, RankState.RUNNING), seen(1, 1, RankState.RUNNING))
    return node


def test_a_world_is_saved_then_started_then_reported() -> None:
    node = Node()
    assert node.take(desired(10, run=1)) == ["Save A@10", "Start 1#0", "Start 1#1", "Observed @10"]
    assert node.listed() == ["1#0 assigned", "1#1 assigned"]
    assert node.take(desired(10, run=1)) == []


def test_a_start_carries_all_that_is_needed_for_it() -> None:
    actions = Node().core.handle(DesiredArrived(desired(10, run=1)), 0.0)
    assert Start(key(1, 1), part(1), SPEC) in actions
    assert (
        SaveFollowed(
            Followed(
                log_id="A",
                position=10,
                held=Held(assignments=(part(1),), jobs=(JobDescriptor(job=1, spec=SPEC),)),
            )
        )
        in actions
    )


def test_absence_stops_nothing_and_what_is_gone_is_forgotten_by_it() -> None:
    node = running()
    assert node.take(desired(11)) == ["Save A@11", "Observed @11"]
    assert node.listed() == ["1#0 running", "1#1 running"]
    assert node.sees(seen(1, 0, RankState.GONE, ENDED)) == ["Observed @11"]
    assert node.take(desired(11)) == ["Forget 1#0", "Observed @11"]
    assert node.listed() == ["1#1 running"]


def test_what_is_gone_is_listed_for_as_long_as_it_is_named() -> None:
    node = running()
    node.sees(seen(1, 0, RankState.GONE, KILLED), seen(1, 1, RankState.GONE, ENDED))
    assert node.take(desired(11, run=1)) == ["Save A@11", "Observed @11"]
    assert node.take(desired(12, stop=1)) == ["Save A@12", "Observed @12"]
    assert node.listed() == ["1#0 gone", "1#1 gone"]
    assert node.take(desired(13)) == ["Save A@13", "Forget 1#0", "Forget 1#1", "Observed @13"]


def test_a_tombstone_stops_before_anything_is_saved_and_once() -> None:
    node = running()
    node.sees(seen(1, 0, RankState.GONE, KILLED))
    assert node.take(desired(11, stop=1)) == ["Stop 1#1 0.5+1.0", "Save A@11", "Observed @11"]
    assert node.take(desired(12, stop=1)) == ["Save A@12", "Observed @12"]
    shorter = replace(desired(13, stop=1).tombstones[0], evidence_s=0.0)
    assert node.take(replace(desired(13), tombstones=(shorter,)))[0] == "Stop 1#1 0.0+1.0"


def test_a_stop_wins_over_a_start() -> None:
    node = Node()
    assert node.take(desired(10, run=1, stop=1)) == ["Save A@10", "Observed @10"]
    assert node.take(desired(11, run=1)) == ["Save A@11", "Observed @11"]
    assert node.listed() == []


def test_a_new_round_waits_until_the_old_one_is_gone() -> None:
    node = running()
    assert node.take(desired(11, run=2)) == ["Save A@11", "Observed @11"]
    assert node.listed() == ["1#0 running", "1#1 running", "2#0 assigned", "2#1 assigned"]
    assert node.sees(seen(1, 0, RankState.GONE, KILLED)) == ["Observed @11"]
    assert node.sees(seen(1, 1, RankState.EXITED, KILLED)) == ["Observed @11"]
    assert node.sees(seen(1, 1, RankState.GONE, KILLED)) == ["Start 2#0", "Start 2#1", "Observed @11"]


def test_a_round_that_waits_and_is_stopped_never_starts() -> None:
    node = running()
    node.take(desired(11, run=2))
    stops = ["Stop 1#0 0.5+1.0", "Stop 1#1 0.5+1.0"]
    assert node.take(desired(12, stop=2)) == [*stops, "Save A@12", "Observed @12"]
    assert node.listed() == ["1#0 running", "1#1 running"]
    assert node.sees(seen(1, 0, RankState.GONE), seen(1, 1, RankState.GONE)) == ["Observed @12"] * 2


def test_a_rank_moves_only_forward_and_keeps_what_was_known() -> None:
    node = running()
    assert node.sees(RankObservation(key=key(1, 0), state=RankState.GONE, exit=KILLED)) == ["Observed @10"]
    assert node.core.seen(key(1, 0)) == seen(1, 0, RankState.GONE, KILLED)
    assert node.sees(seen(1, 0, RankState.RUNNING), seen(1, 0, RankState.GONE)) == []


@pytest.mark.parametrize(
    "wanted", [desired(20, stop=1, log="B"), desired(9, stop=1), desired(9, stop=1, adopt_from="B")]
)
def test_another_log_or_an_old_copy_changes_nothing_and_is_named_once(wanted: Desired) -> None:
    node = running()
    before = node.core.observed(), node.core.followed
    (sentence,) = node.take(wanted)
    assert "dlroverctl node adopt n1" in sentence
    assert node.take(wanted) == []
    assert (node.core.observed(), node.core.followed) == before


def test_adoption_follows_the_new_log_and_says_hello_anew() -> None:
    node = running(position=30)
    node.sees(seen(1, 1, RankState.GONE, ENDED))
    assert node.take(desired(5, run=1, log="B", adopt_from="A")) == ["Save B@5", "Reconnect"]
    assert node.listed() == ["1#0 running", "1#1 gone"]
    node.did(Disconnected())
    assert node.did(Connected(node.core.version)) == []
    assert node.take(desired(6, stop=1, log="B")) == ["Stop 1#0 0.5+1.0", "Save B@6", "Observed @6"]


def test_adoption_lets_go_at_once_of_what_the_new_log_does_not_know() -> None:
    node = running(position=30)
    node.sees(seen(1, 0, RankState.GONE, ENDED))
    assert node.take(desired(5, log="B", adopt_from="A")) == ["Save B@5", "Forget 1#0", "Reconnect"]
    assert node.listed() == ["1#1 running"]


def test_an_older_copy_of_the_same_log_is_followed_back_when_a_person_says_so() -> None:
    node = running(position=30)
    assert node.take(desired(20, run=1, adopt_from="A")) == ["Save A@20", "Reconnect"]


def test_what_is_on_disk_starts_nothing_until_a_daemon_says_so() -> None:
    held = Held(assignments=(part(1),), jobs=(JobDescriptor(job=1, spec=SPEC),))
    node = Node(Followed(log_id="A", position=10, held=held), (seen(1, 0, RankState.RUNNING),))
    assert node.listed() == ["1#0 running", "1#1 assigned"]
    assert node.did(Ticked()) == []
    assert node.take(desired(10, run=1)) == ["Start 1#1"]


def test_a_restarted_agent_forgets_nothing_before_a_daemon_speaks() -> None:
    node = Node(Followed(log_id="A", position=10), (seen(1, 0, RankState.GONE, KILLED), seen(2, 0, RankState.GONE)))
    assert node.listed() == ["1#0 gone", "2#0 gone"]
    assert node.take(desired(10, stop=1)) == ["Forget 2#0", "Observed @10"]


def test_what_is_not_acknowledged_in_time_is_said_again() -> None:
    node = Node()
    node.take(desired(10))
    node.now += ACK_LATE_S
    assert node.did(Ticked()) == []
    node.now += 0.1
    assert node.did(Ticked()) == ["Observed @10"]
    assert node.did(Ticked()) == []
    node.now += 2 * ACK_LATE_S
    assert node.did(Acked(node.core.version)) == []


def test_what_is_not_acknowledged_is_said_again_less_and_less_often() -> None:
    node = Node()
    node.take(desired(10))
    heard = []
    for second in range(300):
        node.now += 1.0
        heard += [second for said in node.did(Ticked()) if said.startswith("Observed")]
    waits = [after - before for before, after in itertools.pairwise(heard)]
    assert waits == sorted(waits)
    assert waits[0] < waits[-1] <= ACK_LATEST_S + 1.0
    node.now = node.now - (300 - 1 - heard[-1]) + ACK_LATE_S + 0.1
    assert node.did(Ticked()) == []
    assert node.did(Acked(node.core.version - 1)) == ["Observed @10"]


def test_nothing_is_sent_without_a_session_and_changes_meanwhile_follow_the_hello() -> None:
    node = running()
    node.did(Disconnected())
    said_at_hello = node.core.version
    assert node.sees(seen(1, 0, RankState.GONE, KILLED)) == []
    assert node.did(Connected(said_at_hello)) == ["Observed @10"]


@pytest.mark.parametrize(
    "broken",
    [
        replace(desired(11), assignments=(part(1),)),
        replace(desired(11, run=1), assignments=(replace(part(1), round=GangKey(1, "ps", 0).at(1)),)),
        desired(11, run=1, log=""),
    ],
)
def test_a_message_that_cannot_be_meant_is_ignored_with_one_sentence(broken: Desired) -> None:
    node = Node()
    (sentence,) = node.take(broken)
    assert sentence.endswith("ignored.")
    assert node.core.followed == Followed()
    assert node.take(desired(10, run=1))[0] == "Save A@10"


def test_a_jobs_memory_is_needed_until_the_daemon_has_let_go_and_its_last_rank_is_forgotten() -> None:
    core = AgentCore("n1", Followed())
    core.handle(Recovered((seen(1, 0, RankState.RUNNING),)), 0.0)
    assert jobs_here(core.followed.held, core.observed()) == {1}  # of an earlier life, which no daemon has confirmed
    core.handle(DesiredArrived(desired(1, run=1)), 1.0)
    between = replace(desired(2, stop=1), jobs=desired(1, run=1).jobs)
    core.handle(DesiredArrived(between), 2.0)
    for rank in (0, 1):
        core.handle(RankChanged(seen(1, rank, RankState.GONE, KILLED)), 3.0)
    core.handle(DesiredArrived(replace(between, position=3, tombstones=())), 4.0)
    assert core.observed().ranks == ()
    assert jobs_here(core.followed.held, core.observed()) == {1}
    core.handle(DesiredArrived(desired(4)), 5.0)
    assert jobs_here(core.followed.held, core.observed()) == set()
