"""The checkpoint memory of a job on hosts run by systemd: a unit of its own, which only the job's end takes away."""

import re
from functools import partial

from tests.fleet.harness import AGENT, SCRIPTS, Fleet
from tests.system.fleet import until

NODES = ("node1", "node2")


def unit(job: int) -> str:
    """Name the unit of a job's vaults."""
    return f"dlroverd-main-j{job}-vault.service"


def vault_pids(fleet: Fleet, job: int) -> list[int]:
    """Give the main pids of the job's vaults, by node."""
    return [fleet.main_pid(node, unit(job)) for node in NODES]


def found(fleet: Fleet, job: int, round_: int) -> list[int]:
    """Give the steps that the ranks of a round found in memory."""
    said = [fleet.ctl("logs", str(job), "--rank", str(rank), "--round", str(round_)) for rank in (0, 1)]
    return [int(step) for each in said for step in re.findall(r"^found (\d+)$", each, re.MULTILINE)]


def of_vaults(fleet: Fleet, node: str) -> str:
    """Show all that there is of vaults on a node: units, slices, processes, files."""
    looks = (
        "systemctl list-units --all --plain --no-legend 'dlroverd-*-vault.service' 'dlroverd-main-j*.slice'",
        "pgrep -af 'vault/__main__[.]py' || true",
        "find /run/dlroverd-agent -path '*/vaults/*'",
    )
    return "".join(fleet.exec(node, "sh", "-c", look) for look in looks)


def test_it_outlives_ranks_and_agents_and_ends_with_the_job(fleet: Fleet) -> None:
    words = ("--nnodes", "2", "--nproc-per-node", "1", "--checkpoint-memory", "64MiB")
    job = fleet.submit(*words, str(SCRIPTS / "remembers.py"))
    view = fleet.until_stepping(job)
    before = vault_pids(fleet, job)
    assert all(before)
    for node, pid in zip(NODES, before, strict=True):
        group = fleet.exec(node, "cat", f"/proc/{pid}/cgroup").strip()
        assert group.endswith(f"/dlroverd-main-j{job}.slice/{unit(job)}")
        # The kernel of this bed may not allow it.
        assert fleet.exec(node, "systemctl", "show", "--value", "-p", "OOMScoreAdjust", unit(job)).strip() == "-500"

    ((first, _), rank), *_ = sorted(fleet.ranks(job).items())
    reached = view.roles[0].gangs[0].step
    fleet.exec(first, "kill", "-KILL", str(rank.pid))
    fleet.until_stepping(job, 2)
    assert min(found(fleet, job, 2)) >= reached > 0
    assert vault_pids(fleet, job) == before

    fleet.exec("node1", "systemctl", "restart", AGENT)
    killed = fleet.main_pid("node2", AGENT)
    fleet.exec("node2", "systemctl", "kill", "-s", "KILL", "--kill-whom=main", AGENT)
    until(lambda: fleet.main_pid("node2", AGENT), lambda pid: pid not in (0, killed))
    fleet.exec("node2", "systemctl", "start", AGENT)  # returns once it has found what runs
    assert vault_pids(fleet, job) == before

    fleet.client.cancel(job)
    fleet.until_over(job)
    for node in NODES:
        until(partial(of_vaults, fleet, node), lambda left: not left)
