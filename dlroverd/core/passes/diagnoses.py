"""What rules conclude of worlds becomes a fact, is acted on as far as its stage and the brakes allow, and ends.

A rule says all that ails a world each time; what it says no more has ended. So does what is said of a world that is
over.
"""

from dlroverd.core import brakes
from dlroverd.core.diagnosed import is_live, standing
from dlroverd.core.passes import faults, planned
from dlroverd.core.records import DiagnosisKey, DiagnosisRecord
from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.diagnosis import Action, Conclusion, Remedy
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.hold import AUTOMATION, Hold, HoldKind
from dlroverd.model.ids import RoundKey
from dlroverd.model.plan import PlanKind
from dlroverd.model.reputation import AutomationStage

# A job leaves a node that only holds it up at its next checkpoint, however long that takes: it trains meanwhile.
_ANY_TIME_S = 10 * 365 * 86400.0


def take(turn: Turn, item: inp.WorldDiagnosed) -> Outcome:
    """Take all that a rule has to say of a world; nothing, if that world is over."""
    live = is_live(turn.state, item.round)
    said = {_key(item.rule, item.round, each): each for each in item.conclusions if live}
    for key, record in standing(turn.state, item.round.gang_key):
        if key.rule == item.rule and key not in said and (live or not is_live(turn.state, record.round)):
            _end(turn, key, record, "the rule does not find it any more" if live else "its world is over")
    for key, conclusion in said.items():
        wanted = (conclusion.kind, conclusion.rank, conclusion.node)
        actions = tuple(each for each in item.actions if (each.kind, each.rank, each.node) == wanted)
        _say(turn, key, item.round, conclusion, actions)
        if not is_live(turn.state, item.round):
            break  # that was acted on
    return Done()


def _key(rule: str, round_: RoundKey, conclusion: Conclusion) -> DiagnosisKey:
    """Name what a rule concludes of a gang: said again it is the same."""
    return DiagnosisKey(round_.gang_key, rule, conclusion.kind, conclusion.rank, conclusion.node)


def overdue(turn: Turn, key: DiagnosisKey) -> None:
    """A diagnosis was not said again for as long as one stands."""
    _end(turn, key, turn.state.diagnoses[key], "the rule has not said it again in time")


def _end(turn: Turn, key: DiagnosisKey, record: DiagnosisRecord, reason: str) -> None:
    turn.emit(
        ev.DiagnosisEnded(rule=key.rule, round=record.round, kind=key.kind, rank=key.rank, node=key.node, reason=reason)
    )


def _say(turn: Turn, key: DiagnosisKey, round_: RoundKey, conclusion: Conclusion, actions: tuple[Action, ...]) -> None:
    """Note a conclusion that is new, has changed, or would soon be too old; act on it, once."""
    old = turn.state.diagnoses.get(key)
    if old is not None and old.round != round_:
        old = None
    limits = turn.limits.diagnosis
    stage = limits.stage_of(key.rule)
    acts = list(actions)
    acted, held_back = old is not None and old.acted, ""
    if acts and stage is AutomationStage.ACT and not acted:
        held_back = next((why for each in acts if (why := _refusal(turn, each))), "")
        acted = not held_back
    else:
        acts = []
    same = old is not None and _says(old) == (stage, actions, held_back, acted)
    if old is not None and same and turn.now < (old.said_at + old.deadline) / 2:
        return
    turn.emit(
        ev.DiagnosisMade(
            rule=key.rule,
            round=round_,
            conclusion=conclusion,
            stage=stage,
            actions=actions,
            held_back=held_back,
            acted=acted,
            deadline=turn.now + limits.expiry_s,
        )
    )
    for each in acts if not held_back else ():
        _act(turn, round_, key.rule, conclusion, each)


def _says(record: DiagnosisRecord) -> tuple[AutomationStage, tuple[Action, ...], str, bool]:
    return record.stage, record.actions, record.held_back, record.acted


def _refusal(turn: Turn, action: Action) -> str:
    """Say what keeps automation from an action; "" if nothing does."""
    automation = turn.state.m.automation
    if action.remedy is Remedy.REPLACE and action.node in turn.state.nodes:
        return brakes.refusal(turn.state, action.node, turn.limits.automation)
    return f"automation was paused by {automation.paused_by} ({automation.reason})" if automation.paused_by else ""


def _act(turn: Turn, round_: RoundKey, rule: str, conclusion: Conclusion, action: Action) -> None:
    if action.remedy is Remedy.RESTART:
        rank = round_.rank(conclusion.rank) if conclusion.rank >= 0 else None
        cause = Cause(
            kind=CauseKind.HANG,
            rule=f"diagnosis.{rule}",
            sentence=conclusion.sentence,
            rank=rank,
            node=conclusion.node,
        )
        faults.fail_gang(turn, round_.gang_key, conclusion.since or turn.now, cause)
    elif action.remedy is Remedy.REPLACE and action.node in turn.state.nodes:
        _replace(turn, round_.job, action.node, conclusion.sentence)


def _replace(turn: Turn, job: int, node: str, sentence: str) -> None:
    """Take a node out of use; a job that tells of checkpoints leaves it at the next, others as they restart."""
    record = turn.state.nodes[node]
    if not any(hold.owner == AUTOMATION and hold.kind is HoldKind.QUARANTINE for hold in record.holds):
        hold = Hold(owner=AUTOMATION, kind=HoldKind.QUARANTINE, reason=sentence, since=turn.now)
        turn.emit(ev.NodeHeld(node=node, hold=hold, actor=AUTOMATION))
        turn.emit(ev.NodeRemoved(node=node, forget_before=turn.now - turn.limits.automation.window_s))
    if turn.state.jobs[job].checkpoints:
        planned.order(turn, job, PlanKind.DRAIN, f"it leaves node {node}: {sentence}", wait_s=_ANY_TIME_S)
