"""What rules conclude of a job's worlds, as clients are shown it."""

from dlroverd.core.diagnosed import of_job
from dlroverd.core.state import State
from dlroverd.model.diagnosis_view import DiagnosisView


def diagnosis_views(state: State, job: int) -> tuple[DiagnosisView, ...]:
    """Give what stands of the worlds of a job that run."""
    return tuple(
        DiagnosisView(
            rule=key.rule,
            role=key.gang.role,
            gang=key.gang.gang,
            round=each.round.round,
            kind=key.kind,
            sentence=each.conclusion.sentence,
            confidence=each.conclusion.confidence,
            stage=each.stage.value,
            made_at=each.made_at,
            since=each.conclusion.since,
            rank=key.rank,
            node=key.node,
            device=each.conclusion.device,
            evidence=each.conclusion.evidence,
            actions=tuple(action.remedy.value for action in each.actions),
            acted=each.acted,
            held_back=each.held_back,
        )
        for key, each in of_job(state, job)
    )
