"""Which ranks are told of a stop that is to come, or that it was called off, and at which steps they are to save."""

from collections.abc import Container, Iterable

from dlroverd.model.ids import RankKey
from dlroverd.model.world import Assignment, Held, Saves
from dlroverd_agent.core.actions import Tell, TellSaves

_NONE = Saves()


def changed(before: Held, after: Held, running: Container[RankKey]) -> list[Tell | TellSaves]:
    """Tell the running ranks of each world what is not as it was; a new notice comes with the job's signal."""
    known = {each.round: each for each in before.assignments}
    signals = {each.job: each.spec.notice_signal for each in after.jobs}
    told: list[Tell | TellSaves] = []
    for each in after.assignments:
        was = known.get(each.round)
        # When to save is told first: who hears of a stop may ask at once.
        if (each.saves or _NONE) != ((was.saves if was is not None else None) or _NONE):
            told += [TellSaves(key, each.saves or _NONE) for key in _running(each, running)]
        if each.notice != (was.notice if was is not None else None):
            signal = signals[each.round.job] if each.notice is not None else ""
            told += [Tell(key, each.notice, signal) for key in _running(each, running)]
    return told


def again(held: Held, running: Container[RankKey]) -> list[Tell | TellSaves]:
    """Tell all ranks once more what an earlier life of the agent may not have got to: no signal comes twice."""
    told: list[Tell | TellSaves] = []
    for each in held.assignments:
        for key in _running(each, running):
            told += [TellSaves(key, each.saves)] if each.saves is not None else []
            told += [Tell(key, each.notice, "")] if each.notice is not None else []
    return told


def _running(assignment: Assignment, running: Container[RankKey]) -> Iterable[RankKey]:
    return [key for key in assignment.ranks() if key in running]
