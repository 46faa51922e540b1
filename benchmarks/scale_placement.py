"""Where a job of 512 nodes goes among 10,000 while 1,000 jobs wait: the core alone, by the rule built in, no log."""

import time
from collections.abc import Iterator

from figures import Figure, within
from scale_agents import SLOTS, node_name

from dlroverd.core.handle import handle
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.job import JobSpec, JobState, RoleSpec, User
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeFacts
from dlroverd.model.world import Held, Observed

NODES, WAITING, WANTED = 10_000, 1_000, 512
# What the daemon gives a scheduler plugin before it decides by itself.
LIMIT_S = 2.0


class Queue:
    """A fleet of which half is free, and jobs that each wait for more than that."""

    def __init__(self) -> None:
        """Have all nodes join, half of them taken, and the queue filled."""
        self._state = State("bench")
        self._limits = Limits(max_jobs=WAITING + 10)
        self._now = 1000.0
        for number in range(NODES):
            name = node_name(number)
            facts = NodeFacts(hostname=name, address=name, cpus=96, memory_bytes=1 << 40, slots=SLOTS)
            self._take(
                inp.NodeHello(
                    node=name,
                    boot_id="b",
                    facts=facts,
                    log_id="",
                    position=0,
                    observed=Observed(version=1),
                    held=Held(),
                )
            )
        self.place(NODES // 2)
        for _ in range(WAITING):
            self._submit(NODES // 2 + 1, priority=0)
            self._settle()

    def place(self, nodes: int) -> tuple[float, int]:
        """Submit a job that comes first, and let its question go unanswered; gives the seconds of both turns.

        Then the core decides by itself, by the rule that the default scheduler has too.
        """
        began = time.process_time()
        job = self._submit(nodes, priority=10)
        if self._state.jobs[job].state is not JobState.PLACING:
            raise AssertionError(f"job {job} is {self._state.jobs[job].state}, not placing")
        self._settle()
        spent = time.process_time() - began
        if self._state.jobs[job].state is not JobState.STARTING:
            raise AssertionError(f"job {job} is {self._state.jobs[job].state}, not starting")
        return spent, job

    def _settle(self) -> None:
        """Let every open question go unanswered."""
        while self._state.placing:
            self._now += self._limits.placing_s
            self._take(inp.Tick())

    def _submit(self, nodes: int, priority: int) -> int:
        role = RoleSpec(argv=("/x",), cwd="/", nodes_min=nodes, nodes_max=nodes, nproc_per_node=SLOTS)
        user = User(uid=1000, gid=1000, name="ann")
        job = self._state.m.next_job
        spec = JobSpec(name="a", user=user, roles=(role,), priority=priority, start_timeout_s=86400.0)
        self._take(inp.Submit(request_id=str(job), spec=spec))
        return job

    def _take(self, item: inp.Input) -> None:
        self._now += 0.001
        handle(self._state, (item,), self._now, self._limits)


def placements(runs: int) -> Iterator[Figure]:
    """Place one job after the other, each among what the one before left."""
    queue = Queue()
    spent = [queue.place(WANTED)[0] for _ in range(runs)]
    yield within(f"{WANTED} nodes among {NODES}, {WAITING} jobs queued: submit to world [CPU s]", spent, LIMIT_S)
