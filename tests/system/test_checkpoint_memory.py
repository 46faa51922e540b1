"""A job with checkpoint memory: ranks and agents die, its steps stay; the job ends, and nothing of it does."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until


def vaults(fleet: Fleet) -> list[int]:
    """Give the pids of the vaults of a fleet: who has memory of that name and was started for it."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            command = (each / "cmdline").read_bytes()
        except OSError:
            continue
        if b"/vault/__main__.py" in command and os.fsencode(fleet.root) in command:
            found.append(int(each.name))
    return found


def loads(fleet: Fleet, job: int, round_: int) -> list[tuple[int, str, str]]:
    """Give what the ranks of a round said of their beginning: the step, where it is from, whether it was whole."""
    outputs = [fleet.root / "n1" / "ranks" / f"j{job}-trainer-0-r{round_}-rank{rank}" / "output.log" for rank in (0, 1)]
    said = [re.search(r"^loaded (\d+) from (.*), whole: (.*)$", each.read_text(), re.MULTILINE) for each in outputs]
    return [(int(each[1]), each[2], each[3]) for each in said if each is not None]


def see_too_much_refused(fleet: Fleet) -> None:
    """See that a job that asks for more memory than is available never starts, and is told the sum."""
    asked = psutil.virtual_memory().total >> 20  # less is available
    job = fleet.submit("--checkpoint-memory", f"{asked}MiB", str(SCRIPTS / "quiet.py"))
    view = fleet.until_over(job)
    assert view.state == "failed"
    sum_ = r"checkpoint_memory of .* does not fit on n1: \d+ [GM]iB are available; ask for at most \d+ [GM]iB$"
    assert re.search(sum_, view.reason), view.reason
    assert vaults(fleet) == []


def test_ranks_go_on_from_memory(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    one = fleet()
    see_too_much_refused(one)
    words = ("--nproc-per-node", "2", "--checkpoint-memory", "64MiB")
    job = one.submit(*words, str(SCRIPTS / "from_memory.py"), str(tmp_path / "path"))
    view = one.until_stepping(job)
    (vault,) = vaults(one)
    assert loads(one, job, 1) == [(0, "nothing", "True")] * 2

    before = gang(one.client.job(job)).step
    agent = one.agents["n1"]
    agent.stop(signal.SIGKILL)
    os.kill(pids(view)[1], signal.SIGKILL)
    agent.start()
    assert vaults(one) == [vault]

    view = one.until_over(job)
    assert (view.state, view.restarts) == ("succeeded", 1)
    (step, source, whole), other = loads(one, job, 2)
    assert (step, source, whole) == other
    assert (source, whole) == ("memory", "True")
    assert step >= before
    until(lambda: vaults(one), lambda left: not left)
    # One beside the restart, which no rank had asked for; and what memory alone had when the job was over.
    committed = [json.loads(each.body) for each in one.client.events(names=["checkpoint_committed"])]
    assert [(body["step"], body["round"]["round"]) for body in committed] == [(step, 2), (step + 3, 2)]
    assert {each.name for each in (tmp_path / "path").glob("step-*")} == {f"step-{step}", f"step-{step + 3}"}
    assert (one.root / "n1.log").read_text().count("checkpoint memory is set aside") == 1
