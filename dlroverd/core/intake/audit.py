"""What was found to differ on a node: by its agent, which tells of it in its reports, or by the daemon's own audits."""

from dlroverd.core.turn import LIVE_GANG, Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.difference import Difference, DifferenceKind
from dlroverd.model.world import Observed, RankObservation


def told(turn: Turn, node: str, observed: Observed) -> None:
    """Note what the agent found; it goes on telling of it, and each is one event."""
    for each in observed.differences:
        if each not in turn.state.nodes[node].differences:
            turn.emit(ev.DifferenceSeen(node=node, difference=each))


def not_listed(turn: Turn, node: str, missing: list[RankObservation]) -> None:
    """Note which ranks should run on a node, and its agent knows nothing of them; the others were to be stopped."""
    for seen in missing:
        if turn.state.gangs[seen.key.gang_key].state not in LIVE_GANG:
            continue
        what = f"{seen.key} should run there, and the agent does not list it"
        difference = Difference(kind=DifferenceKind.NOT_LISTED, what=what, mended="it counts as ended", at=turn.now)
        turn.emit(ev.DifferenceSeen(node=node, difference=difference))


def found(turn: Turn, item: inp.DifferenceFound) -> Outcome:
    """Note what an audit found."""
    if item.node in turn.state.nodes:
        difference = Difference(kind=item.kind, what=item.what, mended=item.mended, at=turn.now)
        turn.emit(ev.DifferenceSeen(node=item.node, difference=difference))
    return Done()
