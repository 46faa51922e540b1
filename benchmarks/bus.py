"""What the event and metrics bus costs, and that it loses nothing; beside DLRover where `--dlrover` names a Python.

Such a Python is made with `python -m venv D && D/bin/pip install --no-deps dlrover`; it is never one of ours.
"""

import argparse
from collections.abc import Callable, Iterator

from bus_digits import beside_training
from bus_kafka import to_sinks
from bus_trainer import in_the_trainer
from figures import Figure, show

PARTS: tuple[Callable[[argparse.Namespace], Iterator[Figure]], ...] = (in_the_trainer, to_sinks, beside_training)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dlrover", metavar="PYTHON", help="a Python with dlrover, for its emitter beside ours")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for part in PARTS:
        for figure in part(options):
            show(figure, as_json=options.json)


if __name__ == "__main__":
    main()
