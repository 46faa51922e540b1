"""What follows each kind of cause, as a table, and the sums by which it is judged: what was seen before, and how often.

Sums are taken over the job's incidents of the last `restart_window_s`, drills left out, so they slide with time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dlroverd.core.classify import blames_node
from dlroverd.core.state import State
from dlroverd.model.fault import Cause, CauseKind, Incident

# More restarts than any job sees.
ALWAYS = 1 << 62
# The first restarts after the same failure are at once; then each waits twice as long as the last.
_AT_ONCE = 2
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 600.0
_DISK_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What follows one kind of cause.

    `hopeless`: it is not started again. `once`: a second time in a row without progress fails the job. `free`: how many
    restarts in the window cost the job nothing; after these its budget pays. `how`: how it restarts, for people.
    `unfit`: not on that node; a job that has never run fails instead if it is `told`. `strikes`: after how many faults
    of a node it goes elsewhere, if there is room. `first_wait_s`: a restart waits from the first on. `idle`: says
    nothing about the job's own progress.
    """

    hopeless: bool = False
    once: bool = False
    free: int = 0
    how: str = ""
    unfit: bool = False
    told: bool = False
    strikes: int = 3
    first_wait_s: float = 0.0
    idle: bool = False


_OUTSIDE = Course(free=ALWAYS, idle=True)
_HOPELESS = Course(hopeless=True)
_ONCE = Course(once=True)

# What is not listed restarts in place, and the job's budget pays.
COURSES: dict[CauseKind, Course] = {
    CauseKind.MISSING_SCRIPT: _HOPELESS,
    CauseKind.SYNTAX_ERROR: _HOPELESS,
    CauseKind.IMPORT_ERROR: _HOPELESS,
    CauseKind.BAD_ARGUMENTS: _HOPELESS,
    CauseKind.OUT_OF_MEMORY: _ONCE,
    CauseKind.DEVICE_OUT_OF_MEMORY: _ONCE,
    CauseKind.HOST_LIMIT: _ONCE,
    CauseKind.PERMISSION: _ONCE,
    CauseKind.PORT_TAKEN: Course(free=5, how=" on another port"),
    CauseKind.NETWORK: Course(free=5),
    CauseKind.DEVICE_ERROR: Course(free=5, strikes=1),
    CauseKind.DISK_FULL: Course(free=6, first_wait_s=_DISK_WAIT_S, idle=True),
    CauseKind.NODE_LOST: _OUTSIDE,
    CauseKind.DEVICE_LOST: _OUTSIDE,
    CauseKind.PREEMPTED: _OUTSIDE,
    CauseKind.REQUESTED: _OUTSIDE,
    CauseKind.NO_PATH: Course(free=ALWAYS, unfit=True, idle=True),
    CauseKind.CHECK_FAILED: Course(free=ALWAYS, unfit=True, told=True, idle=True),
    CauseKind.MISMATCH: Course(free=ALWAYS, unfit=True, told=True, idle=True),
}


_DEFAULT = Course()


def course(kind: CauseKind) -> Course:
    """Look up what follows."""
    return COURSES.get(kind, _DEFAULT)


@dataclass(frozen=True, slots=True)
class History:
    """The job's earlier incidents within its window, newest first, and the step that the world of `cause` reached."""

    before: tuple[Incident, ...]
    cause: Cause
    reached: int

    @classmethod
    def of(cls, state: State, job: int, current: Incident, cause: Cause, reached: int) -> "History":
        """Gather what the window holds: what it costs follows from that, not from the job's age."""
        oldest = state.m.now - state.jobs[job].spec.restart_window_s
        return cls(tuple(_earlier(state, job, current.id, oldest)), cause, reached)

    def same_kind(self) -> int:
        """Count earlier incidents of this kind."""
        return sum(each.cause is not None and each.cause.kind is self.cause.kind for each in self.before)

    def again(self, *, once: bool) -> bool:
        """Whether the last world failed just so, and this one got no further: so would the next."""
        last = self.before[0] if self.before else None
        if last is None or last.cause is None or self.reached > last.reached:
            return False
        if once:
            return last.cause.kind is self.cause.kind
        place = _place(self.cause)
        return place is not None and place == _place(last.cause)

    def loop(self) -> int:
        """Count the worlds in a row that ended by this rule before, none having got further than the one before it."""
        count, newer = 0, self.reached
        for each in self.before:
            if each.cause is None or each.cause.rule != self.cause.rule or newer > each.reached:
                break
            count, newer = count + 1, each.reached
        return count

    def wait_s(self) -> float:
        """Say how long the next restart waits."""
        first, loop = course(self.cause.kind).first_wait_s, self.loop()
        if first:
            return min(first * 2.0**loop, _LONGEST_WAIT_S)
        if loop < _AT_ONCE or course(self.cause.kind).free == ALWAYS:
            return 0.0
        return min(_FIRST_WAIT_S * 2.0 ** (loop - _AT_ONCE), _LONGEST_WAIT_S)

    def strikes(self) -> int:
        """Count the faults that may be the node's: those seen on it, or those of this rank on whatever node."""
        if not self.cause.node or not blames_node(self.cause):
            return 0
        suspect = [each.cause for each in self.before if each.cause is not None and blames_node(each.cause)]
        rank, limit = _lineage(self.cause), course(self.cause.kind).strikes
        of_node = 1 + sum(each.node == self.cause.node for each in suspect)
        of_rank = 1 + sum(rank is not None and _lineage(each) == rank for each in suspect)
        # A rank that fails on one node after another moves on after each so many faults, not after each one.
        return of_node if of_rank % limit else max(of_node, limit)


def _earlier(state: State, job: int, current: int, oldest: float) -> Iterator[Incident]:
    for number in range(current - 1, 0, -1):
        incident = state.incidents.get((job, number))
        if incident is None or incident.detected_at < oldest:
            return
        if incident.cause is not None and not incident.drill:
            yield incident


def _place(cause: Cause) -> tuple[str, str, int] | None:
    exit_ = cause.exit
    if exit_ is None:
        return None
    if exit_.error is not None and exit_.error.file and cause.kind is CauseKind.EXCEPTION:
        return (exit_.error.type, exit_.error.file, exit_.error.line)
    return (exit_.launch_error, "", 0) if cause.kind is CauseKind.LAUNCH else None


def _lineage(cause: Cause) -> tuple[str, int, int] | None:
    return (cause.rank.role, cause.rank.gang, cause.rank.rank) if cause.rank is not None else None
