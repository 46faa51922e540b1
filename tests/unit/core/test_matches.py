"""Nodes that meet, round after round, and jobs that wait for what their nodes' checks find."""

from dataclasses import replace

import pytest

from dlroverd.core.desired import desired
from dlroverd.model import input as inp
from dlroverd.model.checkup import (
    MET_SECONDS,
    CheckLevel,
    CheckResult,
    CheckState,
    Checkup,
    CheckupCause,
    Figure,
)
from dlroverd.model.fault import ExitInfo
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.world import NodeCheck, Observed
from tests.unit.core.desk import spec
from tests.unit.core.test_checkups import BRAKES_OFF, Checked, result

LIGHT = CheckLevel.LIGHT
FOUR = ("n1", "n2", "n3", "n4")


class Meeting(Checked):
    """Nodes that meet. Those in `bad` fail, those in `slow` take five times as long, those in `mute` say nothing."""

    def __init__(self) -> None:
        super().__init__(BRAKES_OFF)
        self.bad: set[str] = set()
        self.slow: set[str] = set()
        self.mute: set[str] = set()
        self.broken: set[frozenset[str]] = set()

    def asked(self, node: str) -> Checkup | None:
        return next(iter(desired(self.state, node).checkups), None)

    def play(self) -> None:
        """Have all nodes make what they are asked, until nothing is; at first each must not be asked to meet anyone."""
        while open_ := {node: made for node in self.state.nodes if (made := self.asked(node)) is not None}:
            told = False
            for node, made in open_.items():
                if node not in self.mute and self.asked(node) == made:
                    self.tell(node, *self._results(node, made))
                    told = True
            if not told:
                self.now = max(self.state.checkups[node].deadline for node in open_)
                self.turn()

    def _results(self, node: str, made: Checkup) -> tuple[CheckResult, ...]:
        if made.meeting is None:
            return (result(), result(check="compute", level=LIGHT))
        group = {*made.meeting.nodes}
        assert node == made.meeting.nodes[made.meeting.rank]
        if group & (self.bad | self.mute) or any(link <= group for link in self.broken):
            return (result(CheckState.BAD, "meet", LIGHT),)
        took = 5.0 if group & self.slow else 1.0
        return (result(check="meet", level=LIGHT, figures=(Figure(name=MET_SECONDS, value=took),)),)

    def found(self, node: str) -> CheckResult:
        return next(each for each in self.state.checkups[node].results if each.check == "collective")


@pytest.fixture
def desk() -> Meeting:
    one = Meeting()
    one.fleet(*FOUR)
    return one


def test_nodes_that_are_well_meet_once(desk: Meeting) -> None:
    desk.ask(*FOUR, level=LIGHT)
    desk.play()
    assert not desk.state.matches
    assert [desk.found(node).state for node in FOUR] == [CheckState.OK] * 4
    assert {run.level for node in FOUR for run in desk.state.checkups[node].runs[-2:]} == {LIGHT}


def test_one_bad_node_is_quarantined_and_put_back_once_it_works_with_others(desk: Meeting) -> None:
    desk.bad = {"n2"}
    desk.ask(*FOUR, level=LIGHT)
    desk.play()
    assert "fails with each node that it meets" in desk.holds("n2")[0]
    assert [node for node in FOUR if desk.holds(node)] == ["n2"]
    desk.until("n2")
    assert desk.state.checkups["n2"].cause is CheckupCause.HELD
    desk.play()
    assert desk.holds("n2")
    desk.bad = set()
    desk.until("n2")
    desk.play()
    assert not desk.holds("n2")


def test_two_bad_nodes_a_broken_path_and_a_slow_node_are_told_apart(desk: Meeting) -> None:
    desk.bad = {"n1", "n3"}  # each meets a good one at first
    desk.ask(*FOUR, level=LIGHT)
    desk.play()
    assert [node for node in FOUR if desk.holds(node)] == ["n1", "n3"]
    other = Meeting()
    other.fleet(*FOUR)
    other.broken = {frozenset({"n3", "n4"})}
    other.ask(*FOUR, level=LIGHT)
    other.play()
    assert not [node for node in FOUR if other.holds(node)]
    assert other.found("n3").state is CheckState.UNKNOWN
    assert "it does not work with n4, and both work with others" in other.found("n3").sentence
    third = Meeting()
    third.fleet(*FOUR)
    third.slow = {"n4"}
    third.ask(*FOUR, level=LIGHT)
    third.play()
    assert "it takes 5.00 s or more with whomever it meets, where 1.00 s is usual" in third.holds("n4")[0]


