"""The unit files: systemd finds nothing to say against them, and they are as confined as they claim.

And the unit that keeps a job's checkpoint memory, which only the job's end takes away.
"""

import re
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fleet.harness import AGENT, CTL, CTL_PROGRAM, DAEMON, SCRIPTS, Fleet
from tests.system.fleet import ROOT, until

UNITS = ROOT / "systemd"
LOGIN = "dlroverd-login.service"
# What `systemd-analyze security` gives at most; the comment at the head of each file names the figure itself.
EXPOSURE = {DAEMON: 2.0, AGENT: 9.6, LOGIN: 2.0}
NODES = ("node1", "node2")
PLAIN = ("Description", "ExecStart", "Group", "StateDirectoryMode", "Type", "User", "WantedBy")


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def exposure(unit: str) -> float:
    said = analyze("security", "--offline=yes", "--no-pager", str(UNITS / unit))
    found = re.search(r"Overall exposure level for .*: ([\d.]+)", said.stdout)
    assert found, said
    return float(found[1])


def test_systemd_has_nothing_to_say_against_them(tmp_path: Path) -> None:
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.slice")):
        here = path.read_text().replace("ExecStart=/usr/bin/", f"ExecStart={Path(sys.executable).parent}/")
        (tmp_path / path.name).write_text(here)
    said = analyze("verify", "--man=no", *map(str, tmp_path.iterdir()))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", EXPOSURE)
def test_a_unit_is_as_confined_as_it_says(unit: str) -> None:
    figure = exposure(unit)
    assert figure <= EXPOSURE[unit]
    assert f"gives it {figure};" in (UNITS / unit).read_text()


def test_each_line_that_confines_the_daemon_has_its_reason() -> None:
    """A reason stands above a line or a block of them; the first line of each block is what it is about."""
    bare = []
    lines = (UNITS / DAEMON).read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"[A-Z]\w+=", line) and not before:
            bare.append(line)
    assert not bare


def test_a_start_is_over_when_it_serves_and_all_may_call_as_who_they_are(fleet: Fleet) -> None:
    fleet.exec(CTL, "systemctl", "stop", DAEMON)
    fleet.exec(CTL, "systemctl", "start", DAEMON)
    assert fleet.ctl("node", "list").count("node") == len(fleet.nodes)
    shown = fleet.exec(CTL, "systemctl", "show", "-p", "User,MainPID,StatusText", DAEMON)
    assert "User=dlroverd" in shown
    assert "StatusText=serving on unix:///run/dlroverd/dlroverd.sock, tcp://ctl1:7700" in shown
    status = Path(fleet.root(CTL), "proc", str(fleet.main_pid(CTL, DAEMON)), "status").read_text()
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    for user, code in (("root", 0), ("nobody", 1)):
        said = fleet.exec(CTL, "runuser", "-u", user, "--", CTL_PROGRAM, "automation", "resume", code=code)
        assert not said
        fleet.exec(CTL, "runuser", "-u", user, "--", "test", "-w", "/run/dlroverd", code=code)


@pytest.mark.parametrize("unit", [DAEMON, AGENT])
def test_one_that_hangs_is_started_again(fleet: Fleet, unit: str) -> None:
    host = CTL if unit == DAEMON else fleet.nodes[0]
    fleet.override(host, unit, "WatchdogSec=3s")
    fleet.exec(host, "systemctl", "restart", unit)
    before = fleet.main_pid(host, unit)
    fleet.exec(host, "kill", "-STOP", str(before))
    until(lambda: fleet.main_pid(host, unit), lambda pid: pid not in (0, before))
    assert "Watchdog timeout" in fleet.journal(host, unit)
    fleet.until_ready()


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


def test_checkpoint_memory_outlives_ranks_and_agents_and_ends_with_the_job(fleet: Fleet) -> None:
    words = ("--nnodes", "2", "--nproc-per-node", "1", "--checkpoint-memory", "64MiB")
    job = fleet.submit(*words, str(SCRIPTS / "remembers.py"))
    view = fleet.until_stepping(job)
    before = vault_pids(fleet, job)
    assert all(before)
    for node, pid in zip(NODES, before, strict=True):
        group = fleet.exec(node, "cat", f"/proc/{pid}/cgroup").strip()
        assert group.endswith(f"/dlroverd-main-j{job}.slice/{unit(job)}")
        # The kernel of this bed may not allow it.
        shown = fleet.exec(node, "systemctl", "show", "-p", "OOMScoreAdjust,CPUWeight", unit(job))
        assert sorted(shown.split()) == ["CPUWeight=1", "OOMScoreAdjust=-500"]

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
