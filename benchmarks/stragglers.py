"""Stragglers in a real gloo job of four ranks: how soon the right rank is named, and how often a wrong one.

The script is an unchanged DistributedDataParallel loop whose steps are mostly sleep, as if a device worked, and for a
little of their time keep a CPU busy. Each trial draws a rank and has one fault: `hog`, busy processes on the CPU to
which the rank is bound, or `device`, longer sleeps. It ends when the rank is let go again. Before each trial is a quiet
time as long as ten iterations, in which nobody may be named. Readings and looks are taken each second.

On a machine of few CPUs the hogs' CPU is missed by all ranks. So a rank needs little of one, and there are many hogs:
then the rank that is bound to theirs is the slow one, and the others are not, even if something else runs.

Before that, `seeded`: the rule alone on drawn worlds of 4 to 64 ranks with noise, one reading an iteration.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import compare, show, within

from dlroverd.model.view import JobView
from tests.properties.test_stragglers import Telling, case, names
from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until

RANKS = 4
KINDS = ("seeded", "hog", "device")
SLEEP_S, BUSY_S = 0.6, 0.05
ITERATIONS, RIGHT, FALSE = 10.0, 0.95, 0.01
SEEDED = 15
HOGS, HOG = 15, "while True: pass"
MOST_S = 90.0


class Trials:
    """Faults made one after the other in one job."""

    def __init__(self, fleet: Fleet, folder: Path, seed: int) -> None:
        self._fleet = fleet
        self._folder = folder
        self._of = random.Random(seed)
        script = (str(SCRIPTS / "slow_rank.py"), str(folder), "1000000", str(SLEEP_S), str(BUSY_S))
        self._job = fleet.submit("--nnodes", "2", "--nproc-per-node", "2", "--progress", "auto", *script)
        fleet.until_stepping(self._job)
        self.iterations: list[float] = []
        self.seconds: list[float] = []
        self.right: list[float] = []
        self.wrong: list[float] = []

    def quiet(self) -> None:
        """Watch for as long as ten iterations in which nothing is wrong."""
        end, accused = time.monotonic() + ITERATIONS * (SLEEP_S + BUSY_S), False
        while time.monotonic() < end:
            accused |= bool(self._view().diagnoses)
            time.sleep(0.2)
        self.wrong.append(float(accused))

    def trial(self, kind: str) -> None:
        """Make a fault, wait until somebody is named, end it, and wait until nobody is."""
        rank = self._of.randrange(RANKS)
        pid = pids(self._view())[rank]
        stop = self._hog(pid) if kind == "hog" else self._sleep(rank)
        began, step = time.monotonic(), gang(self._view()).step
        try:
            while not (named := self._view().diagnoses) and time.monotonic() < began + MOST_S:
                time.sleep(0.1)
            took, steps = time.monotonic() - began, gang(self._view()).step - step
        finally:
            stop()
        self.right.append(float([each.rank for each in named] == [rank]))
        if named:
            self.seconds.append(took)
            self.iterations.append(float(steps))
        until(self._view, lambda view: not view.diagnoses)

    def _view(self) -> JobView:
        return self._fleet.client.job(self._job)

    def _sleep(self, rank: int) -> Callable[[], None]:
        slow = self._folder / f"slow-{rank}"
        slow.write_text(str(self._of.uniform(0.4, 1.2)))
        return slow.unlink

    def _hog(self, pid: int) -> Callable[[], None]:
        cpu = max(os.sched_getaffinity(0))
        before = {int(task): os.sched_getaffinity(int(task)) for task in os.listdir(f"/proc/{pid}/task")}
        for task in before:
            os.sched_setaffinity(task, {cpu})
        # Each in a session of its own: the kernel shares a CPU between sessions, whatever their processes.
        hogs = [subprocess.Popen([sys.executable, "-c", HOG], start_new_session=True) for _ in range(HOGS)]
        for hog in hogs:
            os.sched_setaffinity(hog.pid, {cpu})

        def stop() -> None:
            for hog in hogs:
                hog.send_signal(signal.SIGKILL)
                hog.wait()
            for task, cpus in before.items():
                os.sched_setaffinity(task, cpus)

        return stop


def seeded(runs: int, seed: int, *, as_json: bool) -> None:
    """Print how the rule does on drawn worlds."""
    iterations, wrong, missed = [], 0, 0
    for number in range(seed, seed + runs):
        drawn = case(number)
        play = Telling(drawn)
        seen = [play.reading(reading) for reading in range(drawn.onset + int(ITERATIONS))]
        after = [at for at, said in enumerate(seen[drawn.onset :], 1) if names(drawn, said)]
        iterations += [float(at) for at in after[:1]]
        missed += not after
        quiet = Telling(case(number, healthy=True))
        said = [quiet.reading(reading) for reading in range(60)]
        wrong += any(said)
    show(
        compare(f"seeded: not the right rank, n={runs} [share]", [missed / runs], "allowed", (1.0 - RIGHT,), 1.0),
        as_json=as_json,
    )
    show(
        compare(f"seeded: accused while healthy, n={runs} [share]", [wrong / runs], "allowed", (FALSE,), 1.0),
        as_json=as_json,
    )
    show(within("seeded: named after [iterations]", iterations, ITERATIONS), as_json=as_json)


def main() -> None:
    """Print the figures of some trials of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kind", choices=KINDS, action="append", help="one of the faults; all when left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print(f"# seed {options.seed}", file=sys.stderr)
    kinds = options.kind or KINDS
    if "seeded" in kinds:
        seeded(SEEDED * options.runs, options.seed, as_json=options.json)
    real = [kind for kind in kinds if kind != "seeded"]
    if real:
        in_jobs(real, options.runs, options.seed, as_json=options.json)


def in_jobs(kinds: list[str], runs: int, seed: int, *, as_json: bool) -> None:
    """Print the figures of so many trials of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder), daemon={"diagnosis": {"interval": "1s"}}, agent={"monitor_interval": "1s"})
        fleet.start(2, 2)
        try:
            wrong: list[float] = []
            for kind in kinds:
                trials = Trials(fleet, Path(folder), seed)
                for _ in range(runs):
                    trials.quiet()
                    trials.trial(kind)
                wrong += trials.wrong
                fleet.end_jobs()
                _show(kind, trials, as_json=as_json)
            share = sum(wrong) / len(wrong)
            show(compare("accused in quiet times [share]", wrong, "none", (0.0,)), as_json=as_json)
            print(f"# {sum(wrong):g} of {len(wrong)} quiet times: {share:.1%}, target {FALSE:.0%}", file=sys.stderr)
        finally:
            fleet.close()


def _show(kind: str, trials: Trials, *, as_json: bool) -> None:
    missed = [1.0 - each for each in trials.right]
    share = sum(missed) / len(missed)
    show(compare(f"{kind}: not the right rank [share]", [share], "allowed", (1.0 - RIGHT,), 1.0), as_json=as_json)
    if not trials.seconds:
        return
    show(within(f"{kind}: named after [iterations]", trials.iterations, ITERATIONS), as_json=as_json)
    show(compare(f"{kind}: named after [s]", trials.seconds, "a step", (SLEEP_S + BUSY_S,)), as_json=as_json)


if __name__ == "__main__":
    main()
