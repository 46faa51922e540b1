"""What dlroverd costs and how fast it is on real hosts of the test bed: our units, mutual TLS, the systemd launcher.

Needs root, as tests/fleet does. Every host is on this machine, so all clocks are one and all share its processors.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figure, show
from fleet_losses import losses
from fleet_ranks import checks, exits, starts
from fleet_services import rest, restarts

MEASUREMENTS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "exits": exits,
    "starts": starts,
    "checks": checks,
    "restarts": restarts,
    "rest": rest,
    "losses": losses,
}


def main() -> None:
    """Print the figures of each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    for name in options.only or MEASUREMENTS:
        for figure in MEASUREMENTS[name](options.runs):
            show(figure, as_json=options.json)


if __name__ == "__main__":
    main()
