"""Hosts that a run of two loses: how long training stands still, ours and torchrun's, of one script on one fleet.

The rank notes when each step was done, in one file for all rounds and hosts, by the one clock of this machine. The
figure is the longest time between two of them: from the last step of the old world to the first of the new one; up
to the birth of the new world's last process is the launcher's share of it, and the rest is torch's start. A host that
is killed, cut off or frozen says nothing to anyone, no FIN. Cut off from the daemon alone (of torchrun: from its
store), it reaches its peers as before, and nothing would have to happen.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

from figures import Figure, compare
from fleet_hosts import finish, hosts
from fleet_torchrun import TUNED, Torchrun

from tests.fleet.harness import CTL, Fleet
from tests.system.fleet import gang, until

# Training that has not gone on by then is said to stand still for so long.
GIVE_UP_S = 75.0
# How long a fault that costs no step is watched: longer than all limits that are taken here, but for the last resort.
WATCH_S = 30.0
# No restart is as short as this; and it is over when so many steps have followed.
_RESTART_S, _STEPS_AFTER = 0.5, 20
_TORCHRUN_JOINS_S = 5.0
_RANK = str(Path(__file__).with_name("fleet_rank.py"))


@dataclass(frozen=True, slots=True)
class Loss:
    """What happens to a host of a run of `nnodes`; `spare` tells whether there is a third host to go on with."""

    make: Callable[[Fleet, str], None]
    nnodes: str = "2:2"
    spare: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """How long training stood still, and how much of that it took until all new processes were there. Seconds."""

    total: float
    born: float


_LOSSES = {
    "host killed": Loss(lambda fleet, host: fleet.kill(host)),
    "host cut off": Loss(lambda fleet, host: fleet.partition(host)),
    "host frozen": Loss(lambda fleet, host: fleet.freeze(host)),
    "host cut off from the daemon": Loss(lambda fleet, host: fleet.partition(host, peers=[CTL])),
    "host killed, no spare": Loss(lambda fleet, host: fleet.kill(host), nnodes="1:2", spare=False),
}
_SETTINGS: dict[str, tuple[dict[str, str], str]] = {
    "as shipped": ({}, ""),
    "tuned": ({"unreachable_after": "1500ms", "lost_by_peers": "3s", "lost_after": "5s"}, TUNED),
}


def losses(runs: int) -> Iterator[Figure]:
    """Take ours and torchrun's in turn, for each loss, as shipped and with every limit tuned."""
    numbers = count()
    with hosts(3, slots=1) as fleet:
        for settings, (limits, tuning) in _SETTINGS.items():
            fleet.reconfigure(CTL, limits=limits)
            for name, loss in _LOSSES.items():
                mine, theirs = [], []
                for _ in range(runs):
                    notes = [fleet.shared / f"{next(numbers)}.notes" for _ in range(2)]
                    mine.append(_ours(fleet, notes[0], loss))
                    theirs.append(_torchrun(fleet, notes[1], loss, tuning))
                    print(f"{name}, {settings}: ours {mine[-1]}, torchrun {theirs[-1]}", file=sys.stderr)
                gave_up = any(each.total >= GIVE_UP_S for each in theirs)
                other = f"torchrun {settings}{', still at a stand,' if gave_up else ''}"
                totals = [each.total for each in mine], [each.total for each in theirs]
                yield compare(f"{name}: training stands still [s]", totals[0], other, totals[1])
                if all(each.born for each in (*mine, *theirs)):
                    born = [each.born for each in mine], [each.born for each in theirs]
                    yield compare(f"{name}: until new processes [s]", born[0], other, born[1])


def _ours(fleet: Fleet, notes: Path, loss: Loss) -> Pause:
    fleet.settle()
    if not loss.spare:
        fleet.kill(fleet.nodes[2])
        fleet.until_nodes(lambda views: [view.state for view in views].count("ready") == 2)
    words = ("--nnodes", loss.nnodes, "--nproc-per-node", "1", "--env", "OMP_NUM_THREADS=1")
    job = fleet.submit(*words, _RANK, str(notes))
    fleet.until_stepping(job)
    victim = gang(fleet.client.job(job)).ranks[1].node
    try:
        return _pause(notes, lambda: loss.make(fleet, victim))
    finally:
        fleet.mend()
        finish(fleet, job)
        until(lambda: [each for node in fleet.nodes for each in fleet.of_job(node, job)], lambda left: not left)


def _torchrun(fleet: Fleet, notes: Path, loss: Loss, tuning: str) -> Pause:
    fleet.settle()
    first, victim, spare = fleet.nodes
    run = Torchrun(fleet, loss.nnodes, tuning)
    try:
        run.start([first, victim], _RANK, str(notes))
        until(lambda: len(_steps(notes)), lambda steps: steps >= _STEPS_AFTER)
        if loss.spare:
            run.start([spare], _RANK, str(notes))
            time.sleep(_TORCHRUN_JOINS_S)  # it does not say when it waits for a place
        return _pause(notes, lambda: loss.make(fleet, victim))
    finally:
        fleet.mend()
        run.stop()


def _pause(notes: Path, fault: Callable[[], None]) -> Pause:
    """Make a fault under a run, and wait until it has gone on after it, or did not have to stop."""
    until(lambda: len(_steps(notes)), lambda steps: steps >= _STEPS_AFTER)
    before = _steps(notes)[-1]
    began = time.monotonic()
    fault()
    while True:
        now = time.monotonic()
        steps = [at for at in _steps(notes) if at >= before]
        if now > began + GIVE_UP_S and now - steps[-1] > _RESTART_S:
            return Pause(now - steps[-1], 0.0)
        gaps = [(last, next_) for last, next_ in pairwise(steps) if next_ - last > _RESTART_S]
        if gaps and len([at for at in steps if at >= gaps[-1][1]]) > _STEPS_AFTER:
            last, next_ = max(gaps, key=lambda gap: gap[1] - gap[0])
            return Pause(next_ - last, max(at for at in _noted(notes, "born") if at < next_) - last)
        if not gaps and now > began + WATCH_S and now - steps[-1] < _RESTART_S:
            return Pause(max(next_ - last for last, next_ in pairwise(steps)), 0.0)
        time.sleep(0.2)


def _steps(notes: Path) -> list[float]:
    return _noted(notes, "step")


def _noted(notes: Path, what: str) -> list[float]:
    lines = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
    return [float(line[1]) for line in lines if line[0] == what]
