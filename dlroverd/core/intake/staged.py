"""Saves that a node has staged: each becomes a checkpoint by a fact of the log, once, or is refused with a sentence.

A node lists a save until it has done what it is told, so the word on it stands until it is listed no more.
"""

from dlroverd.core.passes import checkpoints
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.checkpoint import StagedCheckpoint, Verdict


def take(turn: Turn, node: str, staged: tuple[StagedCheckpoint, ...]) -> None:
    """Decide on what is new of a node's staged saves."""
    given = turn.state.verdicts.get(node, ())
    known = {(each.job, each.path, each.save): each for each in given}
    verdicts = tuple(known.get((each.job, each.path, each.save)) or _decided(turn, node, each) for each in staged)
    if verdicts != given:
        turn.emit(ev.VerdictsGiven(node=node, verdicts=verdicts))


def _decided(turn: Turn, node: str, staged: StagedCheckpoint) -> Verdict:
    committed = turn.state.commits.get(staged.job, ())
    refusal = ""
    if not any((each.place, each.save) == (staged.place, staged.save) for each in committed):
        refusal = _refusal(turn, node, staged)
        if refusal or staged.round is None:
            turn.emit(
                ev.CheckpointRefused(
                    job=staged.job,
                    round=staged.round,
                    step=staged.step,
                    save=staged.save,
                    path=staged.path,
                    node=node,
                    reason=refusal,
                )
            )
        else:
            turn.emit(
                ev.CheckpointCommitted(
                    round=staged.round,
                    step=staged.step,
                    save=staged.save,
                    path=staged.path,
                    place=staged.place,
                    size_bytes=staged.size_bytes,
                    manifest=staged.manifest,
                    files=staged.files,
                    node=node,
                )
            )
            checkpoints.made(turn, staged.round, staged.step, turn.now)
    return Verdict(job=staged.job, path=staged.path, save=staged.save, refusal=refusal)


def _refusal(turn: Turn, node: str, staged: StagedCheckpoint) -> str:
    """Say why a save may not become a checkpoint; "" if it may."""
    state, made = turn.state, staged.round
    if made is None:
        return "its ranks did not say which round they are of: update dlroverd-train in their environment"
    gang = state.gangs.get(made.gang_key)
    if gang is None or made.job != staged.job:
        return f"the daemon's log has no {made.gang_key} of job {staged.job}"
    if made.round < gang.round:
        return f"round {made.round} of {gang.key} is over: round {gang.round} took its place"
    if made.round > gang.round or node not in gang.nodes:
        return f"the daemon's log has no {made} on node {node}"
    others = (state.saves_at.get(staged.place, set()) & state.unfinished) - {staged.job}
    if others:
        return f"job {min(others)} has its checkpoints in {staged.path} too: give one of the two a path of its own"
    return ""
