"""What jobs look like to people, and the demo's judgement of its own run."""

import dataclasses
import json

import pytest

from dlroverd.cli import endings, sentences
from dlroverd.cli.demo import judged
from dlroverd.cli.output import Column, clock, listing
from dlroverd.model.cadence import CadenceView
from dlroverd.model.fault import Cause, CauseKind, ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.view import (
    GangView,
    GoodputView,
    IncidentView,
    JobView,
    NodeView,
    PhasesView,
    PlanView,
    RankView,
    RoleView,
    TimesView,
)

PHASES = PhasesView(
    detect=0.01, stop=0.2, decide=0.0, wait=0.0, start=0.19, load=2.5, recompute=0.0, unknown=-1e-6, total=2.9
)
CAUSE = Cause(
    kind=CauseKind.SIGNAL,
    rule="signal",
    sentence="rank 1 on n1 was killed by SIGKILL, which dlroverd did not send",
    rank=RankKey(3, "trainer", 0, 1, 1),
    node="n1",
    exit=ExitInfo(exited_at=1.0, signal=9),
)
INCIDENT = IncidentView(
    id=1,
    role="trainer",
    gang=0,
    round=1,
    began_at=1.0,
    open=False,
    action="restart 1 of 3",
    phases=PHASES,
    step=41,
    cause=CAUSE,
)
RANKS = tuple(RankView(rank=rank, local_rank=rank, node="n1", state="running", pid=7) for rank in (0, 1))
WORLD = GangView(gang=0, state="running", round=2, world_size=2, step=40, ranks=RANKS)
JOB = JobView(
    id=3,
    name="digits",
    user="ann",
    state="succeeded",
    reason="every rank ended with 0",
    restarts=1,
    restarts_in_window=1,
    submitted_at=1.0,
    roles=(RoleView(name="trainer", gangs=(WORLD,)),),
    incidents=(INCIDENT,),
)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("running", "Job 3 (digits) runs since AT: 2 ranks on n1, step 40, 1 restart."),
        ("queued", "Job 3 (digits) waits since AT: every rank ended with 0."),
        ("succeeded", "Job 3 (digits) succeeded at AT: 2 ranks on n1, step 40, 1 restart."),
        ("failed", "Job 3 (digits) failed at AT: every rank ended with 0."),
        ("cancelled", "Job 3 (digits) was cancelled at AT: every rank ended with 0."),
        ("stopping", "Job 3 (digits) is stopping: every rank ended with 0."),
    ],
)
def test_a_job_is_one_sentence(state: str, said: str) -> None:
    job = dataclasses.replace(JOB, state=state)
    assert sentences.head(job).replace(clock(0.0), "AT").replace(clock(1.0), "AT") == said


def test_a_running_job_says_why_and_by_which_way_its_nodes_meet() -> None:
    ranks = (RANKS[0], dataclasses.replace(RANKS[1], node="n2"))
    said = "10.0.0.1 of node n1 is reached from all 2 nodes"
    apart = dataclasses.replace(WORLD, ranks=ranks, network=said)
    job = dataclasses.replace(JOB, state="running", roles=(RoleView(name="trainer", gangs=(apart,)),))
    assert list(sentences.about(job))[1:] == ["Every rank ended with 0.", f"Network of trainer gang 0: {said}."]
    assert list(sentences.about(dataclasses.replace(JOB, roles=(RoleView(name="trainer", gangs=(WORLD,)),)))) == [
        sentences.head(JOB)
    ]


def test_a_drill_is_called_one() -> None:
    ordered = dataclasses.replace(INCIDENT, drill="kill_rank ordered by ann")
    assert sentences.drill(ordered) == "a drill (kill_rank) ordered by ann"


def test_a_recovery_names_its_phases() -> None:
    assert sentences.recovery(PHASES) == (
        "recovered in 2.90 s: detect 0.01, stop 0.20, decide 0.00, wait 0.00, start 0.19, load 2.50, unknown 0.00"
    )
    assert dict(sentences.timed(PhasesView(detect=0.5)))["load"] == "-"


