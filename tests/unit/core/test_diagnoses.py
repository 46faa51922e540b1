"""What rules conclude becomes a fact, is acted on as far as it may be, and ends."""

from dataclasses import replace

import pytest

from dlroverd.core.diagnosed import of_job, of_node
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.diagnosis import Action, Conclusion, Remedy
from dlroverd.model.hold import AUTOMATION, HoldKind
from dlroverd.model.ids import RoundKey
from dlroverd.model.limits import AutomationLimits, DiagnosisLimits, Limits
from dlroverd.model.plan import PlanKind
from dlroverd.model.reputation import AutomationStage
from tests.transcripts.stage import Stage

WORLD = RoundKey(1, "trainer", 0, 1)
SLOW = Conclusion(kind="straggler", sentence="rank 1 is slow", rank=1, node="n2", confidence=0.9)
STUCK = Conclusion(kind="hang", sentence="rank 0 is stuck", rank=0, node="n1", confidence=0.8, since=1_000_005.0)


class Ward:
    """A job of two nodes that runs, a spare node, and rules that speak."""

    def __init__(
        self, stage: AutomationStage = AutomationStage.ADVISE, automation: AutomationLimits | None = None
    ) -> None:
        self.on = Stage()
        diagnosis = DiagnosisLimits(stages=(("r", stage),))
        self.on._limits = Limits(diagnosis=diagnosis, automation=automation or AutomationLimits(ready_share=0.5))
        for line in ("node n1 slots 1", "node n2 slots 1", "node n3 slots 1", "submit a nnodes 2 nproc 1", "run 1"):
            self.on.play(line)

    def says(self, *conclusions: Conclusion, remedy: Remedy | None = None, world: RoundKey = WORLD) -> list[ev.Event]:
        actions = tuple(
            Action(remedy=remedy, kind=each.kind, rank=each.rank, node=each.node) for each in conclusions if remedy
        )
        before = len(self.on.decisions)
        self.on._turn(inp.WorldDiagnosed(rule="r", round=world, conclusions=conclusions, actions=actions))
        return [event for decision in self.on.decisions[before:] for event in decision.events]


def test_it_is_said_once_until_it_would_soon_be_too_old() -> None:
    ward = Ward()
    (made,) = ward.says(SLOW)
    assert isinstance(made, ev.DiagnosisMade)
    assert ward.says(replace(SLOW, sentence="rank 1 is slow, by 21 %")) == []
    ward.on.play("after 301s")
    assert len(ward.says(SLOW)) == 1
    assert [each.conclusion for _, each in of_node(ward.on.state, "n2")] == [SLOW]
    assert "r concludes of job 1: rank 1 is slow" in ward.on.play("why n2")[0]


def test_what_is_not_said_any_more_ends_and_so_does_what_nobody_repeats() -> None:
    ward = Ward()
    ward.says(SLOW, STUCK)
    (ended,) = ward.says(STUCK)
    assert isinstance(ended, ev.DiagnosisEnded)
    assert (ended.rank, ended.reason) == (1, "the rule does not find it any more")
    ward.on.play("after 601s")
    assert of_job(ward.on.state, 1) == []
    assert not ward.on.state.diagnoses


def test_a_world_that_is_over_is_not_diagnosed_and_takes_its_diagnoses_along() -> None:
    ward = Ward()
    ward.says(SLOW)
    ward.on.play("restart 1")
    assert of_job(ward.on.state, 1) == []  # not shown, though nobody has taken it back yet
    (ended,) = ward.says(SLOW)
    assert isinstance(ended, ev.DiagnosisEnded)
    assert ended.reason == "its world is over"
    assert ward.says(SLOW, world=RoundKey(7, "trainer", 0, 1)) == []


@pytest.mark.parametrize("stage", [AutomationStage.OBSERVE, AutomationStage.ADVISE])
def test_nothing_is_done_unless_it_is_asked_for(stage: AutomationStage) -> None:
    ward = Ward(stage)
    (made,) = ward.says(STUCK, remedy=Remedy.RESTART)
    assert isinstance(made, ev.DiagnosisMade)
    assert (made.stage, made.acted, made.held_back) == (stage, False, "")


def test_a_restart_is_a_fault_with_the_conclusion_for_its_cause() -> None:
    ward = Ward(AutomationStage.ACT)
    ward.on.play("after 10s")
    events = ward.says(STUCK, SLOW, remedy=Remedy.RESTART)
    (made,) = [each for each in events if isinstance(each, ev.DiagnosisMade)]
    assert made.acted
    incident = ward.on.state.open_incident(1)
    assert incident is not None
    assert incident.cause is not None
    assert (incident.cause.rule, incident.cause.sentence, incident.began_at) == (
        "diagnosis.r",
        "rank 0 is stuck",
        1_000_005.0,
    )


def test_a_node_is_replaced_once_and_its_job_leaves_at_the_next_checkpoint() -> None:
    ward = Ward(AutomationStage.ACT)
    ward.on.play("checkpoint 1/trainer/0@1 10")
    ward.says(SLOW, remedy=Remedy.REPLACE)
    state = ward.on.state
    assert [(each.owner, each.kind) for each in state.nodes["n2"].holds] == [(AUTOMATION, HoldKind.QUARANTINE)]
    plan = state.jobs[1].plan
    assert plan is not None
    assert (plan.kind, plan.stopping) == (PlanKind.DRAIN, False)
    assert len(state.m.automation.removals) == 1
    assert ward.says(SLOW, remedy=Remedy.REPLACE) == []
    ward.on.play("checkpoint 1/trainer/0@1 20")
    ward.on.play("gone 1")
    ward.on.play("run 1")
    assert state.gangs[WORLD.gang_key].nodes == ("n1", "n3")


def test_a_job_that_tells_of_no_checkpoint_is_left_until_it_restarts() -> None:
    ward = Ward(AutomationStage.ACT)
    ward.says(SLOW, remedy=Remedy.REPLACE)
    assert ward.on.state.nodes["n2"].holds
    assert ward.on.state.jobs[1].plan is None


def test_the_brakes_hold_for_rules_too_and_what_they_held_back_follows_later() -> None:
    ward = Ward(AutomationStage.ACT)
    ward.on.play("automation pause the switch is replaced")
    (made,) = ward.says(SLOW, remedy=Remedy.REPLACE)
    assert isinstance(made, ev.DiagnosisMade)
    assert (made.acted, made.held_back) == (False, "automation was paused by ann (the switch is replaced)")
    assert ward.says(SLOW, remedy=Remedy.REPLACE) == []
    ward.on.play("automation resume")
    assert any(isinstance(each, ev.NodeHeld) for each in ward.says(SLOW, remedy=Remedy.REPLACE))


def test_no_more_nodes_are_taken_than_automation_may() -> None:
    ward = Ward(AutomationStage.ACT, AutomationLimits(nodes=0, share=0.0))
    (made,) = ward.says(SLOW, remedy=Remedy.REPLACE)
    assert isinstance(made, ev.DiagnosisMade)
    assert "may take 0" in made.held_back
