"""The agent's core before a start, about silent nodes, and while the daemon is away."""

from dataclasses import replace

import pytest
from dlroverd_agent.core import (
    ASK_EVERY_S,
    CUT_OFF_S,
    Action,
    AgentCore,
    AskPeer,
    CallSuspects,
    Check,
    Checked,
    Connected,
    DesiredArrived,
    DevicesSeen,
    Disconnected,
    Followed,
    Input,
    KnownRound,
    RankChanged,
    Recovered,
    RoundsHeard,
    Say,
    SendObserved,
    Start,
    Stop,
    SuspectCalled,
    Ticked,
)

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.node import DeviceObservation, DeviceState
from dlroverd.model.world import (
    Assignment,
    Desired,
    JobDescriptor,
    NodeCheck,
    Observed,
    Peer,
    RankObservation,
    SuspectSeen,
    Tombstone,
)

GANG = GangKey(1, "trainer", 0)
N2 = Peer(node="n2", addresses=("10.0.0.2",), port=7711)
N3 = Peer(node="n3", addresses=("10.0.0.3", "192.168.7.3"), port=7711)
N4 = Peer(node="n4", addresses=("10.0.0.4",), port=0)  # its agent answers nobody
SPEC = JobSpec(
    name="digits",
    user=User(uid=1, gid=1, name="ann"),
    roles=(RoleSpec(argv=("/bin/true",), cwd="/"),),
    restart_grace_s=2.5,
)


def part(round_: int, *, checking: bool = False, port: int = 20000) -> Assignment:
    return Assignment(
        round=GANG.at(round_),
        world_size=2,
        group_rank=1,
        group_world_size=2,
        first_rank=1,
        nproc=1,
        master_addr="10.0.0.2",
        master_port=port,
        restart_count=0,
        checking=checking,
        master=N2,
        peers=(N2, N3, N4),
    )


def desired(position: int, *parts: Assignment, suspects: tuple[Peer, ...] = (), stop: int = 0) -> Desired:
    return Desired(
        log_id="A",
        position=position,
        jobs=(JobDescriptor(job=1, spec=SPEC),) if parts else (),
        assignments=parts,
        tombstones=(Tombstone(round=GANG.at(stop), grace_s=1.0, evidence_s=0.5, reason="fault"),) if stop else (),
        suspects=suspects,
    )


class Node:
    """A core, and what it did, without what every change brings: that it is kept, and told."""

    def __init__(self, followed: Followed | None = None, found: tuple[RankObservation, ...] = ()) -> None:
        self.core = AgentCore("n1", followed or Followed())
        self.now = 100.0
        self.does(Recovered(found))

    def does(self, item: Input) -> list[Action]:
        told = [each for each in self.core.handle(item, self.now) if not type(each).__name__.startswith("Save")]
        return [each for each in told if not isinstance(each, SendObserved)]

    def takes(self, wanted: Desired) -> list[Action]:
        return self.does(DesiredArrived(wanted))

    def connected(self) -> "Node":
        self.does(Connected(self.core.version))
        return self

    def moves(self, round_: int, state: RankState) -> None:
        exit_ = ExitInfo(exited_at=1.0, signal=15) if state is RankState.GONE else None
        self.does(RankChanged(RankObservation(key=GANG.at(round_).rank(1), state=state, exit=exit_)))

    def sees(self) -> Observed:
        return self.core.observed()


def cut_off(round_: int = 2) -> Node:
    """A node that runs a round, and whose daemon has been away for longer than a blip."""
    node = Node().connected()
    node.takes(desired(10, part(round_)))
    node.moves(round_, RankState.RUNNING)
    node.does(Disconnected())
    node.now += CUT_OFF_S + 0.1
    return node


def known(newest: int, stopped: int = -1) -> tuple[KnownRound, ...]:
    return (KnownRound(gang=GANG, newest=newest, stopped=stopped),)


# ---- checks before a start


def test_a_world_that_is_checked_starts_once_it_is_cleared() -> None:
    node = Node().connected()
    asked = part(1, checking=True)
    assert node.takes(desired(10, asked)) == [Check(asked, SPEC)]
    assert [each.state for each in node.sees().ranks] == [RankState.ASSIGNED]
    check = NodeCheck(round=asked.round, reached=("10.0.0.2",))
    assert node.does(Checked(asked, check)) == []
    assert node.sees().checks == (check,)
    assert node.takes(desired(11, asked)) == []
    cleared = part(1)
    assert node.takes(desired(12, cleared)) == [Start(GANG.at(1).rank(1), cleared, SPEC)]
    assert node.sees().checks == (check,)
    node.takes(desired(13, stop=1))
    assert node.sees().checks == ()


def test_a_check_is_told_at_once_and_again_in_the_next_session() -> None:
    node = Node().connected()
    asked = part(1, checking=True)
    node.takes(desired(10, asked))
    check = NodeCheck(round=asked.round, problem="no such folder")
    (told,) = node.core.handle(Checked(asked, check), node.now)
    assert isinstance(told, SendObserved)
    assert told.observed.checks == (check,)
    assert node.core.handle(Checked(asked, check), node.now) == ()


def test_what_was_found_of_another_port_does_not_count() -> None:
    node = Node().connected()
    first, second = part(1, checking=True), part(1, checking=True, port=20001)
    node.takes(desired(10, first))
    assert node.takes(desired(11, second)) == [Check(second, SPEC)]
    node.does(Checked(first, NodeCheck(round=first.round, problem="port_taken")))
    assert node.sees().checks == ()


