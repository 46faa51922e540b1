"""`python -m dlroverd.testing.simulator chaos|run|trace`: the simulator as a program, which `dlroverctl sim` runs.

Prints JSON, one object a line: of `run`, {"day": ...} as it goes and {"summary": ...} at the end. Exits with 0 if every
check held, 1 with the first that did not, 2 with sentences about what is wrong with a file.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from dlroverd.config.document import ConfigError
from dlroverd.testing.simulator import fleet, scenario, trace
from dlroverd.testing.simulator.checks import Violation
from dlroverd.testing.simulator.scenario import Scenario
from dlroverd.testing.simulator.simulation import Simulation


def main() -> int:
    """Do what the command line says."""
    asked = _parser().parse_args()
    try:
        asked.call(asked)
    except ConfigError as wrong:
        _say(error=str(wrong))
        return 2
    except Violation as broken:
        _say(seed=asked.seed, check=broken.check, broken=str(broken)[:4000])
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dlroverd.testing.simulator", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    chaos = verbs.add_parser("chaos", help="a small fleet in which everything goes wrong at random")
    chaos.add_argument("seed", type=int)
    chaos.add_argument("--nodes", type=int, default=200)
    chaos.add_argument("--jobs", type=int, default=50)
    chaos.add_argument("--hours", type=float, default=0.25, help="how long things go wrong, in virtual time")
    chaos.set_defaults(call=_chaos)
    for name, call, text in (("run", _run, "a scenario's days"), ("trace", _trace, "a scenario's faults, as a file")):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("file")
        verb.add_argument("--seed", type=int)
        verb.add_argument("--days", type=float)
        verb.add_argument("--nodes", type=int, help="of the first group")
        verb.set_defaults(call=call)
        if name == "run":
            verb.add_argument("--exact", action="store_true", help="write and read every record with the real codec")
    return parser


def _chaos(asked: argparse.Namespace) -> None:
    life = Simulation(asked.seed, nodes=asked.nodes, jobs=asked.jobs, hours=asked.hours)
    _say(**asdict(life.run()))


def _read(asked: argparse.Namespace) -> Scenario:
    found = scenario.read(asked.file, days=asked.days, seed=asked.seed, nodes=asked.nodes)
    asked.seed = found.seed
    return found


def _run(asked: argparse.Namespace) -> None:
    found = _read(asked)
    life = fleet.Fleet(found, faults=fleet.load(asked.file, found), exact=asked.exact)
    summary = life.run(lambda day, turns, events: _say(day=day, of=found.days, turns=turns, events=events))
    _say(summary=asdict(summary))


def _trace(asked: argparse.Namespace) -> None:
    sys.stdout.write(trace.write(fleet.load(asked.file, _read(asked))))


def _say(**content: Any) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
