"""The fault trace: what fails, when, and for how long. Made from rates and a seed, or read from a file.

Any two fleets can be put under the same one, which is how ours is compared with another.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import log
from random import Random
from typing import Annotated

from pydantic import Field

from dlroverd.config.document import Document
from dlroverd.config.durations import format_duration, shown
from dlroverd.config.schema import Duration, Section, setting
from dlroverd.config.validation import validate
from dlroverd.config.yaml_source import read_file
from dlroverd.testing.simulator.inventory import Inventory
from dlroverd.testing.simulator.scenario import NODE, SCOPE, FaultKind, Rate, SpreadFields

DAY_S = 86400.0
FLEET = "fleet"
# The quantile of the normal distribution that p90 stands for.
_P90 = 1.2815515655446004


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`target` is a node, or what nodes share, or the fleet; `at_s` counts from the beginning."""

    at_s: float
    kind: FaultKind
    target: str
    repair_s: float


class FaultLine(Section):
    """One line of a trace file."""

    at: Duration = setting(..., "when, from the beginning", example="3h")
    kind: FaultKind = setting(..., "what fails", example="host_crash")
    target: str = setting(FLEET, "the node, or what nodes share", example="h100-00012")
    repair: Duration = setting("10m", "until it is well again", example="2h")


class TraceFile(Section):
    """The whole file."""

    faults: Annotated[list[FaultLine], Field(description="in any order", examples=["[]"])]


def draw(spread: SpreadFields, chance: Random) -> float:
    """Give one time of a spread, in seconds."""
    if spread.p90 is None:
        return spread.median
    return chance.lognormvariate(log(spread.median), log(spread.p90 / spread.median) / _P90)


def generate(
    inventory: Inventory, rates: dict[FaultKind, Rate], chance: Random, *, days: float, lemon_factor: float
) -> list[Fault]:
    """Draw the faults of `days`: each kind comes at random times, lemons the more often by `lemon_factor`.

    The rate of the whole fleet is as if there were no lemons: they take more than their share of it.
    """
    names = list(inventory.machines)
    weights = list(accumulate(lemon_factor if machine.lemon else 1.0 for machine in inventory.machines.values()))
    faults = []
    for kind, rate in sorted(rates.items()):
        own = Random(chance.random())  # noqa: S311 - so that one kind's rate shifts no other's times
        scope = SCOPE.get(kind, NODE)
        things = names if scope == NODE else [FLEET] if scope == FLEET else sorted(inventory.domains.get(scope, ()))
        if not things or not rate.per_day:
            continue
        at_s, mean_s = 0.0, DAY_S / (rate.per_day * len(things))
        while (at_s := at_s + own.expovariate(1.0 / mean_s)) < days * DAY_S:
            target = own.choices(names, cum_weights=weights)[0] if scope == NODE else own.choice(things)
            faults.append(Fault(at_s, kind, target, draw(rate.repair, own)))
    return sorted(faults)


def read(path: str, inventory: Inventory) -> list[Fault]:
    """Read a trace; ConfigError with a sentence for each thing wrong in it."""
    document = read_file(path)
    trace = validate(document, TraceFile)
    for index, line in enumerate(trace.faults):
        _check(line, index, inventory, document)
    return sorted(Fault(line.at, line.kind, line.target, line.repair) for line in trace.faults)


def _check(line: FaultLine, index: int, inventory: Inventory, document: Document) -> None:
    scope = SCOPE.get(line.kind, NODE)
    known = inventory.machines if scope == NODE else (FLEET,) if scope == FLEET else inventory.domains.get(scope, {})
    if line.target not in known:
        some = ", ".join(list(known)[:3]) or f"none: no group of the fleet has {scope} among its domains"
        raise document.error(
            ("faults", index, "target"),
            f"{shown(line.target)} is no {scope} of this fleet, and {line.kind} happens to one; there are {some}",
        )


def write(faults: list[Fault]) -> str:
    """Give a trace as the text of a file."""
    lines = [
        f"  - {{at: {_seconds(fault.at_s)}, kind: {fault.kind}, target: {fault.target}, "
        f"repair: {_seconds(fault.repair_s)}}}"
        for fault in faults
    ]
    return "\n".join(["faults:" if lines else "faults: []", *lines]) + "\n"


def _seconds(time_s: float) -> str:
    return format_duration(round(time_s, 3))
