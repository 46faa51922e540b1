"""`fence: lease`: ranks with effects of their own never write beside those that take their place, and nobody is asked.

Each rank appends to a file that all hosts share, as soon as a step is over. What is asserted of that file holds to the
line: not one of an old round after the first of the new one.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, CTL_PROGRAM, DAEMON, Fleet
from tests.fleet.plain import Plain
from tests.system.fleet import gang, until

LIMITS = {"unreachable_after": "1500ms", "lost_by_peers": "3s", "lost_after": "5s", "lease_margin": "1s"}
LEASE = "fence: lease\nlease: 6s\n"


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Three nodes of one slot each."""
    return boot(3, daemon={"limits": LIMITS}, agent={"slots": 1})


@pytest.fixture
def leased(fleet: Fleet) -> Path:
    """A job file that asks for a lease."""
    file = fleet.shared / "lease.yaml"
    file.write_text(LEASE)
    return file


def hang_agent(fleet: Fleet, node: str) -> None:
    """Stop the agent's process alone: its ranks go on, and nobody is there to end them."""
    fleet.exec(node, "kill", "-STOP", str(fleet.main_pid(node, AGENT)))


def resume_agent(fleet: Fleet, node: str) -> None:
    """Undo `hang_agent`."""
    fleet.exec(node, "systemctl", "kill", "-s", "CONT", "--kill-whom=main", AGENT)


Change = Callable[[Fleet, str], None]
FAULTS: dict[str, tuple[Change, Change]] = {
    "cut off": (lambda fleet, node: fleet.partition(node), lambda fleet, node: fleet.heal(node)),
    "frozen": (lambda fleet, node: fleet.freeze(node), lambda fleet, node: fleet.thaw(node)),
    "its agent hangs": (hang_agent, resume_agent),
}


def see_no_second_writer(fleet: Fleet, job: Plain, stale: str) -> None:
    """See that a host which is back runs nothing of the job, and that none of its writes was late."""
    fleet.until_ready()
    until(lambda: fleet.of_job(stale, job.id), lambda left: not left)
    job.until_further(20)
    assert job.late() == []
    view = job.view()
    assert (view.state, view.restarts, view.restarts_in_window) == ("running", 1, 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_only_copy_moves_without_a_persons_word(fleet: Fleet, leased: Path, fault: str) -> None:
    begin, end = FAULTS[fault]
    job = Plain(fleet, "1", "-f", str(leased))
    (stale,) = job.nodes()
    begin(fleet, stale)
    fleet.until_stepping(job.id, 2)
    (now,) = job.nodes()
    assert now != stale
    (incident,) = job.view().incidents
    assert incident.cause is not None
    assert incident.cause.sentence == (
        f"rank 0 on {stale} is gone: its lease ran out: the daemon had not heard of its node"
    )
    assert {each.round for each in job.written() if each.node == stale} == {1}
    end(fleet, stale)
    see_no_second_writer(fleet, job, stale)


@pytest.mark.parametrize("fault", ["cut off", "frozen"])
def test_a_world_of_two_waits_for_the_lease_of_the_lost_one(fleet: Fleet, leased: Path, fault: str) -> None:
    begin, end = FAULTS[fault]
    job = Plain(fleet, "2", "-f", str(leased))
    stale = job.nodes()[1]
    begin(fleet, stale)
    fleet.until_stepping(job.id, 2)
    assert stale not in job.nodes()
    end(fleet, stale)
    see_no_second_writer(fleet, job, stale)


def test_a_daemon_that_is_back_in_time_costs_nothing(fleet: Fleet, leased: Path) -> None:
    job = Plain(fleet, "2", "-f", str(leased))
    before = fleet.ranks(job.id)
    fleet.exec(CTL, "systemctl", "restart", DAEMON)
    for node in fleet.nodes:
        fleet.exec(node, "systemctl", "restart", AGENT)
    job.until_further(200)  # at 20 a second well past the lease
    fleet.until_ready()
    assert fleet.ranks(job.id) == before


def test_a_daemon_away_for_longer_ends_the_ranks_and_the_job_does_not_pay(fleet: Fleet, leased: Path) -> None:
    job = Plain(fleet, "1", "-f", str(leased))
    (node,) = job.nodes()
    fleet.exec(CTL, "systemctl", "stop", DAEMON)
    until(lambda: fleet.of_job(node, job.id), lambda left: not left)
    said = f"{job.id}/trainer/0@1#0 has ended: its lease ran out"
    until(lambda: fleet.journal(node, AGENT, "-o", "cat", "-n", "5"), lambda journal: said in journal)
    fleet.exec(CTL, "systemctl", "start", DAEMON)
    view = fleet.until_stepping(job.id, 2)
    assert (view.state, view.restarts, view.restarts_in_window, gang(view).round) == ("running", 1, 0, 2)
    assert job.late() == []


def test_a_lease_that_a_blip_would_end_is_refused(fleet: Fleet) -> None:
    file = fleet.shared / "short.yaml"
    file.write_text("fence: lease\nlease: 1s\ncommand: /bin/true\n")
    said = fleet.exec(CTL, "sh", "-c", f"{CTL_PROGRAM} submit -f {file} 2>&1", code=1)
    assert "Role trainer has a lease of 1 s, and a node may be silent for 1.5 s" in said
