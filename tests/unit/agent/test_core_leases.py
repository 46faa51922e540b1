"""The agent's core with ranks that may run only for so long without a word from the daemon."""

from collections.abc import Iterable
from dataclasses import replace

from dlroverd_agent.core import (
    Action,
    AgentCore,
    AskNow,
    BeatHeard,
    Connected,
    DesiredArrived,
    Disconnected,
    Followed,
    Input,
    RankChanged,
    Recovered,
    Renew,
    Say,
    Start,
    Stop,
    Ticked,
)

from dlroverd.model.fault import LEASE_RAN_OUT, ExitInfo
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.world import Assignment, Desired, Held, JobDescriptor, RankObservation, Tombstone

GANG = GangKey(1, "trainer", 0)
KEY = GANG.at(1).rank(0)
LEASE_S = 30.0
SPEC = JobSpec(
    name="digits",
    user=User(uid=1, gid=1, name="ann"),
    roles=(RoleSpec(argv=("/bin/true",), cwd="/", lease_s=LEASE_S),),
)
WORLD = Assignment(
    round=GANG.at(1),
    world_size=1,
    group_rank=0,
    group_world_size=1,
    first_rank=0,
    nproc=1,
    master_addr="10.0.0.1",
    master_port=20000,
    restart_count=0,
)
WANTED = Desired(log_id="log", position=1, jobs=(JobDescriptor(job=1, spec=SPEC),), assignments=(WORLD,))
FOLLOWED = Followed(log_id="log")


def begun(*, heard_at: float = 100.0) -> AgentCore:
    """An agent that is connected since `heard_at`."""
    core = AgentCore("n1", FOLLOWED)
    core.handle(Recovered(()), heard_at)
    core.handle(Connected(1, asked_at=heard_at), heard_at)
    return core


def give(core: AgentCore, now: float, *items: Input) -> list[Action]:
    return [action for item in items for action in core.handle(item, now) if not _is_report(action)]


def _is_report(action: Action) -> bool:
    return type(action).__name__ in ("SendObserved", "SaveFollowed")


def only(kind: type[Action], actions: Iterable[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


def running(core: AgentCore, now: float) -> None:
    give(core, now, RankChanged(RankObservation(key=KEY, state=RankState.RUNNING, pid=7)))


def test_a_lease_runs_from_a_beat_that_was_heard_and_not_from_its_answer() -> None:
    core = begun(heard_at=100.0)
    (start,) = give(core, 101.0, DesiredArrived(WANTED))
    assert start == Start(KEY, WORLD, SPEC, 100.0 + LEASE_S)
    running(core, 101.0)
    assert give(core, 125.0, BeatHeard(104.0)) == [Renew(((KEY, 104.0 + LEASE_S),))]


def test_what_renews_the_lease_of_a_rank_that_is_being_started_is_told_again_once_it_runs() -> None:
    """It has no keeper before that; else the keeper would end it earlier than this agent knows."""
    core = begun(heard_at=100.0)
    give(core, 101.0, DesiredArrived(WANTED))
    give(core, 104.5, BeatHeard(104.0))
    seen = RankObservation(key=KEY, state=RankState.RUNNING, pid=7)
    assert give(core, 105.0, RankChanged(seen), RankChanged(seen)) == [Renew(((KEY, 104.0 + LEASE_S),))]


def test_an_old_answer_renews_nothing() -> None:
    """What waited in a buffer while this host was cut off says no more than it did then."""
    core = begun(heard_at=100.0)
    give(core, 101.0, DesiredArrived(WANTED))
    running(core, 101.0)
    assert give(core, 120.0, BeatHeard(100.0), BeatHeard(99.0)) == []


def test_a_rank_whose_lease_has_run_out_is_stopped_at_once_and_once() -> None:
    core = begun(heard_at=100.0)
    give(core, 101.0, DesiredArrived(WANTED))
    running(core, 101.0)
    assert give(core, 129.9, Disconnected(), Ticked()) == []
    assert give(core, 130.0, Ticked(), Ticked()) == [Stop(KEY, 0.0, 0.0)]
    assert core.out_of_lease(KEY, 130.0)
    over = RankObservation(key=KEY, state=RankState.GONE, exit=ExitInfo(exited_at=130.0, signal=9, lost=LEASE_RAN_OUT))
    (said,) = give(core, 130.1, RankChanged(over))
    assert said == Say(f"{KEY} has ended: {LEASE_RAN_OUT}.")
    assert not core.has_leases


def test_nothing_is_started_on_half_a_lease_before_the_daemon_was_heard_anew() -> None:
    """A desired state that waited in a buffer may be of a world that was formed elsewhere since."""
    core = begun(heard_at=100.0)
    assert give(core, 116.0, DesiredArrived(WANTED)) == [AskNow()]
    assert core.has_leases
    assert only(Start, give(core, 116.1, BeatHeard(101.0), Ticked())) == []
    assert only(Start, give(core, 116.2, BeatHeard(116.0))) == [Start(KEY, WORLD, SPEC, 116.0 + LEASE_S)]


def test_a_successor_leaves_what_it_finds_to_its_keeper_until_the_daemon_was_heard() -> None:
    core = AgentCore("n1", Followed(log_id="log", position=1, held=Held(assignments=(WORLD,), jobs=WANTED.jobs)))
    found = RankObservation(key=KEY, state=RankState.RUNNING, pid=7)
    core.handle(Recovered((found,)), 1000.0)
    assert give(core, 1100.0, Ticked()) == []
    assert give(core, 1101.0, Connected(1, asked_at=1100.5)) == [Renew(((KEY, 1100.5 + LEASE_S),))]


def test_a_lease_is_kept_while_a_rank_takes_its_time_to_stop() -> None:
    """The daemon does not send the spec of a job any more that is being stopped."""
    core = begun(heard_at=100.0)
    give(core, 101.0, DesiredArrived(WANTED))
    running(core, 101.0)
    stop = Tombstone(round=GANG.at(1), grace_s=60.0, evidence_s=0.0, reason="cancelled")
    stopping = Desired(log_id="log", position=2, tombstones=(stop,))
    assert only(Stop, give(core, 110.0, DesiredArrived(stopping))) == [Stop(KEY, 0.0, 60.0, "cancelled")]
    assert give(core, 111.0, BeatHeard(110.5)) == [Renew(((KEY, 110.5 + LEASE_S),))]


def test_ranks_without_a_lease_ask_for_nothing_and_outlive_any_silence() -> None:
    core = begun(heard_at=100.0)
    spec = replace(SPEC, roles=(replace(SPEC.roles[0], lease_s=0.0),))
    wanted = replace(WANTED, jobs=(JobDescriptor(job=1, spec=spec),))
    assert give(core, 900.0, DesiredArrived(wanted)) == [Start(KEY, WORLD, spec)]
    running(core, 900.0)
    assert not core.has_leases
    assert give(core, 10_000.0, Disconnected(), Ticked()) == []