def test_a_node_of_which_nothing_is_heard_takes_no_blame_and_lays_none(desk: Meeting) -> None:
    desk.mute = {"n2"}
    desk.ask(*FOUR, level=LIGHT)
    desk.play()
    assert not [node for node in FOUR if desk.holds(node)]
    assert desk.found("n2").state is CheckState.UNKNOWN


def test_of_three_nodes_none_is_condemned(desk: Meeting) -> None:
    desk.bad = {"n1"}
    desk.ask("n1", "n2", "n3", level=LIGHT)
    desk.play()
    assert not [node for node in FOUR if desk.holds(node)]
    assert "with 3 nodes it cannot be told who is to blame" in desk.found("n1").sentence


def test_a_job_that_is_placed_on_one_of_them_ends_its_meeting_and_the_others_end_theirs(desk: Meeting) -> None:
    desk.ask(*FOUR, level=LIGHT)
    for node in FOUR:
        made = desk.asked(node)
        assert made is not None
        desk.tell(node, *desk._results(node, made))
    desk.place(desk.submit(spec(nodes_min=1, nodes_max=1)), "n1")
    assert desk.asked("n1") is None
    desk.mute = {"n1"}
    desk.play()
    assert not desk.state.matches
    assert not [node for node in FOUR if desk.holds(node)]


def clear(desk: Checked, job: int) -> None:
    """Have the agents find nothing wrong with a world before its start."""
    (gang,) = desk.state.gangs_of(job)
    for node in gang.nodes:
        check = NodeCheck(round=gang.key.at(gang.round), reached=desk.state.nodes[gang.nodes[0]].facts.addresses)
        desk._versions += 1
        desk.turn(inp.NodeReport(node=node, observed=Observed(version=desk._versions, checks=(check,))))


def test_a_job_waits_for_its_nodes_checks_and_goes_elsewhere_if_one_does_not_pass() -> None:
    desk = Checked(BRAKES_OFF)
    desk.fleet("n1", "n2")
    job = desk.submit(replace(spec(nodes_min=1, nodes_max=1), check="instant"))
    desk.place(job, "n1")
    assert desk.state.checkups["n1"].cause is CheckupCause.JOB
    clear(desk, job)
    (gang,) = desk.state.gangs_of(job)
    assert gang.checking
    desk.tell("n1", result(CheckState.BAD, of_job=True))
    desk.report(job, RankState.GONE, None)
    record = desk.state.jobs[job]
    assert record.state in (JobState.QUEUED, JobState.PLACING)
    assert "did not pass the check disk" in record.avoid[0][2]
    assert not desk.holds("n1")  # it is the job's own folder that is full
    desk.place(job, "n2")
    clear(desk, job)
    desk.tell("n2", result())
    (gang,) = desk.state.gangs_of(job)
    assert (gang.state, gang.checking) == (GangState.STARTING, False)


def test_nodes_of_a_job_that_have_other_versions_are_named() -> None:
    desk = Checked(BRAKES_OFF)
    for node in ("n1", "n2"):
        desk.node(node, makes_checkups=True, peer_port=1, addresses=(node,))
        desk.tell(node, result())
    job = desk.submit(replace(spec(nodes_min=2, nodes_max=2), check="instant"))
    desk.place(job, "n1", "n2")
    clear(desk, job)
    desk.tell("n1", result(check="drivers", facts={"nvidia_driver": "550.1", "nccl": "2.27"}))
    desk.tell("n2", result(check="drivers", facts={"nvidia_driver": "535.2", "kernel": "6.1"}))
    desk.report(job, RankState.GONE, None)
    assert "node n2 is not like n1: nvidia_driver is 535.2, and 550.1 on n1" in desk.state.jobs[job].avoid[0][2]


