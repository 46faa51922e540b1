"""Days of a fleet: fresh seeds, the same log for the same seed, and what a fault costs, which can be reckoned."""

import random
from pathlib import Path

import pytest

from dlroverd.testing.simulator import scenario as files
from dlroverd.testing.simulator.baseline import MAX_RESTARTS, REQUEUE_S, SLURMD_TIMEOUT_S, Baseline, Result
from dlroverd.testing.simulator.fleet import Fleet, load
from dlroverd.testing.simulator.report import Summary
from tests.simulation.planting import ROOT, simulate

EXAMPLE = str(ROOT / "examples" / "sim" / "small.yaml")
DAY_S = 86400.0
ONE_JOB = """
days: 1
fleet: [{name: a, nodes: 34, slots: 2, domains: {switch: 8}}]
workload:
  - {name: j, nodes: 32, at_start: 1, work: 100d, training: {start: 10s, join: 5s, load: 25s, checkpoint_every: 10m}}
faults: {trace: trace.yaml}
"""


def run(tmp_path: Path, *faults: str) -> Summary:
    """Our fleet under a trace; every record is written and read with the real codec."""
    found, path = _one_job(tmp_path, *faults)
    return Fleet(found, faults=load(path, found), exact=True).run()


def beside(tmp_path: Path, *faults: str) -> Result:
    """The other one, under the same trace."""
    found, path = _one_job(tmp_path, *faults)
    drawn = load(path, found)
    return Baseline(found, Fleet(found, faults=drawn).inventory).run(drawn)


def _one_job(tmp_path: Path, *faults: str) -> tuple[files.Scenario, str]:
    lines = "".join(f"  - {fault}\n" for fault in faults)
    (tmp_path / "trace.yaml").write_text(f"faults:\n{lines}" if faults else "faults: []\n")
    path = tmp_path / "scenario.yaml"
    path.write_text(ONE_JOB)
    return files.read(str(path)), str(path)


def test_fleet_lives_through_days_of_a_fresh_seed(request: pytest.FixtureRequest) -> None:
    wanted = request.config.getoption("--sim-seed")
    seed = wanted if wanted is not None else random.SystemRandom().randrange(10**9)
    print(f"seed {seed}: pytest tests/simulation --sim-seed {seed}")  # noqa: T201 - for whoever reads a failure
    found = files.read(EXAMPLE, seed=seed)
    summary = Fleet(found, exact=True).run()
    print(summary)  # noqa: T201 - as above
    assert summary.full_checks
    assert summary.jobs["succeeded"] > 100
    assert summary.restarts
    assert 0.9 < summary.goodput.productive < 1.0
    assert not summary.refused


def test_same_seed_gives_the_same_log_under_any_hash_seed() -> None:
    words = ("run", EXAMPLE, "--days", "0.5", "--nodes", "300")
    first, second = (simulate(*words, hash_seed=hash_seed)["summary"] for hash_seed in ("1", "2"))
    for summary in (first, second):
        del summary["wall_s"], summary["cpu_s"]
    assert first == second
    assert first["events"] > 500
    assert simulate(*words, "--seed", "2")["summary"]["log"] != first["log"]


