"""Is the first cause right? Seeded crashes of real jobs of four ranks on two nodes, the victim drawn at random.

Kinds: signals, an exception, an exit code, memory that is refused, the kernel's OOM kill (where this machine lets a
control group be made), a full disk, a port of its own that is taken, a node that is lost with all it runs. Each is the
end of one round of a job; what the daemon made of it is right if kind and rank (or node) are, and the culprit is not
among its own victims. A figure is the share that was wrong, against the 5 % that the issue allows; `--seed` draws the
same again, and what was wrong is said on stderr.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from figures import Figure, show

from tests.system import crashes
from tests.system.fleet import Fleet

_ALLOWED = 0.05


def figure(name: str, trials: Sequence[crashes.Trial]) -> Figure:
    """Give the share of trials whose first cause was wrong."""
    wrong = [float(bool(trial.wrong)) for trial in trials]
    share = sum(wrong) / len(wrong)
    return Figure(
        metric=f"first cause wrong ({name})",
        ours=share,
        against="limit",
        other=_ALLOWED,
        ratio=round(share / _ALLOWED, 3),
        target=1.0,
        met=share <= _ALLOWED,
        runs=len(wrong),
        min=min(wrong),
        max=max(wrong),
    )


def main() -> None:
    """Crash, judge, and print a figure for each kind and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20, help="crashes of each kind")
    parser.add_argument("--kinds", nargs="+", choices=crashes.KINDS, default=crashes.kinds_here())
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--rounds", type=int, default=20, help="crashes of each job, at most")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    plan = crashes.in_turn(options.kinds, options.trials, random.Random(options.seed))
    trials: list[crashes.Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        here = Fleet(Path(folder), limits=crashes.LIMITS)
        try:
            here.start(3, 2)
            for at, part in enumerate(crashes.jobs_of(plan, options.rounds)):
                for trial in crashes.crash(here, Path(folder, f"job-{at}"), part, options.python):
                    trials.append(trial)
                    if trial.wrong:
                        print(f"{trial.kind} of rank {trial.victim}: {trial.wrong}", file=sys.stderr, flush=True)
        finally:
            here.close()
    for kind in options.kinds:
        show(figure(kind, [trial for trial in trials if trial.kind == kind]), as_json=options.json)
    show(figure("all", trials), as_json=options.json)


if __name__ == "__main__":
    main()
