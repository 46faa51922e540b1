"""`python -m dlroverd.testing.simulator SEED`: one simulated life of a fleet, and what came of it."""

import argparse
import json
import sys
from dataclasses import asdict

from dlroverd.testing.simulator.checks import Violation
from dlroverd.testing.simulator.simulation import Simulation


def main() -> int:
    """Run; 0 if every check held, 1 with the name of the first that did not."""
    parser = argparse.ArgumentParser(prog="python -m dlroverd.testing.simulator", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--hours", type=float, default=0.25, help="how long things go wrong, in virtual time")
    asked = parser.parse_args()
    try:
        summary = Simulation(asked.seed, nodes=asked.nodes, jobs=asked.jobs, hours=asked.hours).run()
    except Violation as broken:
        sys.stdout.write(json.dumps({"seed": asked.seed, "check": broken.check, "broken": str(broken)[:4000]}) + "\n")
        return 1
    sys.stdout.write(json.dumps(asdict(summary)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
