"""What a drill is expected to cost, and where each expectation comes from."""

import dataclasses

import pytest

from dlroverd.cli.rehearsal import Expectation, Fault, FirstStart, Surroundings, plan
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.view import GangView, IncidentView, JobView, NodeView, PhasesView, RankView, RoleView
from dlroverd.model.world import DrillKind

SETTINGS = {
    "listen": "['tcp://0.0.0.0:7700']",
    "limits.unreachable_after": "5s",
    "limits.lost_by_peers": "8s",
    "limits.lost_after": "15s",
    "limits.unreachable_limit": "10m",
    "limits.placing": "2s",
    "limits.evidence": "500ms",
}
SPEC = JobSpec(name="digits", user=User(uid=1, gid=1, name="ann"), roles=(RoleSpec(argv=("/bin/true",), cwd="/"),))
RECOVERED = IncidentView(
    id=4,
    role="trainer",
    gang=0,
    round=1,
    began_at=1.0,
    open=False,
    action="restart",
    phases=PhasesView(detect=0.01, stop=0.2, decide=0.0, wait=0.0, start=0.19, load=2.5, unknown=0.0, total=2.9),
    step=41,
)


def job(*nodes: str, incidents: tuple[IncidentView, ...] = ()) -> JobView:
    ranks = tuple(RankView(rank=n, local_rank=0, node=node, state="running") for n, node in enumerate(nodes))
    gang = GangView(gang=0, state="running", round=1, world_size=len(nodes), ranks=ranks)
    return JobView(
        id=3,
        name="digits",
        user="ann",
        state="running",
        reason="every rank runs",
        restarts=0,
        restarts_in_window=0,
        submitted_at=1.0,
        roles=(RoleView(name="trainer", gangs=(gang,)),),
        incidents=incidents,
        spec=SPEC,
    )


def node(name: str, *jobs: int, state: str = "ready") -> NodeView:
    return NodeView(
        id=name, state=state, reason="", since=0.0, address="", slots=1, free=0, devices=0, agent_version="", jobs=jobs
    )


def around(*nodes: NodeView, first: FirstStart | None = None, listen: str = SETTINGS["listen"]) -> Surroundings:
    return Surroundings({**SETTINGS, "listen": listen}, nodes, first)


def fault(kind: DrillKind, *, for_s: float = 0.0) -> Fault:
    return Fault(kind=kind, node="n1", for_s=for_s, role="trainer", rank=1)


def expected(phases: tuple[Expectation, ...]) -> dict[str, float | None]:
    return {each.phase: each.seconds for each in phases}


def test_a_killed_rank_is_expected_to_cost_what_the_first_start_did_and_the_limits_allow() -> None:
    seen = plan(job("n1", "n1"), fault(DrillKind.KILL_RANK), around(first=FirstStart(start=0.3, load=4.0)))
    assert seen.happens == "SIGKILL ends rank 1 of job 3 (digits) on n1, as if from outside."
    assert expected(seen.phases) == pytest.approx(
        {
            "noticed": 0.0,
            "detect": 0.0,
            "stop": 1.5,
            "wait": 0.0,
            "start": 0.3,
            "load": 4.0,
            "total": 5.8,
        }
    )
    assert {each.source for each in seen.phases if each.phase in ("start", "load")} == {"the job's first start"}
    assert seen.limit_s == pytest.approx(60 + 2 * 5.8)


def test_the_last_recovery_is_the_better_witness() -> None:
    unfinished = dataclasses.replace(RECOVERED, id=5, step=-1, phases=PhasesView(detect=0.0, stop=9.0))
    before = job("n1", "n1", incidents=(RECOVERED, unfinished))
    seen = plan(before, fault(DrillKind.KILL_RANK), around(first=FirstStart(start=0.3, load=4.0)))
    sources = {each.phase: (each.seconds, each.source) for each in seen.phases}
    assert sources["stop"] == (0.2, "incident 4")
    assert sources["start"] == (0.19, "incident 4")
    assert sources["load"] == (2.5, "incident 4")


def test_what_nobody_has_seen_is_not_expected() -> None:
    seen = plan(job("n1"), fault(DrillKind.KILL_RANK), around())
    assert expected(seen.phases)["load"] is None
    assert "total" not in expected(seen.phases)


@pytest.mark.parametrize("kind", [DrillKind.FREEZE_RANK, DrillKind.HANG_RANK])
def test_nothing_is_promised_of_a_hang(kind: DrillKind) -> None:
    seen = plan(job("n1", "n2"), fault(kind, for_s=20.0), around())
    assert seen.follows.startswith("Nothing tells a hang from slow work yet")
    assert expected(seen.phases) == {"pause": 20.0}
    assert seen.limit_s == 80.0


def test_a_killed_agent_costs_no_step() -> None:
    seen = plan(job("n1"), fault(DrillKind.KILL_AGENT), around())
    assert seen.follows == "Its ranks run on, and the agent finds them again when it is back."
    assert expected(seen.phases) == {"agent_back": 5.0}


@pytest.mark.parametrize(
    ("others", "listen", "detected", "limit"),
    [
        (("n2", "n3"), SETTINGS["listen"], 8.0, "limits.lost_by_peers"),
        (("n2",), SETTINGS["listen"], 15.0, "limits.lost_after"),
        (("n2", "n3"), "['unix:///run/dlroverd/dlroverd.sock']", 600.0, "limits.unreachable_limit"),
        ((), SETTINGS["listen"], 600.0, "limits.unreachable_limit"),
    ],
)
def test_how_soon_a_node_is_given_up_depends_on_who_can_say_so(
    others: tuple[str, ...], listen: str, detected: float, limit: str
) -> None:
    nodes = [node("n1", 3), *(node(name) for name in others), node("n9", state="unreachable")]
    seen = plan(job("n1", "n2"), fault(DrillKind.LOSE_NODE, for_s=700.0), around(*nodes, listen=listen))
    assert seen.follows == "The job restarts without it, at no cost to its restarts."
    assert expected(seen.phases)["noticed"] == 0.0
    (found,) = [each for each in seen.phases if each.phase == "detect"]
    assert (found.seconds, found.source.partition(":")[0]) == (detected, limit)


def test_a_short_loss_and_the_loss_of_the_only_copy_restart_nothing() -> None:
    nodes = (node("n1", 3, 4, 5), node("n2", 3), node("n3"))
    short = plan(job("n1", "n2"), fault(DrillKind.LOSE_NODE, for_s=7.0), around(*nodes))
    assert short.happens == "n1 behaves as if frozen for 7 s, with jobs 4, 5 too: nothing of it runs or answers."
    assert "back before it is given up (limits.lost_by_peers)" in short.follows
    assert expected(short.phases) == {"pause": 7.0}
    alone = plan(job("n1", "n1"), fault(DrillKind.LOSE_NODE, for_s=30.0), around(*nodes))
    assert "its only copy" in alone.follows
    assert expected(alone.phases) == {"pause": 30.0}
