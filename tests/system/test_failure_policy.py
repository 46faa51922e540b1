"""What follows a failure, with real daemons, agents and ranks: the user's own rules, and a restart that waits."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.system.fleet import Fleet

Fleets = Callable[..., Fleet]
FILLS_A_DISK = "with open('/dev/full', 'w') as full:\n    full.write('checkpoint')\n"


def submit(here: Fleet, folder: Path, script: str, rules: str) -> int:
    (folder / "train.py").write_text(script)
    file = folder / "job.yaml"
    file.write_text(f"script: train.py\nworkdir: {folder}\npython: {sys.executable}\n{rules}")
    return int(here.ctl("submit", "--parsable", "-f", str(file)).stdout)


def test_a_users_own_rule_ends_the_job_at_once(fleet: Fleets, tmp_path: Path) -> None:
    here = fleet()
    rules = "on_failure:\n  - {exit_code: 5, verdict: process}\n  - {output: 'bad*record', verdict: abort}\n"
    job = submit(here, tmp_path, "import sys\nprint('a bad input record')\nsys.exit(3)\n", rules)

    over = here.until_over(job)

    assert (over.state, over.restarts) == ("failed", 0)
    assert over.reason.endswith("its last line was `a bad input record`; by on_failure rule 2")


def test_a_full_disk_has_the_restart_wait_at_no_cost(fleet: Fleets, tmp_path: Path) -> None:
    here = fleet()
    job = submit(here, tmp_path, FILLS_A_DISK, "max_restarts: 0\n")

    waiting = here.until_job(job, lambda view: view.reason.startswith("waits 30 s before restart"))

    assert (waiting.state, waiting.restarts_in_window) == ("restarting", 0)
    assert "found a disk full (OSError: [Errno 28] No space left on device)" in waiting.reason
    here.ctl("job", "cancel", str(job))
    assert here.until_over(job).state == "cancelled"
