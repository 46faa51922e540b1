"""Histories of a fleet in which some hosts are lemons, lived through by the real core.

Hosts fail as Meta saw them fail (RSC-1: 6.5 failures in 1,000 node-days, ../shared/research/peers.md), lemons 20 to 60
times as often. Jobs of many sizes come and go and keep the fleet full; some are bad and crash wherever they are, and
some of those always in the same rank. The agents here do what they are told at once.
"""

import random
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from dlroverd.core.desired import desired
from dlroverd.core.handle import handle
from dlroverd.core.passes import requests
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.fault import ErrorReport, ExitInfo
from dlroverd.model.hold import AUTOMATION
from dlroverd.model.ids import RankKey
from dlroverd.model.job import JobSpec, JobState, RankState, RoleSpec, User
from dlroverd.model.limits import Limits
from dlroverd.model.node import Device, DeviceObservation, DeviceState, NodeFacts
from dlroverd.model.place import place
from dlroverd.model.world import Held, Observed, RankObservation

NODES, DAYS, LEMONS = 200, 60.0, 0.03
GOOD_PER_DAY = 0.0065
LEMON_TIMES = (20, 60)
BAD_JOBS = 0.15
DAY_S, HOUR_S = 86400.0, 3600.0
_SIZES = ((1, 50), (2, 20), (4, 15), (8, 10), (16, 5))
# What a failing host does: falls silent and comes back rebooted, loses a device, or has a rank die of something.
_WAYS = (("lost", 30), ("device", 20), ("device_error", 20), ("segfault", 20), ("vanished", 10))
# What a job's own mistakes look like; hosts do some of that too.
_CRASHES = (("exit", 30), ("device_crash", 30), ("segfault", 25), ("abort", 10), ("vanished", 5))
_LIMITS = Limits()


@dataclass(frozen=True)
class Verdict:
    """What a history came to: the true lemons, and the nodes that automation took out of use."""

    lemons: frozenset[str]
    quarantined: frozenset[str]


