"""What one input costs, decided and applied, and with the log, at 10, 1,000 and 10,000 nodes.

The mix is a job's life: submitted, placed, its two ranks seen running, one killed, both gone, a new round, finished.
Nothing of it depends on the size of the fleet, so neither should its cost. Beats are no inputs and are not here.
Runs of all sizes take turns, and CPU time is counted: a busy neighbour hits all of them alike.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figures import compare, show

from dlroverd.core.desired import desired
from dlroverd.core.handle import Decision, handle
from dlroverd.core.passes import requests
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, JobState, RankState, RoleSpec, User
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeFacts
from dlroverd.model.place import place
from dlroverd.model.world import Held, Observed, RankObservation
from dlroverd.runtime import codec
from dlroverd.store.interface import Record
from dlroverd.store.sqlite import SqliteStore

SIZES = (10, 1_000, 10_000)
TARGET = 1.5
_SPEC = JobSpec(
    name="a",
    user=User(uid=1000, gid=1000, name="ann"),
    roles=(RoleSpec(argv=("/usr/bin/python3", "train.py"), cwd="/", nproc_per_node=2),),
)

Keep = Callable[[Decision], None]


class Fleet:
    """A state with many nodes, a quarter of them full, through which jobs pass."""

    def __init__(self, nodes: int, keep: Keep) -> None:
        self.inputs = 0
        self._state = State("bench")
        self._now = 1000.0
        self._limits = Limits(job_retention_s=1.0)
        self._keep: Keep = lambda _decision: None
        for number in range(nodes):
            name = f"n{number:05}"
            facts = NodeFacts(hostname=name, address=name, cpus=4, memory_bytes=1, slots=4)
            blank = Observed(version=1)
            self._take(
                inp.NodeHello(node=name, boot_id="b", facts=facts, log_id="", position=0, observed=blank, held=Held())
            )
        for number in range(nodes // 4 * 2):  # an even number: they fill nodes, and what comes has one to itself
            self._run(*self._place(f"busy-{number}"))
        self._keep, self.inputs = keep, 0

    def live(self, request: str) -> None:
        """One job from submit to its end."""
        key, node = self._place(request)
        self._report(key, node, 1, RankState.RUNNING)
        killed = ExitInfo(exited_at=self._now, signal=9)
        self._report(key, node, 1, RankState.EXITED, killed)
        self._report(key, node, 1, RankState.GONE, killed)
        self._report(key, node, 2, RankState.RUNNING)
        self._report(key, node, 2, RankState.GONE, ExitInfo(exited_at=self._now, code=0))
        self._report(key, node)
        if self._state.jobs[key.job].state is not JobState.SUCCEEDED:
            raise AssertionError(f"job {key.job} is {self._state.jobs[key.job].state}")

    def _place(self, request: str) -> tuple[GangKey, str]:
        decision = self._take(inp.Submit(request_id=request, spec=_SPEC))
        job = decision.questions[0]
        answer = place(self._state.free, requests.request(self._state, job, Limits()))
        question = self._state.jobs[job].question
        self._take(inp.PlacementAnswered(job=job, question=question, answer=answer))
        gang = self._state.gangs_of(job)[0]
        return gang.key, gang.nodes[0]

    def _run(self, key: GangKey, node: str) -> None:
        """Have a job that stays seen running, beside the one that its node may run already."""
        keys = [gang.at(1).rank(rank) for gang in sorted(self._state.node_gangs[node]) for rank in (0, 1)]
        ranks = tuple(RankObservation(key=each, state=RankState.RUNNING, pid=7) for each in keys)
        self._take(inp.NodeReport(node=node, observed=Observed(version=1, ranks=ranks)))
        if self._state.jobs[key.job].state is not JobState.RUNNING:
            raise AssertionError(f"job {key.job} is {self._state.jobs[key.job].state}")

    def _report(
        self, key: GangKey, node: str, round_: int = 0, state: RankState = RankState.GONE, exit_: ExitInfo | None = None
    ) -> None:
        """The node lists the ranks of a round; of none, once it has applied that the job is over."""
        ranks = tuple(
            RankObservation(key=key.at(round_).rank(number), state=state, pid=7, exit=exit_)
            for number in (0, 1)
            if round_
        )
        observed = Observed(version=1, position=self._state.m.position, ranks=ranks)
        self._take(inp.NodeReport(node=node, observed=observed))

    def _take(self, item: inp.Input) -> Decision:
        self._now += 0.01
        self.inputs += 1
        decision = handle(self._state, (item,), self._now, self._limits)
        for node in decision.dirty_nodes:
            desired(self._state, node)
        self._keep(decision)
        return decision


def measure(fleet: Fleet, lives: int, run: int) -> float:
    """Microseconds of CPU time an input."""
    before, began = fleet.inputs, time.process_time()
    for number in range(lives):
        fleet.live(f"run-{run}-{number}")
    return (time.process_time() - began) / (fleet.inputs - before) * 1e6


def logged(directory: Path) -> Keep:
    store = SqliteStore(directory, reserve_bytes=1 << 20)
    position = 0

    def keep(decision: Decision) -> None:
        nonlocal position
        if decision.events:
            position += 1
            inputs, events = codec.INPUTS.encode(decision.inputs), codec.EVENTS.encode(decision.events)
            store.append([Record(position, decision.now, inputs, events)])

    return keep


def compare_sizes(metric: str, fleets: dict[int, Fleet], lives: int, runs: int, *, as_json: bool) -> None:
    samples: dict[int, list[float]] = {size: [] for size in fleets}
    for run in range(runs + 1):
        for size, fleet in fleets.items():
            cost = measure(fleet, lives, run)
            if run:  # the first one warms up
                samples[size].append(cost)
    smallest = min(fleets)
    for size in sorted(fleets):
        target = TARGET if size == max(fleets) else None
        figure = compare(
            f"{metric}, {size} nodes, us/input", samples[size], f"{smallest} nodes", samples[smallest], target
        )
        show(figure, as_json=as_json)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    decided = {size: Fleet(size, lambda _decision: None) for size in SIZES}
    compare_sizes("core: handle and apply", decided, 200, asked.runs, as_json=asked.json)
    with tempfile.TemporaryDirectory() as folder:
        durable = {}
        for size in SIZES:
            directory = Path(folder) / str(size)
            directory.mkdir(0o700)
            durable[size] = Fleet(size, logged(directory))
        compare_sizes("core and log: one sync each", durable, 30, asked.runs, as_json=asked.json)


if __name__ == "__main__":
    main()
