"""What is true of checkpoints after every turn: promises about one job, as those in invariants.py."""

from collections.abc import Iterator

from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model.ids import GangKey


def nobody_saves_for_no_stop(state: State, job: JobRecord) -> Iterator[str]:
    """Ranks are asked to save only while a stop of their job is planned: a number left behind would be in the past."""
    for gang in state.gangs_of(job.id):
        if gang.ask >= 0 and gang.state in LIVE_GANG and job.plan is None:
            yield f"{gang.key} is asked to save at step {gang.ask}, and no stop of job {job.id} is planned"


def commits_go_forward(state: State, job: JobRecord) -> Iterator[str]:
    """Of a gang's checkpoints no newer one is of an older round, and none is there twice."""
    newest: dict[GangKey, int] = {}
    commits = state.commits.get(job.id, ())
    for each in commits:
        if each.round.round < newest.setdefault(each.round.gang_key, each.round.round):
            yield f"step {each.step} of {each.round} was committed after one of round {newest[each.round.gang_key]}"
        newest[each.round.gang_key] = each.round.round
    if len({(each.place, each.save) for each in commits}) != len(commits):
        yield f"job {job.id} has a checkpoint twice"
