"""Hangs: gangs that make no step, and what their stacks said."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import Severity
from dlroverd.model.vocabulary.schema import fact, where

_OF_ROUND = "job/{round[job]}/gang/{round[role]}/{round[gang]}/world"

SCHEMAS = (
    fact(
        ev.HangSuspected,
        severity=Severity.WARNING,
        parent=_OF_ROUND,
        says={"step": "the last step seen, -1 if none was", "phase": "what it was at"},
        dlrover=("action.hang_warning",),
    ),
    fact(
        ev.HangJudged,
        where({"verdict.hung": (False,)}, Severity.INFO),
        severity=Severity.ERROR,
        parent=_OF_ROUND,
        cause="verdict.sentence",
        says={"stage": "whether a gang that hangs is restarted (act), that is advised, or noted"},
    ),
    fact(ev.HangEnded, parent=_OF_ROUND, says={"step": "the newest step"}),
)
