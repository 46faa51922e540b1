"""Faults that hang a gang, and pauses that do not: is the right rank named, how soon, and is nothing else accused.

Real jobs of four ranks over gloo, on two nodes each (`tests/system/scripts/hanging.py`), several at once under one
daemon. A trial draws a victim at random and seeds one fault; what the daemon's log says then is held against it. Faults
that end when told are seeded into a job that is only observed, so that one job serves for many trials; the missed
collective, which breaks its group for good, and all pauses into jobs that would be restarted (`act`). Latency runs from
the order to the rank, to the verdict. A pause is as long as `--pause` times the least budget of a step, so that each
would be a hang by the clock alone. `hog`, a rank that a busy CPU slows down, is `benchmarks/stragglers.py`, in a job of
its own afterwards. A slow link needs hosts with links of their own: `benchmarks/slow_link.py`.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figure, show
from stragglers import in_jobs

from dlroverd.client import Client
from dlroverd.config.durations import parse_duration
from tests.system import fleet as system
from tests.system.fleet import SCRIPTS, Fleet, gang, pids

HANGS = ("stop", "spin", "read", "wait", "loader", "skip")
PAUSES = (
    *("save", "save_told", "evaluate", "evaluate_told", "evaluate_all", "compile", "compile_all", "idle_told"),
    "first_step",
)
HOG = "hog"
KINDS = (*HANGS, *PAUSES, HOG)
TEXTS = {
    "stop": "stopped by SIGSTOP",
    "spin": "spins in user code",
    "read": "blocked on I/O",
    "wait": "never gets to the collective",
    "loader": "stuck data loader",
    "skip": "in another collective",
}
RANKS, STEP_S = 4, 0.2
# A target of issue 7: named within 30 s, or five times the 99th percentile of a step.
LIMIT_S, RIGHT, PATIENCE_S = 30.0, 0.95, 90.0
# Nine kinds of these are more than the hundred that the issue asks for.
MOST_PAUSES = 12
system.DEADLINE_S = 180.0


@dataclass(slots=True)
class Outcome:
    """What came of the trials of one kind."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: int = 0
    latencies_s: list[float] = field(default_factory=list)
    suspected: int = 0

    @property
    def trials(self) -> int:
        """How many there were."""
        return self.right + len(self.wrong) + self.missed


