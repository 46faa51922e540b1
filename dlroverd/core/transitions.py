"""The lifecycles, as data: (state, what happened) -> new state.

Nothing else decides which state may follow which. An entry that is not here is illegal: `step` raises and
nothing changes. The diagrams in docs/lifecycles.md are made from these tables (a test compares).
Each state that is not final has a deadline; FOLLOW_UPS says what happens when it passes.
"""

from enum import StrEnum
from typing import TypeVar

from dlroverd.model.job import GangState as G
from dlroverd.model.job import JobState as J
from dlroverd.model.job import RankState as R
from dlroverd.model.node import NodeState as N

S = TypeVar("S", bound=StrEnum)

JOB: dict[tuple[J, str], J] = {
    # The scheduler is asked about the job at the head of the queue.
    (J.QUEUED, "asked"): J.PLACING,
    # Waited longer than its queue_timeout.
    (J.QUEUED, "expired"): J.FAILED,
    (J.QUEUED, "cancelled"): J.CANCELLED,
    (J.QUEUED, "suspended"): J.SUSPENDED,
    # While it waits for nodes some of its gangs may still run (roles that do not join the restart).
    (J.QUEUED, "stop_ordered"): J.STOPPING,
    (J.QUEUED, "fault"): J.RESTARTING,
    (J.PLACING, "placed"): J.STARTING,
    (J.PLACING, "no_room"): J.QUEUED,
    (J.PLACING, "cancelled"): J.CANCELLED,
    (J.PLACING, "suspended"): J.SUSPENDED,
    (J.PLACING, "stop_ordered"): J.STOPPING,
    (J.PLACING, "fault"): J.RESTARTING,
    (J.STARTING, "all_running"): J.RUNNING,
    (J.STARTING, "fault"): J.RESTARTING,
    (J.STARTING, "all_succeeded"): J.SUCCEEDED,
    (J.STARTING, "stop_ordered"): J.STOPPING,
    (J.RUNNING, "fault"): J.RESTARTING,
    (J.RUNNING, "all_succeeded"): J.SUCCEEDED,
    (J.RUNNING, "stop_ordered"): J.STOPPING,
    # A stop on purpose: it makes room, moves, is suspended, or goes on with another number of nodes.
    (J.QUEUED, "planned_stop"): J.RESTARTING,
    (J.PLACING, "planned_stop"): J.RESTARTING,
    (J.STARTING, "planned_stop"): J.RESTARTING,
    (J.RUNNING, "planned_stop"): J.RESTARTING,
    # Some of its gangs had stopped for a fault already.
    (J.RESTARTING, "planned_stop"): J.RESTARTING,
    (J.RESTARTING, "suspended"): J.SUSPENDED,
    (J.SUSPENDED, "resumed"): J.QUEUED,
    (J.SUSPENDED, "cancelled"): J.CANCELLED,
    # The log goes on from an older copy: whether it runs is not known until a node says so.
    (J.QUEUED, "restored"): J.SUSPENDED,
    (J.PLACING, "restored"): J.SUSPENDED,
    (J.STARTING, "restored"): J.SUSPENDED,
    (J.RUNNING, "restored"): J.SUSPENDED,
    (J.RESTARTING, "restored"): J.SUSPENDED,
    (J.SUSPENDED, "found"): J.RUNNING,
    # A restart in place: the same nodes, a new round.
    (J.RESTARTING, "reformed"): J.STARTING,
    # Its nodes are gone or not ready: back to the queue, ahead of all that came later.
    (J.RESTARTING, "needs_nodes"): J.QUEUED,
    (J.RESTARTING, "gave_up"): J.FAILED,
    # It was done before it was told to stop.
    (J.RESTARTING, "all_succeeded"): J.SUCCEEDED,
    # Given up, while gangs that did not join the restart still run.
    (J.RESTARTING, "stop_ordered"): J.STOPPING,
    (J.STOPPING, "succeeded"): J.SUCCEEDED,
    (J.STOPPING, "failed"): J.FAILED,
    (J.STOPPING, "cancelled"): J.CANCELLED,
}

