"""A rank that KILL does not end, as one in uninterruptible sleep: a frozen one does not take its KILL either."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until

FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.fixture
def frozen() -> Iterator[Path]:
    folder = FREEZER / f"dlroverd-stuck-{os.getpid()}"
    folder.mkdir()
    yield folder
    (folder / "freezer.state").write_text("THAWED")
    until((folder / "cgroup.procs").read_text, lambda left: not left)
    folder.rmdir()


@pytest.mark.skipif(not os.access(FREEZER, os.W_OK), reason="needs root and the freezer of cgroup v1")
def test_a_stuck_rank_is_bounded_and_named_and_its_job_goes_on_elsewhere(
    fleet: Callable[..., Fleet], frozen: Path
) -> None:
    two = fleet(2, 1)
    job = two.submit(str(SCRIPTS / "steps.py"))
    (pid,) = pids(two.until_stepping(job))
    stuck = gang(two.client.job(job)).ranks[0].node
    (frozen / "cgroup.procs").write_text(str(pid))
    (frozen / "freezer.state").write_text("FROZEN")
    two.client.restart(job)
    again = two.until_stepping(job, round_=2)
    assert gang(again).ranks[0].node != stuck
    (marked,) = [view for view in two.client.nodes() if view.id == stuck]
    assert marked.free == 0
    assert marked.notes[0].startswith(f"{job}/trainer/0@1#0 cannot be ended: {pid} (python")
    assert marked.notes[0].endswith("; reboot the node")
    (frozen / "freezer.state").write_text("THAWED")
    two.until_nodes(lambda views: all(not view.notes for view in views) and sorted(v.free for v in views) == [0, 1])
