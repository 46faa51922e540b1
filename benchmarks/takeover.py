"""What training notices when its agent, or its daemon, is killed and started again: the longest step beside the median.

Steps are compared within one run: the longest of the three seconds after the kill, and the longest of three seconds
in which nothing happens, each divided by the median step. The start of a Python process on a machine with two cores
is part of it.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import itertools

from figures import compare, show

from tests.system.fleet import Fleet, pids

RANK = str(Path(__file__).with_name("takeover_rank.py"))
WINDOW_S = 3.0
TARGET = 2.0


def longest(notes: Path, since_s: float) -> float:
    """The longest step of the window that begins at `since_s` (monotonic), in medians of all steps."""
    times = [float(line) for line in notes.read_text().splitlines()]
    steps = [(before, after - before) for before, after in itertools.pairwise(times)]
    return max(span for at, span in steps if since_s <= at < since_s + WINDOW_S) / median(span for _, span in steps)


def once(victim: str) -> tuple[float, float]:
    """Kill and start `victim` under a job; gives the longest step after it, and that of a quiet time."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder))
        fleet.start(1, 4)
        try:
            notes = Path(folder) / "notes"
            job = fleet.submit("--nproc-per-node", "2", RANK, str(notes), "100000")
            before = pids(fleet.until_stepping(job))
            time.sleep(1.0)
            quiet_s = time.monotonic()
            time.sleep(WINDOW_S)
            program = fleet.daemon if victim == "daemon" else fleet.agents["n1"]
            killed_s = time.monotonic()
            program.stop(signal.SIGKILL)
            program.start()
            time.sleep(WINDOW_S)
            after = fleet.until_job(job, lambda view: view.state == "running")
            if pids(after) != before or after.restarts:
                raise RuntimeError(f"the job did not survive the kill of its {victim}")
            return longest(notes, killed_s), longest(notes, quiet_s)
        finally:
            fleet.close()


def main() -> None:
    """Print one figure for each victim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for victim in ("agent", "daemon"):
        killed, quiet = zip(*(once(victim) for _ in range(options.runs)), strict=True)
        figure = compare(f"{victim} killed: longest step [medians]", killed, "no kill", quiet)
        show(figure, as_json=options.json)
        within = compare(f"{victim} killed: longest step against the median", killed, "median", (1.0,), TARGET)
        show(within, as_json=options.json)


if __name__ == "__main__":
    main()
