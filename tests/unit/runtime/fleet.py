"""A small fleet that the runtime's tests drive through the core, input by input."""

from collections.abc import Iterator

from dlroverd.core.desired import desired
from dlroverd.core.passes import requests
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.fault import ExitInfo
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeFacts
from dlroverd.model.place import place
from dlroverd.model.world import Held, Observed, RankObservation

NODES = ("n1", "n2")


def spec(name: str = "job", *, ranks: int = 2) -> JobSpec:
    """Make a job of one gang on one node."""
    role = RoleSpec(argv=("/bin/true",), cwd="/", env={"B": "2", "A": "1"}, nproc_per_node=ranks)
    return JobSpec(name=name, user=User(uid=1, gid=1, name="me"), roles=(role,))


def hello(node: str, *, slots: int = 4) -> inp.NodeHello:
    """Make a node's first word."""
    facts = NodeFacts(hostname=node, address=node, cpus=slots, memory_bytes=1, slots=slots)
    return inp.NodeHello(
        node=node, boot_id="b", facts=facts, log_id="", position=0, observed=Observed(version=0), held=Held()
    )


def answer(state: State) -> Iterator[inp.Input]:
    """Answer the open question, as the scheduler would."""
    for job in list(state.placing):
        found = place(state.free, requests.request(state, job, Limits()))
        yield inp.PlacementAnswered(job=job, question=state.jobs[job].question, answer=found)


def report(state: State, node: str, rank_state: RankState, exit_: ExitInfo | None = None) -> inp.NodeReport:
    """Have a node report all ranks it should run as being in one state; stopped ones are gone."""
    wanted = desired(state, node)
    ranks = [
        RankObservation(key=key, state=rank_state, pid=7, exit=exit_)
        for assignment in wanted.assignments
        for key in assignment.ranks()
    ]
    return inp.NodeReport(node=node, observed=Observed(version=1, position=wanted.position, ranks=tuple(ranks)))


def story(state: State) -> Iterator[inp.Input]:
    """Tell what happens to three jobs, one after the other, each input made from the state of now."""
    yield from map(hello, NODES)
    for number in range(3):
        yield inp.Submit(request_id=f"r{number}", spec=spec(f"job-{number}"))
        yield from answer(state)
    for node in NODES:
        yield report(state, node, RankState.RUNNING)
    yield report(state, "n1", RankState.GONE, ExitInfo(exited_at=1.0, code=1))
    yield report(state, "n1", RankState.GONE, ExitInfo(exited_at=1.0, code=1))
    yield from answer(state)
    yield inp.Cancel(request_id="c", job=1, actor="me")
    yield inp.NodeSilent(node="n2")
    for node in NODES:
        yield report(state, node, RankState.GONE, ExitInfo(exited_at=2.0, code=0))
