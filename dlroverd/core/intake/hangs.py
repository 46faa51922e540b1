"""Gangs that make no step: suspected, judged by their stacks, and restarted where that is wanted and sure enough.

A hang has two signs: no step for longer than its budget, which the runtime tells, and what the stacks say. What an
older round did no longer counts.
"""

from dlroverd.core.passes import faults
from dlroverd.core.records import GangRecord
from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.hang import OFF, SURE, HangVerdict
from dlroverd.model.ids import RoundKey
from dlroverd.model.job import GangState, JobState
from dlroverd.model.reputation import AutomationStage


def stalled(turn: Turn, item: inp.GangStalled) -> Outcome:
    """A gang made no step for longer than its budget."""
    gang = _watched(turn, item.round)
    if gang is not None and gang.suspicion is None:
        turn.emit(
            ev.HangSuspected(
                round=item.round, step=item.step, phase=item.phase, quiet_s=item.quiet_s, budget_s=item.budget_s
            )
        )
    return Done()


def judged(turn: Turn, item: inp.HangFound) -> Outcome:
    """The stacks of a suspected gang were looked at: restart it, if it hangs and nothing speaks against that."""
    gang = _watched(turn, item.round)
    if gang is None or gang.suspicion is None or gang.suspicion.verdict is not None:
        return Done()
    stage, verdict = stage_of(turn, gang), item.verdict
    held_back = _held_back(turn, gang, verdict, stage) if verdict.hung else ""
    turn.emit(ev.HangJudged(round=item.round, verdict=verdict, stage=stage, held_back=held_back))
    if verdict.hung and not held_back:
        rank = verdict.ranks[0]
        cause = Cause(
            kind=CauseKind.HANG,
            rule=f"hang.{verdict.kind.value}",
            sentence=f"hang: {verdict.sentence}",
            rank=rank,
            node=verdict.node,
        )
        faults.fail_gang(turn, gang.key, turn.now - gang.suspicion.quiet_s, cause)
    return Done()


def moved_on(turn: Turn, item: inp.GangMovedOn) -> Outcome:
    """A suspected gang makes steps again."""
    gang = _watched(turn, item.round)
    if gang is not None and gang.suspicion is not None:
        turn.emit(ev.HangEnded(round=item.round, step=item.step))
    return Done()


def stage_of(turn: Turn, gang: GangRecord) -> AutomationStage:
    """Give how far automation goes with a gang that hangs: as its job says, else as the fleet does."""
    said = turn.state.jobs[gang.key.job].spec.hang
    return AutomationStage(said) if said and said != OFF else turn.limits.hangs.stage


def _held_back(turn: Turn, gang: GangRecord, verdict: HangVerdict, stage: AutomationStage) -> str:
    """Say why a gang that hangs is not restarted; "" if it is."""
    automation, job = turn.state.m.automation, turn.state.jobs[gang.key.job]
    if stage is not AutomationStage.ACT:
        return f"the stage is {stage.value}: `hangs: {{stage: act}}` in the job file has such a gang restarted"
    if automation.paused_by:
        return f"automation was paused by {automation.paused_by} ({automation.reason})"
    if not verdict.ranks:
        return "no rank is found that the others wait for, so a restart may not help"
    if verdict.confidence < SURE:
        return f"the verdict is {verdict.confidence:.0%} sure, and {SURE:.0%} are needed"
    if gang.step < 0 and job.best_step < 0:
        return "no step of the job was ever seen, so it may be no training"
    return ""


def _watched(turn: Turn, round_: RoundKey) -> GangRecord | None:
    """Give a gang whose current world is that one, and runs."""
    gang = turn.state.gangs.get(round_.gang_key)
    if gang is None or gang.round != round_.round or gang.state is not GangState.RUNNING:
        return None
    return gang if turn.state.jobs[round_.job].state is JobState.RUNNING else None