def times(**seconds: float) -> TimesView:
    names = ("productive", "redone", "starting", "restarting", "stopping", "waiting", "unknown")
    return TimesView(**{**dict.fromkeys(names, 0.0), **seconds})


def test_a_goodput_says_where_the_time_went() -> None:
    spent = times(productive=3600.0, redone=0.26, waiting=310.0)
    known = GoodputView(goodput=0.93149, wall_s=3910.26, placed_s=3865.0, times=spent, node_times=spent)
    job = dataclasses.replace(JOB, goodput=known)
    said = "Goodput 93.1 % of the 1h04m since it had its nodes: productive 1h00m, redone 0.3s, waiting 5m10s."
    assert list(sentences.about(job))[-1] == said
    silent = dataclasses.replace(known, goodput=None, times=times(unknown=59.96))
    assert sentences.goodput(dataclasses.replace(JOB, goodput=silent)) == (
        "Goodput is not known, as no step of it was seen: unknown 1m00s."
    )
    assert sentences.goodput(dataclasses.replace(JOB, goodput=dataclasses.replace(known, placed_s=0.0))) == ""


def test_an_incident_says_what_it_cost() -> None:
    known = dataclasses.replace(INCIDENT, nodes=4, reached=50, cost_node_s=61.25)
    assert sentences.cost(known) == "It cost 61.2 node-seconds on 4 nodes, 10 steps done again."
    assert sentences.cost(dataclasses.replace(known, nodes=1, step=-1)) == "It cost 61.2 node-seconds on 1 node."
    assert sentences.cost(INCIDENT) == ""


def test_a_planned_stop_is_said_with_its_time_and_once() -> None:
    plan = PlanView(kind="suspend", reason="suspended by ann", by=1000.0)
    waits = dataclasses.replace(JOB, state="running", plan=plan)
    sentence = f"stops at its next checkpoint, at {clock(1000.0)} at the latest: suspended by ann"
    assert sentences.reason(waits) == sentence
    assert f"It {sentence}." in list(sentences.about(waits))
    begun = dataclasses.replace(JOB, state="restarting", plan=dataclasses.replace(plan, stopping=True))
    assert sentences.head(begun) == f"Job {JOB.id} ({JOB.name}) is being stopped: suspended by ann."
    there = dataclasses.replace(JOB, state="suspended", reason="suspended by ann")
    told: list[str] = []
    notices = sentences.Notices(told.append)
    for view in (JOB, waits, waits, begun, there, there, JOB, waits):
        notices(view)
    said = [line for line in told if "suspended by ann" in line]
    assert said == [
        f"job {JOB.id} {sentence}",
        f"job {JOB.id} is being stopped: suspended by ann",
        f"job {JOB.id} is suspended: suspended by ann",
        f"job {JOB.id} {sentence}",
    ]


def test_a_job_says_why_it_does_not_grow_and_what_is_kept_for_it() -> None:
    gang = GangView(gang=0, state="running", round=1, world_size=1, growth="runs on 1 of up to 2 nodes", spares=("n7",))
    job = dataclasses.replace(JOB, state="running", roles=(RoleView(name="trainer", gangs=(gang,)),))
    said = list(sentences.about(job))
    assert "trainer gang 0 runs on 1 of up to 2 nodes." in said
    assert "1 spare kept for trainer gang 0: n7." in said


def test_a_job_says_how_often_it_saves_and_why() -> None:
    found = CadenceView(
        interval_s=206.9, every=2069, save_s=1.0, mtbf_s=21534.0, restart_s=8.42, lost_ratio=0.0102, restart_known=True
    )

    def said(cadence: CadenceView) -> list[str]:
        role = RoleView(name="trainer", gangs=(dataclasses.replace(WORLD, cadence=cadence),))
        return list(sentences.cadences(dataclasses.replace(JOB, roles=(role,))))

    (sentence,) = said(found)
    assert sentence == (
        "Trainer gang 0 saves every 3m26s (2069 steps): a save takes 1 s (assumed), a restart 8.4s, "
        "and it is expected to fail every 5h58m, which costs 1.0 % of its time."
    )
    given = CadenceView(interval_s=600.0, every=1)
    assert said(given) == ["Trainer gang 0 saves every 10m00s (1 step), as its job says."]
    assert list(sentences.cadences(JOB)) == []


