"""When the ranks of a world are to save: at once, since a stop is planned, and how often by themselves.

Ranks are told step numbers, some way ahead of where they are: all of them know by then, and save at the same step.
"""

from dataclasses import replace
from math import ceil

from dlroverd.core import interval
from dlroverd.core.folds.ledgers import ledger_of
from dlroverd.core.records import GangRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.cadence import Basis, Cadence
from dlroverd.model.fault import CauseKind
from dlroverd.model.job import JobState

# How long it takes until all ranks know: what is heard of a step is up to two beats old, a beat being a fifth of
# `unreachable_after_s`, and what is said to the agents takes less than the rest.
_BEATS, _SAYING_S = 0.4, 1.0
# Ranks that were asked and have saved nothing for so long are asked once more.
_AGAIN_S = 60.0
# Nodes are told a new cadence only if it differs by so much, and by more than one step.
_MOVES = 0.2
_LOOKED_BACK = 10
_LEAST_S = 0.001


def ask(turn: Turn, gang: GangRecord, step: int, pace: float) -> None:
    """Have a world, now at `step` with `pace` steps a second, save for the stop that is planned, if one is."""
    job = turn.state.jobs[gang.key.job]
    if job.plan is None or job.plan.stopping or job.state is not JobState.RUNNING:
        return
    saved = gang.checkpoint >= gang.asked
    if gang.ask < 0 or (not saved and step >= gang.ask + pace * _AGAIN_S):
        turn.emit(ev.SaveAsked(round=gang.key.at(gang.round), step=_ahead(turn, step, pace)))


def settle(turn: Turn, gang: GangRecord, step: int, pace: float) -> None:
    """Set how often a world saves, if that is not settled yet, or has moved by much."""
    known, given_s = gang.cadence, turn.state.jobs[gang.key.job].spec.checkpoint_interval_s
    if given_s < 0 or (known is not None and step < known.since):
        return
    basis = None if given_s else _basis(turn, gang)
    interval_s = given_s if basis is None else round(interval.optimum_s(basis.save_s, basis.mtbf_s), 3)
    steps = interval_s * pace
    if known is not None and abs(steps - known.every) <= max(_MOVES * known.every, 1.0):
        return
    every, since = max(1, round(steps)), _ahead(turn, step, pace)
    cadence = Cadence(interval_s=interval_s, every=every, since=since, basis=basis)
    if known is not None:
        due = known.next_due(since)
        since = due if due < since + every else since
        cadence = replace(cadence, since=since, was_every=known.every, was_since=known.since)
    turn.emit(ev.CadenceSet(round=gang.key.at(gang.round), cadence=cadence))


def _ahead(turn: Turn, step: int, pace: float) -> int:
    """Give a step that no rank has got to when all of them know of it: one may be a step ahead of what is known."""
    return step + 1 + ceil(pace * (_BEATS * turn.limits.unreachable_after_s + _SAYING_S))


def _basis(turn: Turn, gang: GangRecord) -> Basis:
    """Take what is known of the job, and of the fleet's hosts."""
    state, job = turn.state, turn.state.jobs[gang.key.job]
    ledger = ledger_of(state, job).as_of(turn.now)
    spent = ledger.time_us
    worked_s = (spent.productive + spent.redone + spent.checkpointing + spent.starting + spent.restarting) / 1e6
    failures = [
        each
        for each in state.incidents_of(job.id)
        if not each.drill and (each.cause is None or each.cause.kind is not CauseKind.REQUESTED)
    ]
    restarts = [each.stepped_at - each.began_at for each in failures[-_LOOKED_BACK:] if each.stepped_at]
    mtbf_s = interval.mtbf_s(state.m.hazard.per_node_s(turn.now), ledger.nodes, len(failures), worked_s)
    return Basis(
        save_s=max(round(gang.saves_s / gang.saves, 6), _LEAST_S) if gang.saves else interval.ASSUMED_SAVE_S,
        mtbf_s=round(mtbf_s, 3),
        restart_s=round(sum(restarts) / len(restarts) if restarts else interval.ASSUMED_RESTART_S, 3),
        save_known=bool(gang.saves),
        restart_known=bool(restarts),
    )
