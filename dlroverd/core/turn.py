"""One turn: events are checked, applied and collected; what they touched is noted for the passes.

Emitting is the only way the core changes its state. An event that the tables forbid raises before anything
changes, and the whole turn is taken back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dlroverd.core import transitions
from dlroverd.core.apply import apply
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState
from dlroverd.model.limits import Limits
from dlroverd.model.plan import PlanKind


@dataclass(frozen=True, slots=True)
class Done:
    """A request was carried out; `job` is the job it is about, 0 if none."""

    job: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was not carried out and changed nothing. `reason` is for machines, `sentence` for people."""

    reason: str
    sentence: str


Outcome = Done | Refused

LIVE_GANG = frozenset({GangState.STARTING, GangState.RUNNING})


class Turn:
    """The events of one record while they come to be."""

    def __init__(self, state: State, now: float, limits: Limits) -> None:
        """Begin at `now` (seconds, never less than the last turn's)."""
        self.state = state
        self.now = now
        self.limits = limits
        self.events: list[ev.Event] = []
        self.dirty_nodes: set[str] = set()
        self.touched_gangs: set[GangKey] = set()
        self.touched_jobs: set[int] = set()
        self.silenced: set[str] = set()

    def emit(self, event: ev.Event) -> None:
        """Check, apply and collect one event; raises IllegalTransitionError and changes nothing."""
        check(self.state, event)
        self.dirty_nodes.update(_desired_changed(self.state, event))
        apply(self.state, event)
        self.dirty_nodes.update(_desired_changed(self.state, event))
        self.events.append(event)

    def touch(self, gang: GangKey) -> None:
        """Have the passes look at a gang, and its job, before the turn ends."""
        self.touched_gangs.add(gang)
        self.touched_jobs.add(gang.job)


def check(state: State, event: ev.Event) -> None:
    """Raise IllegalTransitionError if the lifecycle tables do not know `event` in this state."""
    if isinstance(event, ev.JobMoved):
        _agree(transitions.step(transitions.JOB, state.jobs[event.job].state, event.on), event.to)
    elif isinstance(event, ev.GangMoved):
        _agree(transitions.step(transitions.GANG, state.gangs[event.gang].state, event.on), event.to)
    elif isinstance(event, ev.GangStopping):
        transitions.step(transitions.GANG, state.gangs[event.tombstone.round.gang_key].state, "stopping")
    elif isinstance(event, ev.NodeMoved):
        _agree(transitions.step(transitions.NODE, state.nodes[event.node].state, event.on), event.to)
    elif isinstance(event, ev.RanksSeen):
        for seen in event.ranks:
            before = state.ranks[seen.key].state
            if seen.state is not before:
                transitions.step(transitions.RANK, before, seen.state.value)


def _agree(to: object, wanted: object) -> None:
    if to is not wanted:
        raise transitions.IllegalTransitionError(f"the table leads to {to}, not {wanted}")


def _near_its_limit(state: State, job: int) -> bool:
    """Whether the ranks of a job were told of its time limit: they are not any more once it stops running."""
    plan = state.jobs[job].plan
    return plan is not None and plan.kind is PlanKind.TIME_LIMIT


def _desired_changed(state: State, event: ev.Event) -> Iterable[str]:
    """Nodes whose desired state an event changes; asked before and after it is applied."""
    match event:
        case ev.RanksSeen():  # first, as the most frequent of those that change nothing
            return ()
        case ev.WorldFormed() | ev.WorldCleared() | ev.SaveAsked() | ev.CadenceSet():
            return state.gangs[event.round.gang_key].nodes
        case ev.GangStopping():
            return event.nodes
        case ev.JobMoved() if not _near_its_limit(state, event.job):
            return ()
        case ev.StopPlanned() | ev.StopCalledOff() | ev.JobMoved():
            return [node for gang in state.gangs_of(event.job) if gang.state in LIVE_GANG for node in gang.nodes]
        case ev.GangReleased():
            return state.gangs[event.gang].nodes
        case ev.GangMoved() if event.to not in LIVE_GANG:
            return state.gangs[event.gang].nodes
        case ev.SuspectNamed() | ev.NodeMoved():
            return state.nodes[event.node].askers if event.node in state.nodes else ()
        case ev.NodeHeld() | ev.NodeReleased():
            return (event.node,)
        case ev.StaleRanksSeen() | ev.TombstoneCleared() | ev.NodeAdopted() | ev.NodeJoined() | ev.DrillOrdered():
            return (event.node,)
        case ev.VerdictsGiven() | ev.CheckupAsked() | ev.CheckupEnded():
            return (event.node,)
        case _:
            return ()