def test_a_check_is_not_begun_on_the_word_of_the_disk() -> None:
    node = Node().connected()
    asked = part(1, checking=True)
    node.takes(desired(10, asked))
    node.does(Checked(asked, NodeCheck(round=asked.round)))
    again = Node(node.core.followed)
    assert again.does(Connected(again.core.version)) == []
    assert again.sees().checks == ()
    assert again.takes(desired(10, asked)) == [Check(asked, SPEC)]


# ---- silent nodes and accelerators


def test_silent_nodes_are_called_while_the_daemon_names_them() -> None:
    node = Node().connected()
    assert node.takes(desired(10, suspects=(N2, N3))) == [CallSuspects((N2, N3))]
    assert node.sees().suspects == ()
    node.does(SuspectCalled("n3", False))
    node.does(SuspectCalled("n2", True))
    assert node.sees().suspects == (SuspectSeen(node="n2", answers=True), SuspectSeen(node="n3", answers=False))
    version = node.core.version
    node.does(SuspectCalled("n2", True))
    assert node.core.version == version
    (told,) = node.core.handle(SuspectCalled("n2", False), node.now)
    assert isinstance(told, SendObserved)
    assert node.sees().suspects[0] == SuspectSeen(node="n2", answers=False)
    assert node.takes(desired(11, suspects=(N2,))) == [CallSuspects((N2,))]
    assert node.sees().suspects == (SuspectSeen(node="n2", answers=False),)
    assert node.takes(desired(12)) == [CallSuspects(())]
    node.does(SuspectCalled("n2", True))
    assert node.sees().suspects == ()


def test_accelerators_are_told_when_they_change() -> None:
    node = Node().connected()
    busy = DeviceObservation(uuid="GPU-1", state=DeviceState.BUSY, detail="pid 7 of ann")
    (told,) = node.core.handle(DevicesSeen((busy,)), node.now)
    assert isinstance(told, SendObserved)
    assert told.observed.devices == (busy,)
    assert node.core.handle(DevicesSeen((busy,)), node.now) == ()


# ---- without the daemon


def test_peers_are_asked_once_the_daemon_is_away_for_longer_than_a_blip() -> None:
    node = Node().connected()
    node.takes(desired(10, part(2)))
    node.moves(2, RankState.RUNNING)
    assert node.does(Ticked()) == []
    node.now += 1000
    node.does(Disconnected())
    node.now += CUT_OFF_S
    assert node.does(Ticked()) == []
    node.now += 0.1
    assert node.does(Ticked()) == [AskPeer(N2, (GANG,)), AskPeer(N3, (GANG,))]
    assert node.does(Ticked()) == []
    node.now += ASK_EVERY_S
    assert len(node.does(Ticked())) == 2
    node.connected()
    node.now += ASK_EVERY_S
    assert node.does(Ticked()) == []


def test_an_agent_that_was_killed_meanwhile_asks_too() -> None:
    node = cut_off()
    running = node.sees().ranks
    again = Node(node.core.followed, running)
    assert again.does(Ticked()) == []
    again.now += CUT_OFF_S + 0.1
    assert again.does(Ticked()) == [AskPeer(N2, (GANG,)), AskPeer(N3, (GANG,))]


def test_nobody_is_asked_about_what_does_not_run() -> None:
    node = cut_off()
    node.moves(2, RankState.GONE)
    assert node.does(Ticked()) == []


@pytest.mark.parametrize("word", [known(3), known(2, 2), known(7, 5)])
def test_ranks_of_a_round_that_is_over_are_stopped(word: tuple[KnownRound, ...]) -> None:
    node = cut_off()
    said, stop = node.does(RoundsHeard("n2", "A", word))
    assert isinstance(said, Say)
    assert "node n2 says" in said.sentence
    assert stop == Stop(GANG.at(2).rank(1), 0.0, 2.5, "its round is over")
    assert node.does(RoundsHeard("n3", "A", word)) == []
    node.moves(2, RankState.GONE)
    assert node.does(Ticked()) == []
    node.connected()
    assert node.takes(desired(20, part(2))) == []


@pytest.mark.parametrize("word", [(), known(2), known(2, 1), known(1, 1), known(-1)])
def test_nothing_else_that_a_peer_says_stops_a_rank(word: tuple[KnownRound, ...]) -> None:
    assert cut_off().does(RoundsHeard("n2", "A", word)) == []


def test_a_peer_of_another_log_is_not_believed() -> None:
    assert cut_off().does(RoundsHeard("n2", "B", known(9))) == []


def test_the_daemons_word_counts_once_it_is_back() -> None:
    node = cut_off().connected()
    assert node.does(RoundsHeard("n2", "A", known(9))) == []


# ---- what this node tells others


def test_it_knows_the_newest_round_and_up_to_which_all_are_stopped() -> None:
    node = Node().connected()
    assert node.core.known((GANG,)) == ()
    node.takes(desired(10, part(2)))
    assert node.core.known((GANG,)) == known(2, 1)
    node.moves(2, RankState.RUNNING)
    node.takes(desired(11, stop=2))
    assert node.core.known((GANG,)) == known(2, 2)
    node.takes(desired(12, part(3, checking=True), stop=2))
    assert node.core.known((GANG, GangKey(9, "ps", 0))) == known(3, 2)


def test_it_still_knows_of_a_gang_that_has_left_this_node() -> None:
    node = Node().connected()
    node.takes(desired(10, part(2)))
    node.moves(2, RankState.RUNNING)
    node.takes(desired(11, stop=2))
    node.moves(2, RankState.GONE)
    node.takes(desired(12))
    assert node.sees().ranks == ()
    assert node.core.known((GANG,)) == known(2, 2)
    adopted = replace(desired(1), log_id="B", adopt_from="A")
    node.takes(adopted)
    assert node.core.known((GANG,)) == ()
