"""On real hosts, whose links are real: the host whose link is slow is named from what goes through it, and let go."""

import pytest

from dlroverd.model.view import JobView
from tests.fleet.conftest import Boot
from tests.fleet.harness import SCRIPTS, Fleet


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Four nodes of one slot each, that are read and looked at each second."""
    return boot(4, daemon={"diagnosis": {"interval": "1s"}}, agent={"slots": 1, "monitor_interval": "1s"})


def test_the_host_with_the_slow_link_is_named_while_it_is_slow(fleet: Fleet) -> None:
    job = fleet.submit("--nnodes", "4", str(SCRIPTS / "ddp.py"), "100000")
    fleet.until_stepping(job)
    fleet.slow("node3", delay="30ms")

    def named(view: JobView) -> bool:
        return bool(view.diagnoses)

    (found,) = fleet.until_job(job, named).diagnoses
    assert (found.kind, found.node, found.rank, found.acted) == ("slow_link", "node3", -1, False)
    assert found.sentence.startswith("a packet from node3 to the other hosts of the job and back takes at least ")
    shown = fleet.ctl("job", "status", str(job))
    assert "Slow link since" in shown
    assert "dlroverctl node drain node3 --at-checkpoint" in shown

    fleet.heal()
    view = fleet.until_job(job, lambda view: not view.diagnoses)
    assert (view.state, view.restarts) == ("running", 0), "it is only reported"
