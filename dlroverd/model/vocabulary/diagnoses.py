"""Diagnoses: what rules conclude of worlds that run."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact

SCHEMAS = (
    fact(
        ev.DiagnosisMade,
        severity=Severity.WARNING,
        kind=EventKind.BEGIN,
        span="job/{round[job]}/{round[role]}/{round[gang]}/{rule}/{conclusion[kind]}/{conclusion[rank]}{conclusion[node]}",
        parent="job/{round[job]}",
        cause="conclusion.sentence",
    ),
    fact(
        ev.DiagnosisEnded,
        kind=EventKind.END,
        span="job/{round[job]}/{round[role]}/{round[gang]}/{rule}/{kind}/{rank}{node}",
        parent="job/{round[job]}",
        says={"kind": "what was concluded: straggler, hang ...", "rank": "the rank that it names, -1 if none"},
    ),
)
