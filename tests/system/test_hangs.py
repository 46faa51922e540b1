"""A gang that hangs: its stacks are looked at, the rank that the others wait for is named, and the job goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.system.fleet import SCRIPTS, Fleet, gang, until

LIMITS = {"step_floor": "5s", "floor": "5s"}


def train(fleet: Fleet, folder: Path) -> int:
    """Have three ranks train that do as they are told, until a hang among them would be seen."""
    file = folder / "job.yaml"
    hangs = {"stage": "act", "step": "5s"}
    content = {"script": str(SCRIPTS / "hanging.py"), "args": [str(folder)], "nproc_per_node": 3, "hangs": hangs}
    file.write_text(json.dumps(content))
    job = fleet.submit("-f", str(file))
    fleet.until_stepping(job)
    return job


def order(folder: Path, number: int, kind: str, rank: int, for_s: float = 0.0) -> None:
    """Have a rank do something."""
    new = folder / "order.new"
    new.write_text(json.dumps({"id": number, "kind": kind, "rank": rank, "for_s": for_s}))
    new.rename(folder / "order")


def said(fleet: Fleet, job: int, *names: str) -> list[dict[str, Any]]:
    """Give what the log says of it."""
    return [json.loads(event.body) for event in fleet.client.events(job=job, names=names)]


def test_a_pause_is_no_hang_and_a_rank_that_hangs_is_named_and_its_gang_restarted(
    fleet: Callable[..., Fleet], tmp_path: Path
) -> None:
    one = fleet(1, 4, daemon={"hangs": LIMITS})
    folder = tmp_path / "orders"
    folder.mkdir()
    job = train(one, folder)

    # A rank saves alone, and says nothing of it: no step for long, and stacks that show what is at work.
    order(folder, 1, "save", rank=1, for_s=100.0)
    (judged,) = until(lambda: said(one, job, "hang_judged"), bool)
    assert not judged["verdict"]["hung"]
    assert judged["verdict"]["phase"] == "checkpoint"
    (folder / "over-1").touch()
    step = gang(one.client.job(job)).step
    one.until_job(job, lambda view: gang(view).step > step)

    order(folder, 2, "spin", rank=2)
    shown = until(lambda: one.ctl("job", "stacks", str(job)).stdout, lambda text: "spin (hanging.py:" in text)
    assert "2 of 3 ranks (0-1): waiting" in shown
    assert "Rank 2 on n1: running" in shown
    assert "By torch's flight recorder, rank 2 has not begun collective " in shown
    again = one.until_stepping(job, round_=2)
    judged = said(one, job, "hang_judged")[-1]["verdict"]
    assert (judged["kind"], [key["rank"] for key in judged["ranks"]]) == ("spinning", [2])
    assert judged["sentence"].startswith("rank 2 on n1 turns on the spot in spin (hanging.py:")
    assert "; it has not begun collective " in judged["sentence"]
    assert ", in which ranks 0-1 wait" in judged["sentence"]
    assert {tuple(group["ranks"]) for group in judged["groups"]} == {(0, 1), (2,)}
    cause = again.incidents[0].cause
    assert cause is not None
    assert (cause.kind, cause.rule, cause.node) == ("hang", "hang.spinning", "n1")
    assert "hang: rank 2 on n1 turns on the spot" in one.ctl("job", "why", str(job)).stdout

    # All wait at one line of the script, one of them for another group.
    order(folder, 3, "astray_all", rank=1)
    one.until_stepping(job, round_=3)
    judged = said(one, job, "hang_judged")[-1]["verdict"]
    assert (judged["kind"], [key["rank"] for key in judged["ranks"]]) == ("collective", [1])
    assert judged["sentence"].startswith("rank 1 on n1 waits in collective 1 of group 1, all_reduce of Float[4], while")
    assert [group["ranks"] for group in judged["groups"]] == [[0, 1, 2]]


def test_stacks_are_refused_with_a_sentence_where_there_are_none(fleet: Callable[..., Fleet]) -> None:
    one = fleet()
    assert "There is no job 7" in one.ctl("job", "stacks", "7", code=1).stderr
    job = one.submit("--nproc-per-node", "2", str(SCRIPTS / "steps.py"))
    one.until_stepping(job)
    assert f"Job {job} has ranks 0 to 1, and no 5." in one.ctl("job", "stacks", str(job), "--rank", "5", code=1).stderr
    (stack,) = one.json("job", "stacks", str(job), "--rank", "1")["ranks"]
    assert stack["key"]["rank"] == 1
    assert stack["processes"][0]["threads"][0]["frames"]
    one.client.cancel(job)
    one.until_over(job)
    assert "nothing of it runs" in one.ctl("job", "stacks", str(job), code=1).stderr
