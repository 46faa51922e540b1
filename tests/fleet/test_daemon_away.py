"""The daemon is gone for minutes under a torch job on two hosts, and nothing of that job knows."""

from functools import partial
from operator import le

from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, DAEMON, PORT, SCRIPTS
from tests.fleet.measures import longest_over_median, steps
from tests.system.fleet import gang, until

# The longest that a node may be silent, instead of ten minutes.
LIMITS = {"unreachable_limit": "30s"}
# Minutes, and longer than any limit of the daemon, of an agent, of its link and of its unit that might end something.
AWAY_S = 150
EVERY_S = 1


def test_the_daemon_gone_for_minutes_stops_nothing(boot: Boot) -> None:
    fleet = boot(daemon={"limits": LIMITS})
    for node, launcher in zip(fleet.nodes, ("systemd", "process"), strict=True):
        fleet.reconfigure(node, launcher=launcher)
    fleet.until_ready()
    state = fleet.shared / "ddp.step"
    words = ("--nnodes", "2", "--nproc-per-node", "1", "--env", f"DDP_STATE={state}")
    job = fleet.submit(*words, str(SCRIPTS / "ddp.py"), "1000000", str(EVERY_S))
    fleet.until_stepping(job)
    ranks, first = fleet.ranks(job), int(state.read_text())

    fleet.exec(CTL, "systemctl", "stop", DAEMON)
    for step in range(first, first + AWAY_S // EVERY_S + 1, 10):  # a wait for all at once would be out of patience
        until(lambda: int(state.read_text()), partial(le, step))
    for node in fleet.nodes:
        assert f"Nothing answers at tcp://{CTL}:{PORT}" in fleet.journal(node, AGENT, "-o", "cat", "-n", "5")
    fleet.exec(CTL, "systemctl", "start", DAEMON)

    fleet.until_ready()
    assert fleet.ranks(job) == ranks
    fleet.until_job(job, lambda view: gang(view).step >= first + AWAY_S // EVERY_S)
    view = fleet.client.job(job)
    assert (view.state, view.reason, view.restarts, gang(view).round) == ("running", "every rank runs", 0, 1)
    assert fleet.json("why", str(job))["incidents"] == []
    fleet.client.cancel(job)
    fleet.until_over(job)
    for rank in (0, 1):
        done = list(steps(fleet, job, rank))
        assert [number for number, _ in done] == list(range(1, len(done) + 1))
        assert len(done) >= first + AWAY_S // EVERY_S
        print(f"rank {rank}: longest step over median", longest_over_median([at for _, at in done]))  # noqa: T201 - a timing is shown, not asserted
