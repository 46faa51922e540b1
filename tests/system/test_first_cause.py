"""The rank that failed is named, and what died of it is listed apart: whatever it died of, and each time."""

import os
import random
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system import crashes
from tests.system.fleet import SCRIPTS, Fleet, pids

KILLS = 5


@pytest.mark.timeout(400)
def test_the_killed_rank_is_the_cause_and_its_peer_the_victim(fleet: Callable[..., Fleet]) -> None:
    here = fleet()
    flags = ("--nproc-per-node", "2", "--max-restarts", str(KILLS))
    job = here.submit(*flags, str(SCRIPTS / "allreduce.py"), "1000000")
    for kill in range(1, KILLS + 1):
        os.kill(pids(here.until_stepping(job, kill))[1], signal.SIGKILL)
    here.until_stepping(job, KILLS + 1)

    why = here.json("why", str(job))

    assert (why["cause"], why["victims"]) == tuple(why["incidents"][-1][key] for key in ("cause", "victims"))
    assert why["headline"] == "rank 1 on n1 was killed by SIGKILL, which dlroverd did not send"
    assert [log["node"] for log in why["kernel"]] == ["n1"], "lines of its kernel, or why there are none"
    assert [incident["round"] for incident in why["incidents"]] == list(range(1, KILLS + 1))
    for incident in why["incidents"]:
        cause = incident["cause"]
        assert (cause["rank"]["rank"], cause["exit"]["signal"]) == (1, 9), incident
        (victim,) = incident["victims"]
        assert (victim["rank"]["rank"], victim["kind"]) == (0, "peer_lost"), incident
        assert re.search(r"gloo.*Connection (closed|reset) by peer", victim["sentence"]), incident


@pytest.mark.timeout(400)
def test_whatever_a_rank_of_four_dies_of_it_is_named(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    """One crash of each kind; `benchmarks/first_cause.py` makes twenty."""
    here = fleet(nodes=3, slots=2, limits=crashes.LIMITS)
    plan = crashes.in_turn(crashes.kinds_here(), 1, random.Random())
    plan.sort(key=lambda each: each[0] == "disk")  # the restart after it waits for room
    trials = list(crashes.crash(here, tmp_path / "job", plan, sys.executable))
    assert [trial for trial in trials if trial.wrong] == []
    assert len(trials) == len(plan)