class History:
    """One fleet and its history, from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._state = State("log")
        self._now = 1e9
        self._due: list[tuple[float, int, str, str]] = []
        self._serial = count()
        self._seen: dict[str, dict[RankKey, RankObservation]] = {}
        self._devices: dict[str, tuple[DeviceObservation, ...]] = {}
        self._boots: dict[str, int] = {}
        names = [f"n{number}" for number in range(NODES)]
        self.lemons = frozenset(self._random.sample(names, round(NODES * LEMONS)))
        for name in names:
            self._hello(name)
            rate = GOOD_PER_DAY * (self._random.uniform(*LEMON_TIMES) if name in self.lemons else 1.0)
            self._later(self._random.expovariate(rate) * DAY_S, "fail", f"{name} {rate}")
        for _ in range(NODES // 2):
            self._submit()

    def live(self) -> Verdict:
        """Let it happen, and tell what came of it."""
        end = self._now + DAYS * DAY_S
        while self._due and self._due[0][0] <= end:
            at, _, what, whom = heappop(self._due)
            self._wait(at)
            getattr(self, f"_{what}")(whom)
        held = [node for node in self._state.nodes.values() if any(each.owner == AUTOMATION for each in node.holds)]
        return Verdict(self.lemons, frozenset(node.id for node in held))

    # ---- what happens

    def _fail(self, whom: str) -> None:
        name, rate = whom.split()
        self._later(self._random.expovariate(float(rate)) * DAY_S, "fail", whom)
        way = self._pick(_WAYS)
        ranks = [key for key, seen in self._seen[name].items() if seen.state is RankState.RUNNING]
        if way == "lost":
            self._give(inp.NodeSilent(node=name))
            self._later(11 * 60.0, "return", name)
        elif way == "device":
            lost = DeviceObservation(uuid=f"{name}-gpu", state=DeviceState.LOST, detail="fallen off the bus")
            self._devices[name] = (lost,)
            self._report(name)
            self._later(HOUR_S, "mend", name)
        elif ranks:
            self._die(name, ranks[0], way)

    def _return(self, name: str) -> None:
        self._boots[name] += 1
        self._seen[name] = {}
        self._hello(name)

    def _mend(self, name: str) -> None:
        self._devices[name] = ()
        self._report(name)

    def _submit(self, _: str = "") -> None:
        size = int(self._pick(_SIZES))
        bad = self._random.random() < BAD_JOBS
        role = RoleSpec(argv=("/bin/true",), cwd="/", nodes_min=size, nodes_max=size, nproc_per_node=1)
        spec = JobSpec(name="j", user=User(uid=1, gid=1, name="u"), roles=(role,), max_restarts=5)
        job = self._state.m.next_job
        self._give(inp.Submit(request_id=f"r{job}", spec=spec))
        self._later(self._random.expovariate(1 / (48 * HOUR_S * (1 + size / 4))), "end", str(job))
        rank = self._random.choice(("any", "first")) if bad else "any"
        own = 6.0 if bad else 0.02 * size  # crashes a day, all ranks together
        self._later(self._random.expovariate(own) * DAY_S, "crash", f"{job} {own} {rank}")

    def _end(self, job: str) -> None:
        record = self._state.jobs.get(int(job))
        if record is not None and not record.state.final:
            self._give(inp.Cancel(request_id=f"c{job}", job=int(job), actor="u"))
        self._submit()

    def _crash(self, whom: str) -> None:
        job, own, which = whom.split()
        record = self._state.jobs.get(int(job))
        if record is None or record.state.final:
            return
        self._later(self._random.expovariate(float(own)) * DAY_S, "crash", whom)
        if record.state is JobState.RUNNING:
            ranks = [rank for gang in self._state.gangs_of(int(job)) for rank in self._state.world(gang)]
            rank = ranks[0] if which == "first" else self._random.choice(ranks)
            self._die(rank.node, rank.key, self._pick(_CRASHES))

    def _die(self, name: str, key: RankKey, how: str) -> None:
        blank = ExitInfo(exited_at=self._now)
        exit_ = {
            "segfault": replace(blank, signal=11),
            "vanished": replace(blank, lost="its agent no longer lists it"),
            "device_error": replace(blank, code=1, error=_said("uncorrectable ECC error encountered")),
            "device_crash": replace(blank, code=1, error=_said("an illegal memory access was encountered")),
            "exit": replace(blank, code=3),
            "abort": replace(blank, signal=6),
        }[how]
        self._seen[name][key] = RankObservation(key=key, state=RankState.EXITED, exit=exit_)
        self._report(name)

    # ---- beneath

    def _pick(self, chances: tuple[tuple[object, int], ...]) -> str:
        return str(self._random.choices([each for each, _ in chances], [weight for _, weight in chances])[0])

    def _later(self, after_s: float, what: str, whom: str) -> None:
        heappush(self._due, (self._now + after_s, next(self._serial), what, whom))

    def _wait(self, until: float) -> None:
        while (at := self._state.next_deadline()) is not None and at <= until:
            self._now = max(self._now, at)
            self._give(inp.Tick())
        self._now = max(self._now, until)

    def _hello(self, name: str) -> None:
        self._seen.setdefault(name, {})
        self._boots.setdefault(name, 1)
        device = Device(uuid=f"{name}-gpu", model="H", memory_bytes=1)
        facts = NodeFacts(hostname=name, address=name, cpus=8, memory_bytes=1, slots=1, devices=(device,))
        self._give(
            inp.NodeHello(
                node=name,
                boot_id=f"b{self._boots[name]}",
                facts=facts,
                log_id="log",
                position=0,
                observed=self._observed(name),
                held=Held(),
            )
        )

    def _observed(self, name: str) -> Observed:
        ranks = tuple(self._seen[name][key] for key in sorted(self._seen[name]))
        return Observed(version=1, position=self._state.m.position, ranks=ranks, devices=self._devices.get(name, ()))

    def _report(self, name: str) -> None:
        self._give(inp.NodeReport(node=name, observed=self._observed(name)))

    def _give(self, first: inp.Input) -> None:
        """Hand an input to the core, and do all that follows from it, until nothing does."""
        waiting: list[inp.Input] = [first]
        while waiting:
            decision = handle(self._state, (waiting.pop(0),), self._now, _LIMITS)
            waiting += [
                inp.NodeReport(node=name, observed=self._observed(name))
                for name in decision.dirty_nodes
                if self._obey(name)
            ]
            for job in decision.questions:
                request = requests.request(self._state, job, _LIMITS)
                answer = place(self._state.free, request)
                question = self._state.jobs[job].question
                waiting.append(inp.PlacementAnswered(job=job, question=question, answer=answer))

    def _obey(self, name: str) -> bool:
        """Do what a node is told, at once; whether anything changed."""
        before, wanted = self._seen[name], desired(self._state, name)
        stops = {each.round.gang_key: each.round.round for each in wanted.tombstones}
        after = {
            key: replace(
                seen, state=RankState.GONE, exit=seen.exit or ExitInfo(exited_at=self._now, requested=True, signal=15)
            )
            for key, seen in before.items()
            if key.round <= stops.get(key.gang_key, -1)
        }
        for assignment in wanted.assignments:
            for key in assignment.ranks():
                known = before.get(key)
                after[key] = known or RankObservation(key=key, state=RankState.RUNNING, pid=1)
        self._seen[name] = after
        return after != before or bool(stops)


def _said(what: str) -> ErrorReport:
    text = f"RuntimeError: CUDA error: {what}"
    return ErrorReport(source="traceback", type="RuntimeError", message=text.partition(": ")[2], text=text)
