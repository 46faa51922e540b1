"""A rank that holds up its world is named from real steps of an unchanged script, and let go."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlroverd.model.view import JobView
from tests.system.fleet import SCRIPTS, Fleet


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path, daemon={"diagnosis": {"interval": "1s"}}, agent={"monitor_interval": "1s"})
    made.start(2, 2)
    yield made
    made.close()


def test_the_slow_rank_is_named_and_let_go(here: Fleet, tmp_path: Path) -> None:
    script = (str(SCRIPTS / "slow_rank.py"), str(tmp_path), "100000", "0.2", "0.005")
    job = here.submit("--nnodes", "2", "--nproc-per-node", "2", "--progress", "auto", *script)
    here.until_stepping(job)
    (tmp_path / "slow-2").write_text("0.6")

    def named(view: JobView) -> bool:
        return [(each.kind, each.rank, each.node) for each in view.diagnoses] == [("straggler", 2, "n2")]

    (found,) = here.until_job(job, named).diagnoses
    assert (found.rule, found.stage, found.actions, found.acted) == ("straggler", "advise", ("replace",), False)
    assert found.sentence.startswith("rank 2 on n2 takes ")
    shown = here.ctl("job", "status", str(job)).stdout
    assert "Straggler since" in shown
    assert "have the job leave the node with `dlroverctl node drain n2 --at-checkpoint`" in shown

    (tmp_path / "slow-2").unlink()
    view = here.until_job(job, lambda view: not view.diagnoses)
    assert (view.state, view.restarts) == ("running", 0), "it is only reported"
    events = here.json("event", "list")["events"]
    told = [json.loads(each["body"]) for each in events if each["name"].startswith("diagnosis_")]
    assert {each.get("conclusion", each)["rank"] for each in told} == {2}