class Lane:
    """One job, and the trials made with it, one after the other."""

    def __init__(self, fleet: Fleet, stage: str, number: int, floor: str) -> None:
        """Submit the job."""
        self.stage = stage
        self.client = Client(fleet.address, timeout_s=60.0)
        self.folder = fleet.root / f"lane{number}"
        self.folder.mkdir()
        file = fleet.root / f"lane{number}.yaml"
        content = {
            "script": str(SCRIPTS / "hanging.py"),
            "python": sys.executable,
            "args": [str(self.folder), str(STEP_S)],
            "nnodes": 2,
            "nproc_per_node": 2,
            "max_restarts": 100_000,
            "no_progress_restarts": 0,
            # Given, not learnt: after one pause that was no hang the next would not even be suspected.
            "hangs": {"stage": stage, "step": floor},
        }
        file.write_text(json.dumps(content))
        self.job = int(fleet.ctl("submit", "--parsable", "-f", str(file)).stdout)
        self.orders = 0

    def ready(self, settle_s: float) -> None:
        """Wait until it trains, and has for so long that its steps are known."""
        system.until(lambda: self.client.job(self.job), self._steps)
        step = self._step()
        system.until(self._step, lambda now: now > step + settle_s / STEP_S)

    def order(self, kind: str, rank: int, for_s: float) -> float:
        """Seed a fault; when."""
        self.orders += 1
        new = self.folder / "order.new"
        new.write_text(json.dumps({"id": self.orders, "kind": kind, "rank": rank, "for_s": for_s}))
        new.rename(self.folder / "order")
        return time.time()

    def release(self, kind: str, rank: int) -> None:
        """Let what hangs go on."""
        (self.folder / f"over-{self.orders}").touch()
        fifo = self.folder / f"fifo-{self.orders}"
        if fifo.exists():
            try:
                descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
                os.write(descriptor, b"x")
                os.close(descriptor)
            except OSError:
                pass  # its reader was stopped meanwhile
        if kind == "stop":
            os.kill(pids(self.client.job(self.job))[rank], signal.SIGCONT)

    def said(self, after: int) -> Iterator[tuple[int, str, float, dict[str, Any]]]:
        """Give what the log says of hangs of this job after a position."""
        names = ("hang_suspected", "hang_judged", "hang_ended")
        for event in self.client.events(after=after, job=self.job, names=names):
            yield event.position, event.name, event.time, json.loads(event.body)

    def hang(self, kind: str, outcome: Outcome) -> None:
        """Make one trial of a fault."""
        rank, after = random.randrange(RANKS), self.client.info().position
        round_ = gang(self.client.job(self.job)).round
        began = self.order(kind, rank, 0.0)
        verdict: dict[str, Any] | None = None
        while verdict is None and time.time() < began + PATIENCE_S:
            time.sleep(0.2)
            for position, name, at, body in self.said(after):
                after = position
                if name == "hang_judged" and body["verdict"]["hung"]:
                    verdict = body["verdict"]
                    latency_s = at - began
        if verdict is None:
            outcome.missed += 1
        elif [key["rank"] for key in verdict["ranks"]] == [rank]:
            outcome.right += 1
            outcome.latencies_s.append(latency_s)
        else:
            outcome.wrong.append(f"rank {rank}: {verdict['sentence']}")
        self.release(kind, rank)
        if kind == "skip":
            if verdict is None or not verdict["ranks"] or verdict["confidence"] < 0.8:
                self.client.restart(self.job)
            system.until(lambda: gang(self.client.job(self.job)), lambda seen: seen.round > round_ and seen.step >= 0)
        self.ready(4.0)

    def pause(self, kind: str, outcome: Outcome, for_s: float) -> None:
        """Make one trial of a pause; what is said of a hang until it trains again is wrong."""
        after = self.client.info().position
        before = self.client.job(self.job)
        restarts = 0
        if kind == "first_step":
            (self.folder / "slow").write_text(str(for_s))
            self.client.restart(self.job)
            restarts = 1
            system.until(lambda: gang(self.client.job(self.job)).round, lambda now: now > gang(before).round)
        else:
            self.order(kind, random.randrange(RANKS), for_s)
            time.sleep(for_s)
        self.ready(4.0)
        (self.folder / "slow").unlink(missing_ok=True)
        said = list(self.said(after))
        outcome.suspected += any(name == "hang_suspected" for _, name, _, _ in said)
        wrong = [b["verdict"]["sentence"] for _, name, _, b in said if name == "hang_judged" and b["verdict"]["hung"]]
        if self.client.job(self.job).restarts > before.restarts + restarts:
            wrong.append("it was restarted")
        if wrong:
            outcome.wrong.append("; ".join(wrong))
        else:
            outcome.right += 1

    def _steps(self, view: Any) -> bool:
        return bool(view.state == "running" and gang(view).step >= 0)

    def _step(self) -> int:
        return int(gang(self.client.job(self.job)).step)


