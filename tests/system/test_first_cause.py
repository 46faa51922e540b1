"""The rank that was killed is named, and what died of it is listed apart: 20 of 20."""

import os
import re
import signal
from collections.abc import Callable

import pytest

from tests.system.fleet import SCRIPTS, Fleet, pids

KILLS = 20


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
    assert [incident["round"] for incident in why["incidents"]] == list(range(1, KILLS + 1))
    for incident in why["incidents"]:
        cause = incident["cause"]
        assert (cause["rank"]["rank"], cause["exit"]["signal"]) == (1, 9), incident
        (victim,) = incident["victims"]
        assert (victim["rank"]["rank"], victim["kind"]) == (0, "peer_lost"), incident
        assert re.search(r"gloo.*Connection (closed|reset) by peer", victim["sentence"]), incident
