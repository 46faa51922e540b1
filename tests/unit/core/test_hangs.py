"""A gang that makes no step: suspected, judged, and restarted only where that is wanted and sure enough."""

from dataclasses import replace

import pytest

from dlroverd.core.records import GangRecord
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.fault import CauseKind
from dlroverd.model.hang import HangKind, HangLimits, HangVerdict
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobState
from dlroverd.model.limits import Limits
from dlroverd.model.reputation import AutomationStage
from dlroverd.model.world import Progress
from tests.unit.core.desk import Desk, spec

KEY = GangKey(1, "trainer", 0)
ROUND = KEY.at(1)
STALLED = inp.GangStalled(round=ROUND, step=7, phase="step", quiet_s=20.0, budget_s=15.0)
VERDICT = HangVerdict(
    hung=True,
    kind=HangKind.SPINNING,
    sentence="rank 1 on n2 turns on the spot",
    confidence=0.95,
    ranks=(ROUND.rank(1),),
    node="n2",
)


def desk(stage: AutomationStage = AutomationStage.ACT, *, said: str = "", stepped: bool = True) -> Desk:
    """Have job 1 run on two nodes."""
    found = Desk(Limits(hangs=HangLimits(stage=stage)))
    for node in ("n1", "n2"):
        found.node(node)
    job = found.submit(replace(spec(nodes_min=2, nodes_max=2), hang=said))
    found.settle()
    for grant in ("n1", "n2"):
        found.state.put(found.state.grants, (grant, KEY), found.state.grants[grant, KEY])
    cleared = replace(found.state.gangs[KEY], checking=False)
    found.state.put(found.state.gangs, KEY, cleared)
    found.run(job)
    if stepped:
        found.turn(inp.GangStepped(progress=Progress(round=ROUND, step=7, at=1000.0)))
    return found


def gang(of: Desk) -> GangRecord:
    return of.state.gangs[KEY]


def test_a_gang_that_hangs_is_restarted_with_the_cause_named() -> None:
    at = desk()
    at.turn(STALLED)
    suspicion = gang(at).suspicion
    assert suspicion is not None
    assert (suspicion.step, suspicion.verdict) == (7, None)
    at.turn(inp.HangFound(round=ROUND, verdict=VERDICT))
    assert (gang(at).state, gang(at).suspicion) == (GangState.STOPPING, None)
    (incident,) = at.state.incidents_of(1)
    assert incident.cause is not None
    assert (incident.cause.kind, incident.cause.rule) == (CauseKind.HANG, "hang.spinning")
    assert incident.cause.sentence == "hang: rank 1 on n2 turns on the spot"
    assert incident.cause.rank == ROUND.rank(1)
    assert incident.began_at == at.now - 20.0 or incident.began_at == at.state.jobs[1].submitted_at


@pytest.mark.parametrize(
    ("stage", "said", "stepped", "change", "why"),
    [
        (AutomationStage.ADVISE, "", True, {}, "the stage is advise"),
        (AutomationStage.OBSERVE, "", True, {}, "the stage is observe"),
        (AutomationStage.ACT, "advise", True, {}, "the stage is advise"),
        (AutomationStage.ACT, "", True, {"confidence": 0.5}, "the verdict is 50% sure, and 80% are needed"),
        (AutomationStage.ACT, "", True, {"ranks": ()}, "no rank is found"),
        (AutomationStage.ACT, "", False, {}, "no step of the job was ever seen"),
    ],
)
def test_what_keeps_it_from_being_restarted_is_said(
    stage: AutomationStage, said: str, stepped: bool, change: dict[str, object], why: str
) -> None:
    at = desk(stage, said=said, stepped=stepped)
    at.turn(STALLED)
    at.turn(inp.HangFound(round=ROUND, verdict=replace(VERDICT, **change)))  # type: ignore[arg-type] # its fields
    suspicion = gang(at).suspicion
    assert suspicion is not None
    assert suspicion.verdict is not None
    assert suspicion.held_back.startswith(why)
    assert at.state.jobs[1].state is JobState.RUNNING
    at.turn(inp.GangMovedOn(round=ROUND, step=8))
    assert gang(at).suspicion is None


def test_a_job_may_have_it_done_where_the_fleet_does_not() -> None:
    at = desk(AutomationStage.OBSERVE, said="act")
    at.turn(STALLED)
    at.turn(inp.HangFound(round=ROUND, verdict=VERDICT))
    assert at.state.jobs[1].state is JobState.RESTARTING


def test_automation_that_is_paused_restarts_nothing() -> None:
    at = desk()
    at.turn(inp.PauseAutomation(actor="ann", reason="works on it"), STALLED)
    at.turn(inp.HangFound(round=ROUND, verdict=VERDICT))
    suspicion = gang(at).suspicion
    assert suspicion is not None
    assert suspicion.held_back == "automation was paused by ann (works on it)"


def test_a_gang_that_works_is_suspected_no_more() -> None:
    at = desk()
    at.turn(STALLED)
    at.turn(inp.HangFound(round=ROUND, verdict=replace(VERDICT, hung=False)))
    assert gang(at).suspicion is None
    assert at.state.jobs[1].state is JobState.RUNNING


def test_nothing_follows_for_an_older_round_or_without_a_suspicion_or_twice() -> None:
    at = desk(AutomationStage.ADVISE)
    old = replace(STALLED, round=KEY.at(0))
    decided = at.turn(old, inp.HangFound(round=ROUND, verdict=VERDICT), inp.GangMovedOn(round=ROUND, step=8))
    assert not decided.events
    assert [type(event) for event in at.turn(STALLED, STALLED).events] == [ev.HangSuspected]
    found = inp.HangFound(round=ROUND, verdict=VERDICT)
    assert [type(event) for event in at.turn(found, found).events] == [ev.HangJudged]
