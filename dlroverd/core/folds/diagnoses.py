"""What ails worlds, as far as rules have concluded."""

from dlroverd.core.records import DiagnosisKey, DiagnosisRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev


def diagnosis_made(s: State, e: ev.DiagnosisMade) -> None:
    key = DiagnosisKey(e.round.gang_key, e.rule, e.conclusion.kind, e.conclusion.rank, e.conclusion.node)
    old = s.diagnoses.get(key)
    again = old is not None and old.round == e.round
    record = DiagnosisRecord(
        round=e.round,
        conclusion=e.conclusion,
        stage=e.stage,
        actions=e.actions,
        held_back=e.held_back,
        acted=e.acted,
        made_at=old.made_at if old is not None and again else s.m.now,
        said_at=s.m.now,
        deadline=e.deadline,
    )
    s.put(s.diagnoses, key, record)


def diagnosis_ended(s: State, e: ev.DiagnosisEnded) -> None:
    s.put(s.diagnoses, DiagnosisKey(e.round.gang_key, e.rule, e.kind, e.rank, e.node), None)
