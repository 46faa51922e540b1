"""Which ranks are told of a stop that is to come, and which that it was called off."""

from collections.abc import Container

from dlroverd.model.ids import RankKey
from dlroverd.model.world import Held
from dlroverd_agent.core.actions import Tell


def changed(before: Held, after: Held, running: Container[RankKey]) -> list[Tell]:
    """Tell the running ranks of each world whose notice is not what it was; a new one comes with the job's signal."""
    known = {each.round: each.notice for each in before.assignments}
    signals = {each.job: each.spec.notice_signal for each in after.jobs}
    return [
        Tell(key, each.notice, signals[key.job] if each.notice is not None else "")
        for each in after.assignments
        if each.notice != known.get(each.round)
        for key in each.ranks()
        if key in running
    ]


def again(held: Held, running: Container[RankKey]) -> list[Tell]:
    """Tell all ranks once more what an earlier life of the agent may not have got to: no signal comes twice."""
    return [
        Tell(key, each.notice, "")
        for each in held.assignments
        if each.notice is not None
        for key in each.ranks()
        if key in running
    ]
