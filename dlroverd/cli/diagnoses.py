"""What ails a job that runs, for people."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlroverd.cli.output import clock

if TYPE_CHECKING:
    from dlroverd.model.diagnosis_view import DiagnosisView
    from dlroverd.model.view import JobView

_DONE = {
    "restart": "the job was restarted",
    "replace": "its node was taken out of use, and the job leaves it at its next checkpoint",
}
_ADVICE = {
    "restart": "restart it with `dlroverctl job restart {job}`",
    "replace": "have the job leave the node with `dlroverctl node drain {node} --at-checkpoint`",
}


def sentences(job: "JobView") -> Iterator[str]:
    """Say what each rule concludes of a job's worlds, the evidence, and what is done about it."""
    for each in job.diagnoses:
        world = f"{each.role} gang {each.gang}: " if len(job.diagnoses) > 1 else ""
        sure = f" ({each.confidence:.0%} sure)".replace("%", " %") if each.confidence < 1 else ""
        kind = each.kind.capitalize().replace("_", " ")
        yield f"{kind} since {clock(each.since or each.made_at)}: {world}{each.sentence}{sure}."
        yield from (f"    {sign}." for sign in each.evidence)
        if said := _followed(each, job.id):
            yield f"    {said}."


def _followed(diagnosis: "DiagnosisView", job: int) -> str:
    """Say what was done, or is to be; "" if nothing is."""
    known = [name for name in diagnosis.actions if name in _DONE]
    if not known:
        return ""
    if diagnosis.acted:
        return f"Done about it: {'; '.join(_DONE[name] for name in known)}"
    advice = "; ".join(_ADVICE[name].format(job=job, node=diagnosis.node) for name in known)
    if diagnosis.held_back:
        return f"Held back, since {diagnosis.held_back}: {advice}"
    return f"What you can do: {advice}" if diagnosis.stage == "advise" else ""