GANG: dict[tuple[G, str], G] = {
    (G.WAITING, "formed"): G.STARTING,
    (G.STOPPED, "formed"): G.STARTING,
    # Its job asked for node checks: what those take is not time in which its ranks could have started.
    (G.STARTING, "checked"): G.STARTING,
    (G.STARTING, "all_running"): G.RUNNING,
    (G.STARTING, "all_succeeded"): G.SUCCEEDED,
    (G.RUNNING, "all_succeeded"): G.SUCCEEDED,
    (G.STARTING, "stopping"): G.STOPPING,
    (G.RUNNING, "stopping"): G.STOPPING,
    # Ordered again, with a shorter grace.
    (G.STOPPING, "stopping"): G.STOPPING,
    (G.STOPPING, "all_gone"): G.STOPPED,
    # It was done before it was told to stop.
    (G.STOPPING, "all_succeeded"): G.SUCCEEDED,
}

RANK: dict[tuple[R, str], R] = {
    # The agent has the rank in hand; assigned may also be skipped in what it reports next.
    (R.ASSIGNED, "starting"): R.STARTING,
    (R.ASSIGNED, "running"): R.RUNNING,
    (R.ASSIGNED, "exited"): R.EXITED,
    # Never started (its world was stopped first, or the launch failed), or ended between two reports.
    (R.ASSIGNED, "gone"): R.GONE,
    (R.STARTING, "running"): R.RUNNING,
    (R.STARTING, "exited"): R.EXITED,
    (R.STARTING, "gone"): R.GONE,
    (R.RUNNING, "exited"): R.EXITED,
    (R.RUNNING, "gone"): R.GONE,
    (R.EXITED, "gone"): R.GONE,
}

NODE: dict[tuple[N, str], N] = {
    (N.JOINING, "ready"): N.READY,
    (N.JOINING, "foreign_log"): N.FOREIGN,
    (N.JOINING, "silent"): N.UNREACHABLE,
    (N.READY, "silent"): N.UNREACHABLE,
    (N.READY, "foreign_log"): N.FOREIGN,
    (N.FOREIGN, "silent"): N.UNREACHABLE,
    # A person said `node adopt`, and the agent follows this log now.
    (N.FOREIGN, "adopted"): N.READY,
    (N.UNREACHABLE, "heard"): N.READY,
    (N.UNREACHABLE, "foreign_log"): N.FOREIGN,
    # Past lost_after, but nothing else says that it is down: the long limit counts.
    (N.UNREACHABLE, "no_second_sign"): N.UNREACHABLE,
    (N.UNREACHABLE, "lost"): N.LOST,
    # A person said that it is down.
    (N.LOST, "confirmed"): N.LOST,
    (N.LOST, "heard"): N.READY,
    (N.LOST, "foreign_log"): N.FOREIGN,
}

# What happens when a state's deadline passes. (STOPPED gangs and final states have none: they wait for nothing.)
FOLLOW_UPS: dict[StrEnum, str] = {
    J.QUEUED: "queue_timeout: the job fails, saying what it waited for",
    J.PLACING: "placing: the built-in rule decides instead of the scheduler plugin",
    J.STARTING: "start_timeout of its gangs: a fault, the world is stopped and formed anew",
    J.RUNNING: "time_limit: the ranks are told, then the job is stopped and fails; else review: still running is noted",
    J.RESTARTING: "stop_margin: the ranks that have not confirmed their stop are named; a restart that waits begins",
    J.SUSPENDED: "review: still suspended is noted; `job resume` ends it",
    J.STOPPING: "stop_margin: the job ends; unconfirmed ranks keep their nodes' slots until seen gone",
    G.WAITING: "the job's queue_timeout",
    G.STARTING: "start_timeout, from the end of the node checks that its job asked for: a fault",
    G.RUNNING: "the job's time_limit or review",
    G.STOPPING: "stop_margin: the ranks that have not confirmed are named; the stop goes on",
    R.ASSIGNED: "its gang's start_timeout",
    R.STARTING: "its gang's start_timeout",
    R.RUNNING: "the job's time_limit or review",
    R.EXITED: "its gang's stop_margin",
    N.JOINING: "ready or foreign in the same turn",
    N.READY: "unreachable_after of silence: unreachable",
    N.FOREIGN: "unreachable_after of silence: unreachable",
    N.UNREACHABLE: "lost_by_peers or lost_after with a second sign, else unreachable_limit: lost",
    N.LOST: "none: a lost node comes back by itself or is left",
}


class IllegalTransitionError(Exception):
    """Something happened that the table of this lifecycle does not know in this state. A bug, never input."""


def step(table: dict[tuple[S, str], S], state: S, on: str) -> S:
    """Look up what follows; raises IllegalTransitionError."""
    try:
        return table[state, on]
    except KeyError:
        raise IllegalTransitionError(f"{type(state).__name__} {state} cannot see {on!r}") from None
