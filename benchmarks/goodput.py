"""Goodput of one job over all hosts but the spares, at 64 and 2,048 hosts, beside torchrun with Slurm.

The faults are drawn from published rates, the same for both, with fresh hosts for broken ones: ours by the simulator
with the real cores, the other by the rules of torchrun and Slurm (dlroverd/testing/simulator/baseline.py). What a
restart costs besides is the same for both, and read from examples/sim/goodput-64.yaml and goodput-2048.yaml, which
name the sources. A figure of ours is met when it is not below its target.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from figures import compare, show

from dlroverd.testing.simulator import scenario as files
from dlroverd.testing.simulator.baseline import Baseline
from dlroverd.testing.simulator.fleet import Fleet

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "sim"
TARGETS = {64: 0.999, 2048: 0.97}


def measure(hosts: int, days: float, seeds: Sequence[int], preset: str) -> tuple[list[float], list[float]]:
    ours, theirs = [], []
    for seed in seeds:
        scenario = files.read(str(EXAMPLES / f"goodput-{hosts}.yaml"), days=days, seed=seed)
        faults = scenario.faults.model_copy(update={"preset": preset})
        scenario = scenario.model_copy(update={"faults": faults})
        fleet = Fleet(scenario)
        theirs.append(Baseline(scenario, fleet.inventory).run(fleet.faults).productive)
        ours.append(fleet.run().goodput.productive)
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--runs", type=int, default=3, help="seeds")
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--hosts", type=int, choices=sorted(TARGETS), action="append", help="only so many; repeatable")
    parser.add_argument("--preset", default="meta-rsc", help="whose failure rates")
    asked = parser.parse_args()
    for hosts in asked.hosts or sorted(TARGETS):
        ours, theirs = measure(hosts, asked.days, range(1, asked.runs + 1), asked.preset)
        metric = f"goodput, {hosts} hosts, {asked.days:g} days, {asked.preset}"
        figure = compare(metric, ours, "torchrun with Slurm", theirs)
        target = TARGETS[hosts]
        show(replace(figure, target=target, met=median(ours) >= target), as_json=asked.json)


if __name__ == "__main__":
    main()