def test_notices_are_given_once() -> None:
    told: list[str] = []
    notices = sentences.Notices(told.append)
    begun = dataclasses.replace(INCIDENT, action="", step=-1, phases=PhasesView(detect=0.01))
    waiting = dataclasses.replace(JOB, state="queued", reason="needs 2 nodes", incidents=())
    for job in (waiting, waiting, dataclasses.replace(JOB, incidents=(begun,)), JOB, JOB):
        notices(job)
    assert told == [
        "job 3 waits: needs 2 nodes",
        "rank 1 on n1 was killed by SIGKILL, which dlroverd did not send; restart 1 of 3",
        sentences.recovery(PHASES),
    ]


@pytest.mark.parametrize(
    ("state", "gave_up", "code"),
    [("succeeded", False, 0), ("failed", False, 5), ("cancelled", False, 5), ("failed", True, 6)],
)
def test_a_job_s_end_is_an_exit_code(state: str, gave_up: bool, code: int) -> None:
    assert endings.of_job(dataclasses.replace(JOB, state=state, gave_up=gave_up)) == code


def test_a_demo_that_went_well_has_nothing_wrong() -> None:
    assert judged(JOB, killed=1, resumed_from=30, accuracy=0.97) == []


def test_a_demo_fails_honestly() -> None:
    def with_phases(phases: PhasesView) -> JobView:
        return dataclasses.replace(JOB, incidents=(dataclasses.replace(INCIDENT, phases=phases),))

    slow = dataclasses.replace(PHASES, unknown=1.0, total=3.9)
    for job, killed, resumed_from, accuracy, wrong in (
        (dataclasses.replace(JOB, state="failed"), 1, 30, 0.97, "the job failed: every rank ended with 0"),
        (dataclasses.replace(JOB, incidents=()), 1, 30, 0.97, "there were 0 incidents instead of one"),
        (JOB, 0, 30, 0.97, "rank 0 was killed, and not named as the cause"),
        (JOB, 1, 0, 0.97, "training did not resume from a saved step"),
        (JOB, 1, 30, 0.9, "the accuracy is 0.9000, below 0.95"),
        (
            with_phases(dataclasses.replace(PHASES, load=None)),
            1,
            30,
            0.97,
            "these phases were not seen: load",
        ),
        (with_phases(dataclasses.replace(PHASES, total=4.0)), 1, 30, 0.97, "the phases do not add up to 4.00 s"),
        (with_phases(slow), 1, 30, 0.97, "too much of the incident is unknown"),
    ):
        assert judged(job, killed=killed, resumed_from=resumed_from, accuracy=accuracy) == [wrong]


def test_a_listing_is_plain_off_a_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    node = NodeView(
        id="n[1]", state="lost", reason="r" * 300, since=0.0, address="", slots=1, free=1, devices=0, agent_version=""
    )
    columns = (Column[NodeView]("ID", lambda n: n.id), Column[NodeView]("WHY", lambda n: n.reason, wide=True))
    listing("nodes", [node], columns, "wide")
    listing("nodes", [], columns, "table")
    out, err = capfd.readouterr()
    assert out == f"ID    WHY\nn[1]  {'r' * 300}\n"
    assert err == "dlroverctl: no nodes\n"
    listing("nodes", [node], columns, "json")
    shown = json.loads(capfd.readouterr().out)
    assert (shown["version"], shown["kind"], shown["nodes"][0]["id"]) == (1, "nodes", "n[1]")
