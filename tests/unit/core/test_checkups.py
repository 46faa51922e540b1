"""When nodes are checked, what is made of what they find, and that what is unknown condemns nobody."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.config.signals import shipped
from dlroverd.core import norms, reasons
from dlroverd.core.desired import desired
from dlroverd.core.turn import Done, Refused
from dlroverd.model import input as inp
from dlroverd.model.checkup import CheckLevel, CheckResult, CheckState, CheckupCause, CheckupSeen, Figure
from dlroverd.model.hold import AUTOMATION, HoldKind
from dlroverd.model.limits import AutomationLimits, Limits
from dlroverd.model.reputation import AutomationStage
from dlroverd.model.signal import Signal
from dlroverd.model.world import Observed
from tests.unit.core.desk import Desk, spec

BRAKES_OFF = Limits(automation=AutomationLimits(nodes=9, ready_share=0.0))
OK, BAD, UNKNOWN = CheckState.OK, CheckState.BAD, CheckState.UNKNOWN


def result(
    state: CheckState = OK, check: str = "disk", level: CheckLevel = CheckLevel.INSTANT, **more: object
) -> CheckResult:
    return CheckResult(check=check, level=level, state=state, sentence=f"{check} is {state}", **more)  # type: ignore[arg-type] # fields of CheckResult


class Checked(Desk):
    """A core with nodes whose agents know checks."""

    def fleet(self, *names: str) -> None:
        for name in names:
            self.node(name, makes_checkups=True)
            self.tell(name, result())

    def open(self, node: str) -> int:
        """Give the number of what a node is asked for; 0: nothing."""
        asked = desired(self.state, node).checkups
        return asked[0].id if asked else 0

    def tell(self, node: str, *results: CheckResult, number: int = 0) -> None:
        seen = CheckupSeen(id=number or self.open(node), results=results)
        self._versions += 1
        self.turn(inp.NodeReport(node=node, observed=Observed(version=self._versions, checkups=(seen,))))

    def ask(self, *nodes: str, level: CheckLevel = CheckLevel.INSTANT, request: str = "r") -> object:
        self.now += 1
        wanted = inp.AskCheckup(request_id=request, nodes=nodes, level=level, actor="ann")
        return self.turn(wanted).outcomes[0]

    def until(self, node: str) -> None:
        """Go on to what is due next about a node."""
        self.now = self.state.checkups[node].deadline
        self.turn()

    def holds(self, node: str) -> list[str]:
        return [hold.reason for hold in self.state.nodes[node].holds if hold.owner == AUTOMATION]


@pytest.fixture
def desk() -> Checked:
    one = Checked(BRAKES_OFF)
    one.fleet("n1", "n2")
    return one


def test_a_node_that_joins_or_reboots_looks_at_itself_and_one_that_only_returns_does_not() -> None:
    desk = Checked()
    desk.node("n1", makes_checkups=True)
    assert desk.state.checkups["n1"].cause is CheckupCause.JOINED
    desk.tell("n1", result())
    desk.node("n1", makes_checkups=True)
    assert not desk.open("n1")
    desk.node("old")
    assert "old" not in desk.state.checkups


def joining(name: str, limits: Limits = BRAKES_OFF) -> Checked:
    """Have a node join three that are in use."""
    desk = Checked(limits)
    desk.fleet("n1", "n2", "n3")
    desk.node(name, makes_checkups=True)
    return desk


@pytest.mark.parametrize("found", [OK, UNKNOWN, BAD, None])
def test_a_node_that_joins_is_used_once_its_checks_are_over(found: CheckState | None) -> None:
    desk = joining("n4")
    assert "n4" not in desk.state.usable
    (hold,) = desk.state.nodes["n4"].holds
    assert (hold.owner, hold.kind, hold.reason) == (
        AUTOMATION,
        HoldKind.CORDON,
        "it is new here, and its first checks are not over",
    )
    job = desk.submit(spec(nodes_min=4, nodes_max=4))
    desk.settle()
    assert "n4 cordoned by dlroverd" in reasons.current(desk.state, job, desk.limits)
    if found is None:
        desk.until("n4")  # its agent said nothing, which condemns nobody
    else:
        desk.tell("n4", result(found))
    kinds = [hold.kind for hold in desk.state.nodes["n4"].holds]
    assert kinds == ([HoldKind.QUARANTINE] if found is BAD else [])
    assert bool(desk.state.placing) is (found is not BAD)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(automation=AutomationLimits(ready_share=0.9)),
        Limits(automation=AutomationLimits(ready_share=0.0, quarantine=AutomationStage.ADVISE)),
    ],
)
def test_a_node_that_joins_is_used_at_once_where_it_is_needed_or_automation_only_advises(limits: Limits) -> None:
    desk = joining("n4", limits)
    assert desk.open("n4")
    assert "n4" in desk.state.usable


def test_a_person_who_has_a_node_that_joins_checked_again_waits_for_that_one() -> None:
    desk = joining("n4")
    desk.ask("n4")
    assert "n4" not in desk.state.usable
    desk.tell("n4", result())
    assert "n4" in desk.state.usable


def test_what_a_kernel_says_of_a_node_that_joins_counts_as_of_any() -> None:
    desk = joining("n4", replace(BRAKES_OFF, signals=shipped()))
    fell = Signal(name="xid.79", at=desk.now, detail="it has fallen off the bus", device="GPU-n4")
    desk.turn(inp.NodeReport(node="n4", observed=Observed(version=9, signals=(fell,))))
    assert HoldKind.QUARANTINE in [hold.kind for hold in desk.state.nodes["n4"].holds]


def test_what_is_asked_for_is_desired_until_it_is_told_once(desk: Checked) -> None:
    assert desk.ask("n1", "n2") == Done(desk.open("n1"))
    assert desk.open("n1") == desk.open("n2")
    assert desk.ask("n1", "n2") == Done(desk.open("n1"))  # the same request again
    number = desk.open("n1")
    desk.tell("n1", result(), number=number - 1)  # of one that is over
    assert desk.open("n1") == number
    desk.tell("n1", result(), result(check="clock"))
    assert not desk.open("n1")
    before = desk.state.checkups["n1"]
    desk.tell("n1", result(BAD), number=number)
    assert desk.state.checkups["n1"] == before
    assert before.runs[-1].sentence == "2 checks passed"


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("n9", "There is no node n9"),
        ("old", "knows no node checks; upgrade it"),
        ("n1", "Node n1 is being checked for ann"),
        ("n2", "Job 1 runs on node n2"),
        ("gone", "Node gone is unreachable"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_a_sentence_and_nothing_is(
    desk: Checked, node: str, sentence: str
) -> None:
    desk.fleet("gone", "n3")
    desk.node("old")
    desk.turn(inp.NodeSilent(node="gone"))
    desk.ask("n1", request="first")
    job = desk.submit(spec(nodes_min=1, nodes_max=1))
    desk.place(job, "n2")
    refused = desk.ask("n3", node, level=CheckLevel.LIGHT)
    assert isinstance(refused, Refused)
    assert sentence in refused.sentence
    assert not desk.open("n3")


def test_what_is_not_told_in_time_is_unknown_and_condemns_nobody(desk: Checked) -> None:
    desk.ask("n1")
    desk.until("n1")
    record = desk.state.checkups["n1"]
    assert (record.checkup, record.runs[-1].state) == (None, UNKNOWN)
    assert "has not told what it found within 60 s" in record.runs[-1].sentence
    desk.ask("n1", request="again")
    desk.tell("n1", result(UNKNOWN))
    assert not desk.holds("n1")
    assert "n1" in desk.state.usable


def test_a_node_that_does_not_pass_is_quarantined_checked_again_and_put_back(desk: Checked) -> None:
    desk.ask("n1")
    desk.tell("n1", result(BAD))
    assert desk.holds("n1") == ["it did not pass the check disk: disk is bad"]
    desk.until("n1")
    assert desk.state.checkups["n1"].cause is CheckupCause.HELD
    desk.tell("n1", result(BAD))
    assert len(desk.holds("n1")) == 1
    desk.until("n1")
    desk.tell("n1", result(UNKNOWN))
    assert not desk.holds("n1")


def test_the_jobs_own_trouble_is_not_the_nodes(desk: Checked) -> None:
    desk.ask("n1")
    desk.tell("n1", result(BAD, of_job=True))
    assert not desk.holds("n1")


def test_a_person_who_puts_a_node_back_is_not_overruled_before_the_next_checkup(desk: Checked) -> None:
    desk.ask("n1")
    desk.tell("n1", result(BAD))
    desk.turn(inp.ReleaseNodes(request_id="u", nodes=("n1",), owner=AUTOMATION, actor="ann", kind=None, request=""))
    desk.turn(inp.NodeSilent(node="n1"))
    desk.node("n1", makes_checkups=True)
    assert not desk.holds("n1")
    desk.ask("n1", request="again")
    desk.tell("n1", result(BAD))
    assert desk.holds("n1")


def test_brakes_hold_for_checks_as_for_all(desk: Checked) -> None:
    desk.limits = replace(BRAKES_OFF, automation=AutomationLimits(ready_share=0.9))
    desk.ask("n1")
    desk.tell("n1", result(BAD))
    assert not desk.holds("n1")
    assert "would be usable without it" in desk.state.findings["n1"].held_back
    desk.limits = BRAKES_OFF
    desk.now = desk.state.findings["n1"].deadline
    desk.turn()
    assert desk.holds("n1")
    assert "n1" not in desk.state.findings


def test_a_finding_ends_with_the_checkup_that_is_passed(desk: Checked) -> None:
    desk.limits = replace(BRAKES_OFF, automation=AutomationLimits(ready_share=0.9))
    desk.ask("n1")
    desk.tell("n1", result(BAD))
    desk.ask("n1", request="again")
    desk.tell("n1", result())
    assert not desk.state.findings


def test_nodes_that_run_nothing_are_checked_at_intervals_and_others_later(desk: Checked) -> None:
    desk.until("n1")
    assert desk.state.checkups["n1"].cause is CheckupCause.IDLE
    desk.tell("n1", result())
    job = desk.submit(spec(nodes_min=1, nodes_max=1))
    desk.place(job, "n1")
    desk.until("n1")
    assert not desk.open("n1")
    assert desk.state.checkups["n1"].deadline > desk.now
    desk.limits = replace(BRAKES_OFF, checks=replace(BRAKES_OFF.checks, interval_s=0.0))
    desk.ask("n2")
    desk.tell("n2", result())
    assert not desk.state.checkups["n2"].deadline


def test_a_job_that_is_placed_ends_what_works_its_node_and_not_what_only_looks(desk: Checked) -> None:
    desk.ask("n1", level=CheckLevel.LIGHT)
    desk.ask("n2", request="look")
    for node in ("n1", "n2"):
        desk.place(desk.submit(spec(nodes_min=1, nodes_max=1)), node)
    assert not desk.open("n1")
    assert desk.state.checkups["n1"].runs[-1].sentence == "job 1 was placed on it"
    assert desk.open("n2")


def test_deep_results_outlive_checkups_that_look_less_deep_and_checks_that_are_gone_are_forgotten(
    desk: Checked,
) -> None:
    desk.ask("n1", level=CheckLevel.LIGHT)
    desk.tell("n1", result(), result(check="compute", level=CheckLevel.LIGHT))
    desk.ask("n1", request="look")
    desk.tell("n1", result(check="clock"))
    assert [each.check for each in desk.state.checkups["n1"].results] == ["compute", "clock"]


def test_what_stands_out_among_like_nodes_is_measured_again_and_bad_if_it_does_again(desk: Checked) -> None:
    def measured(value: float) -> CheckResult:
        return result(check="memory", figures=(Figure(name="memory_total_bytes", value=value, worse="less"),))

    desk.fleet(*(f"n{each}" for each in range(3, 8)))
    for each in range(2, 8):
        desk.ask(f"n{each}", request=f"r{each}")
        desk.tell(f"n{each}", measured(100.0 + each))
    desk.ask("n1", request="one")
    desk.tell("n1", measured(75.0))
    assert not desk.holds("n1")
    assert desk.state.checkups["n1"].runs[-1].state is UNKNOWN
    desk.until("n1")
    assert desk.now < 1200
    desk.tell("n1", measured(75.0))
    (why,) = desk.holds("n1")
    assert "memory_total_bytes is 75, where 104.5 is usual among 6 like nodes" in why


FIGURES = st.floats(min_value=1.0, max_value=1e12)


@given(st.lists(FIGURES, min_size=1, max_size=80), FIGURES)
def test_a_figure_is_judged_by_the_others_and_never_by_few(values: list[float], value: float) -> None:
    """Neither by fewer than five, nor for what nearly all have; and each node counts once, however often it tells."""
    known: norms.Norms = ()
    for number, each in enumerate(values):
        known = norms.learnt(known, f"n{number % 70}", each)
    assert len(known) <= norms.KEPT
    assert len({name for name, _ in known}) == len(known)
    mine = Figure(name="seconds", value=value, worse="more")
    said = norms.standing_out(known, "n0", mine)
    others = [each for name, each in known if name != "n0"]
    if len(others) < norms.LEAST_OTHERS or sum(value <= each for each in others) > len(others) / 2:
        assert not said
    assert not norms.standing_out(known, "n0", replace(mine, worse=""))


@given(FIGURES, st.integers(min_value=5, max_value=60))
def test_hosts_that_agree_to_a_hair_condemn_no_hair(value: float, count: int) -> None:
    usual: norms.Norms = tuple((f"n{each}", value) for each in range(1, count + 1))
    assert not norms.standing_out(usual, "n0", Figure(name="seconds", value=value * 1.1, worse="more"))
    assert norms.standing_out(usual, "n0", Figure(name="seconds", value=value * 1.5, worse="more"))
    assert norms.standing_out(usual, "n0", Figure(name="rate", value=value / 1.5, worse="less"))