def test_without_faults_only_the_start_is_lost(tmp_path: Path) -> None:
    summary = run(tmp_path)
    assert summary.restarts == 0
    assert summary.goodput.redone == 0.0
    assert summary.goodput.loading == pytest.approx(30 / DAY_S, rel=0.01)
    assert summary.goodput.away == pytest.approx(10 / DAY_S, rel=0.3)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("{at: 6h5m, kind: host_crash, target: a-00003, repair: 2h}", "node_lost"),
        ("{at: 6h5m, kind: host_reboot, target: a-00003, repair: 2m}", "node_lost"),
        ("{at: 6h5m, kind: gpu_lost, target: a-00003, repair: 2h}", "device"),
        ("{at: 6h5m, kind: process_crash, target: a-00003}", "exception"),
        ("{at: 6h5m, kind: nic_down, target: a-00003, repair: 2h}", "peer_lost"),
    ],
    ids=lambda text: text.partition("kind: ")[2].partition(",")[0],
)
def test_fault_costs_its_recovery_and_the_work_since_the_last_checkpoint(
    fault: str, cause: str, tmp_path: Path
) -> None:
    summary = run(tmp_path, fault)
    assert sum(each.incidents for kind, each in summary.causes.items() if kind.startswith(cause)) >= 1
    assert summary.restarts >= 1
    # Steps began at about 1 min 40 s, a checkpoint is kept each 10 min, so at 6 h 5 min some 200 s were new.
    assert 150 < summary.goodput.redone * DAY_S < 320
    # What the daemon's ledger says of it, which knows only the steps it was told of.
    redone_s = sum(each.phases_s["recompute"] * each.incidents for each in summary.causes.values())
    assert redone_s == pytest.approx(summary.goodput.redone * DAY_S, abs=10)
    # 8 s until a silent host is lost, 30 s until a cut link is an error; then the start of new ranks.
    assert summary.goodput.away * DAY_S < 10 + 10 + 60
    assert {kind: count for kind, count in summary.jobs.items() if count} == {"running": 1}


def test_faults_that_cost_no_step_cost_none(tmp_path: Path) -> None:
    summary = run(
        tmp_path,
        "{at: 2h, kind: partition, target: a-00001, repair: 2m}",
        "{at: 3h, kind: agent_crash, target: a-00002}",
        "{at: 4h, kind: daemon_crash}",
    )
    assert summary.restarts == 0
    assert summary.daemon_crashes == 1
    assert summary.goodput.redone == 0.0


def test_slow_node_costs_its_share(tmp_path: Path) -> None:
    summary = run(tmp_path, "{at: 6h, kind: slow_node, target: a-00001, repair: 6h}")
    # A quarter of the day at 0.7 of the pace.
    assert summary.goodput.productive == pytest.approx(1 - 0.25 * 0.3, abs=0.003)


def test_switch_outage_stops_all_its_nodes_and_they_return(tmp_path: Path) -> None:
    summary = run(tmp_path, "{at: 6h5m, kind: switch_outage, target: a-switch-0001, repair: 20m}")
    assert summary.jobs["running"] == 1
    # Two spares do not make up for eight nodes: the job waits for the switch.
    assert 15 * 60 < summary.goodput.away * DAY_S < 40 * 60


def test_torchrun_with_slurm_waits_for_its_timeouts(tmp_path: Path) -> None:
    calm = beside(tmp_path)
    assert (calm.restarts, calm.requeues, calm.redone) == (0, 0, 0.0)
    crash = beside(tmp_path, "{at: 6h5m, kind: host_crash, target: a-00003, repair: 2h}")
    assert crash.requeues == 1
    lost_s = (calm.productive - crash.productive) * DAY_S
    redone_s = crash.redone * DAY_S
    # The node is DOWN after SlurmdTimeout; then the job is requeued, and starts and loads.
    assert lost_s == pytest.approx(SLURMD_TIMEOUT_S + REQUEUE_S + 5 + 40 + redone_s, abs=1.0)
    assert 150 < redone_s < 320


def test_torchrun_restarts_in_place_until_it_may_not(tmp_path: Path) -> None:
    crashes = [f"{{at: {hour}h, kind: process_crash, target: a-00001}}" for hour in range(2, 7)]
    result = beside(tmp_path, *crashes)
    assert (result.restarts, result.requeues) == (MAX_RESTARTS + 1, 1)


def test_job_of_high_priority_has_one_of_low_priority_make_room(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(
        "days: 0.25\n"
        "fleet: [{name: a, nodes: 8, slots: 2}]\n"
        "workload:\n"
        "  - {name: low, nodes: 8, at_start: 1, work: 100d}\n"
        "  - {name: high, nodes: 8, per_day: 24, work: 10m, priority: 10}\n"
    )
    summary = Fleet(files.read(str(tmp_path / "scenario.yaml")), exact=True).run()
    assert summary.jobs["succeeded"] >= 1
    assert summary.preemptions >= 1