def run(options: argparse.Namespace, hangs: list[str], pauses: list[str]) -> dict[str, Outcome]:
    """Make all trials, each lane what it is next for."""
    outcomes = {kind: Outcome() for kind in (*hangs, *pauses)}
    observed = [kind for kind in hangs if kind != "skip" for _ in range(options.trials)]
    acted = [kind for kind in hangs if kind == "skip" for _ in range(options.trials)]
    acted += [kind for kind in pauses for _ in range(options.pauses)]
    random.shuffle(observed)
    random.shuffle(acted)
    floor_s = parse_duration(options.floor)
    with tempfile.TemporaryDirectory() as folder:
        daemon: dict[str, object] = {"hangs": {"step_floor": options.floor, "floor": options.floor}}
        fleet = Fleet(Path(folder), daemon=daemon)
        fleet.start(2 * options.lanes, 2)
        lock, problems = threading.Lock(), []

        def work(lane: Lane, left: list[str]) -> None:
            try:
                lane.ready(15.0)
                while True:
                    with lock:
                        if not left:
                            break
                        kind = left.pop()
                    if kind in pauses:
                        lane.pause(kind, outcomes[kind], options.pause * floor_s)
                    else:
                        lane.hang(kind, outcomes[kind])
                    print(f"{lane.stage} {kind}: {asdict(outcomes[kind])}", file=sys.stderr, flush=True)
            except BaseException as error:  # noqa: BLE001 - told at the end
                problems.append(error)

        try:
            shares = share(options.lanes, len(observed), len(acted))
            lanes = [Lane(fleet, stage, number, options.floor) for number, stage in enumerate(shares)]
            threads = [
                threading.Thread(target=work, args=(lane, observed if lane.stage == "observe" else acted))
                for lane in lanes
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            fleet.close()
    if problems:
        raise problems[0]
    return outcomes


def share(lanes: int, observed: int, acted: int) -> list[str]:
    """Divide the lanes between jobs that are observed and those that are acted on."""
    if not observed or not acted:
        return ["observe" if observed else "act"] * lanes
    of_observed = min(max(1, round(lanes * observed / (observed + acted))), max(1, lanes - 1))
    return ["observe"] * of_observed + ["act"] * max(1, lanes - of_observed)


def figures(outcomes: dict[str, Outcome]) -> Iterator[Figure]:
    """Make figures of what came out: wrong shares beside what the issue allows, and the longest latency."""
    for kind in HANGS:
        if kind in outcomes and (of := outcomes[kind]).trials:
            wrong = 1 - of.right / of.trials
            name = f"{TEXTS[kind]}: not named, or another rank [share]"
            yield _figure(name, wrong, 1 - RIGHT, [wrong], of.trials)
            if of.latencies_s:
                worst = max(of.latencies_s)
                yield _figure(f"{TEXTS[kind]}: named after [s]", worst, LIMIT_S, of.latencies_s, of.right)
    negatives = [outcomes[kind] for kind in PAUSES if kind in outcomes]
    if trials := sum(of.trials for of in negatives):
        wrong = float(sum(len(of.wrong) for of in negatives))
        yield _figure("pauses that are no hang: wrong verdicts", wrong, 0.0, [wrong], trials)


def _figure(metric: str, ours: float, limit: float, samples: list[float], runs: int) -> Figure:
    return Figure(
        metric=metric,
        ours=round(ours, 3),
        against="limit",
        other=limit,
        ratio=round(ours / limit, 3) if limit else ours,
        target=1.0 if limit else 0.0,
        met=ours <= limit,
        runs=runs,
        min=round(min(samples), 3),
        max=round(max(samples), 3),
    )


def table(outcomes: dict[str, Outcome]) -> Iterator[str]:
    """Show each kind on a line."""
    yield f"{'kind':<14}{'n':>4}{'right':>7}{'wrong':>7}{'missed':>8}{'median s':>10}{'max s':>8}{'suspected':>11}"
    for kind, of in outcomes.items():
        middle = f"{median(of.latencies_s):.1f}" if of.latencies_s else "-"
        most = f"{max(of.latencies_s):.1f}" if of.latencies_s else "-"
        suspected = str(of.suspected) if kind in PAUSES else "-"
        counts = f"{of.trials:>4}{of.right:>7}{len(of.wrong):>7}{of.missed:>8}"
        yield f"{kind:<14}{counts}{middle:>10}{most:>8}{suspected:>11}"
    for kind, of in outcomes.items():
        for text, count in Counter(of.wrong).items():
            yield f"wrong, {kind}{f' ({count} times)' if count > 1 else ''}: {text}"


def main() -> None:
    """Print the table, or one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="of each kind of fault")
    parser.add_argument("--pauses", type=int, help="of each kind of pause; as many as trials, and 12 at the most")
    parser.add_argument("--lanes", type=int, default=2, help="jobs at once")
    parser.add_argument("--floor", default="10s", help="the least budget of a step (hangs.step_floor)")
    parser.add_argument("--pause", type=float, default=2.0, help="how long a pause is, in least budgets")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which of them")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    random.seed(seed)
    print(f"# seed {seed}", file=sys.stderr)
    if options.pauses is None:
        options.pauses = min(options.trials, MOST_PAUSES)
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - {*KINDS}:
        parser.error(f"there is no kind {', '.join(sorted(unknown))}; use {', '.join(KINDS)}")
    hangs, pauses = ([each for each in of if each in kinds] for of in (HANGS, PAUSES))
    outcomes = run(options, hangs, pauses) if hangs or pauses else {}
    for line in table(outcomes):
        print(line, file=sys.stderr, flush=True)
    for figure in figures(outcomes):
        show(figure, as_json=options.json)
    if HOG in kinds:
        in_jobs([HOG], options.trials, seed, as_json=options.json)


if __name__ == "__main__":
    main()