def test_several_nodes_without_tls_are_checked_and_what_is_not_is_said() -> None:
    desk = Checked(BRAKES_OFF)
    desk.fleet("n1", "n2")
    job = desk.submit(replace(spec(nodes_min=2, nodes_max=2), check="instant"))
    desk.place(job, "n1", "n2")
    assert {desk.state.checkups[node].cause for node in ("n1", "n2")} == {CheckupCause.JOB}
    assert all(each.master is None for node in ("n1", "n2") for each in desired(desk.state, node).assignments)
    clear(desk, job)
    for node in ("n1", "n2"):
        (gang,) = desk.state.gangs_of(job)
        assert gang.checking
        desk.tell(node, result())
    (gang,) = desk.state.gangs_of(job)
    assert (gang.checking, gang.master_addr) == (False, "n1")
    assert "n1 of node n1; whether all reach it and have the same code was not checked, which takes TLS" in gang.network
    assert gang.network.endswith("on n1, n2")


def test_of_a_world_that_goes_on_with_one_node_no_network_is_said() -> None:
    desk = Checked(BRAKES_OFF)
    for node in ("n1", "n2"):
        desk.node(node, peer_port=1, addresses=(node,))
    job = desk.submit(replace(spec(nodes_min=1, nodes_max=2), replace_wait_s=0.0))
    desk.place(job, "n1", "n2")
    clear(desk, job)
    desk.run(job)
    (gang,) = desk.state.gangs_of(job)
    assert gang.network == "n1 of node n1 is reached from all 2 nodes"
    desk.turn(inp.NodeSilent(node="n2"), inp.ConfirmDown(node="n2", actor="ann"))
    desk.report(job, RankState.GONE, None)
    desk.settle()
    (gang,) = desk.state.gangs_of(job)
    assert (gang.round, gang.nodes, gang.network) == (2, ("n1",), "")


def test_a_node_whose_agent_makes_no_checks_is_named() -> None:
    desk = Checked(BRAKES_OFF)
    desk.fleet("n1")
    desk.node("n2", keeps_leases=True, slots=2)
    job = desk.submit(replace(spec(nodes_min=2, nodes_max=2), check="instant"))
    desk.place(job, "n1", "n2")
    alone = desk.submit(replace(spec(nodes_min=1, nodes_max=1), check="instant"))
    desk.place(alone, "n2")
    for each in (job, alone):
        clear(desk, each)
    desk.tell("n1", result())
    (of_one,) = desk.state.gangs_of(alone)
    assert of_one.network.startswith("no node checks were made on n2")
    (gang,) = desk.state.gangs_of(job)
    assert "; no node checks were made on n2: `checks` of the agent's configuration is empty" in gang.network


def test_what_checks_take_is_not_time_in_which_ranks_did_not_start() -> None:
    desk = Checked(replace(BRAKES_OFF, checks=replace(BRAKES_OFF.checks, light_s=100.0)))
    desk.fleet("n1")
    job = desk.submit(replace(spec(nodes_min=1, nodes_max=1), check="light", start_timeout_s=60.0))
    desk.place(job, "n1")
    clear(desk, job)
    for later_s in (61.0, 29.0, 11.0):
        desk.now += later_s
        desk.turn()
    (gang,) = desk.state.gangs_of(job)
    assert (gang.state, gang.checking) == (GangState.STARTING, False)  # its checks are unknown by now
    desk.now += 59.0
    desk.turn()
    assert desk.state.gangs_of(job)[0].state is GangState.STARTING
    desk.now += 2.0
    desk.turn()
    assert desk.state.gangs_of(job)[0].state is GangState.STOPPING


@pytest.mark.parametrize(("restarts", "wait_s"), [(1, 30.0), (0, 0.0)])
def test_a_node_on_which_a_job_failed_is_looked_at_once_the_job_has_started_anew(restarts: int, wait_s: float) -> None:
    desk = Checked(BRAKES_OFF)
    desk.fleet("n1")
    job = desk.submit(replace(spec(nodes_min=1, nodes_max=1), max_restarts=restarts))
    desk.place(job, "n1")
    desk.run(job)
    desk.report(job, RankState.GONE, ExitInfo(exited_at=desk.now, signal=7))
    assert bool(desk.open("n1")) is not bool(wait_s)
    desk.now += wait_s
    desk.turn()
    assert desk.open("n1")
    assert desk.state.checkups["n1"].cause is CheckupCause.FAILURE
