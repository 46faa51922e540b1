"""A core with nodes and jobs, driven by inputs alone, for tests of what it decides."""

from dlroverd.core.handle import Decision, handle
from dlroverd.core.passes import preempt, requests
from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.fault import ExitInfo
from dlroverd.model.job import JobSpec, JobState, RankState, RoleSpec, User
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeFacts
from dlroverd.model.placement import GangPlacement, NoFit, Placement, Preempt
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.world import Held, Observed, RankObservation


def spec(user: str = "ann", priority: int = 0, project: str = "", **role: object) -> JobSpec:
    """Make a job of one role."""
    trainer = RoleSpec(argv=("/bin/true",), cwd="/", **role)  # type: ignore[arg-type] # fields of RoleSpec
    owner = User(uid=1000, gid=1000, name=user)
    return JobSpec(name="job", user=owner, project=project, priority=priority, roles=(trainer,))


def running_job() -> JobRecord:
    """Give job 1 as it is while it trains."""
    return JobRecord(
        id=1,
        spec=spec(),
        state=JobState.RUNNING,
        reason="",
        since=0.0,
        submitted_at=0.0,
        queued_at=0.0,
        deadline=0.0,
    )


class Desk:
    """One core. Time stands still unless a test moves `now`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.state = State("log1")
        self.limits = limits or Limits()
        self.now = 1000.0
        self._versions = 0

    def turn(self, *items: inp.Input) -> Decision:
        """Hand in inputs."""
        return handle(self.state, items, self.now, self.limits)

    def node(self, name: str, slots: int = 1, **facts: object) -> None:
        """Have a host say hello."""
        known = NodeFacts(hostname=name, address=name, cpus=1, memory_bytes=1, slots=slots, **facts)  # type: ignore[arg-type] # fields of NodeFacts
        seen = Observed(version=0)
        self.turn(inp.NodeHello(node=name, boot_id="b", facts=known, log_id="", position=0, observed=seen, held=Held()))

    def submit(self, wanted: JobSpec) -> int:
        """Submit a job; its number."""
        job = self.state.m.next_job
        self.turn(inp.Submit(request_id=f"r{job}", spec=wanted))
        return job

    def answer(self, answer: Placement | NoFit | Preempt, job: int) -> Decision:
        """Answer the open question about a job."""
        question = self.state.jobs[job].question
        return self.turn(inp.PlacementAnswered(job=job, question=question, answer=answer))

    def place(self, job: int, *nodes: str) -> Decision:
        """Answer with these nodes for its trainer."""
        return self.answer(Placement(gangs=(GangPlacement(role="trainer", gang=0, nodes=nodes),)), job)

    def settle(self) -> None:
        """Answer all open questions by the built-in rule."""
        while self.state.placing:
            job = min(self.state.placing)
            request = requests.request(self.state, job, self.limits)
            running = preempt.candidates(self.state, self.limits, self.state.jobs[job])
            self.answer(place_or_preempt(self.state.free, request, running), job)

    def run(self, job: int) -> None:
        """Have every rank of a job run."""
        self.report(job, RankState.RUNNING, None)
        assert self.state.jobs[job].state is JobState.RUNNING

    def report(self, job: int, state: RankState, exit_: ExitInfo | None) -> None:
        """Have the nodes of a job see all of its ranks in one state."""
        for gang in self.state.gangs_of(job):
            for node in gang.nodes:
                others = [
                    rank
                    for key in sorted(self.state.node_gangs.get(node, ()))
                    for rank in self.state.world(self.state.gangs[key])
                    if rank.node == node and key.job != job
                ]
                seen = [
                    *(RankObservation(key=rank.key, state=rank.state, pid=1, exit=rank.exit) for rank in others),
                    *(
                        RankObservation(key=rank.key, state=state, pid=1, started_at=self.now, exit=exit_)
                        for rank in self.state.world(gang)
                        if rank.node == node
                    ),
                ]
                self._versions += 1
                observed = Observed(version=self._versions, position=self.state.m.position, ranks=tuple(seen))
                self.turn(inp.NodeReport(node=node, observed=observed))
