"""What a complete checkpoint of a world means for its job."""

from dlroverd.core.passes import holds, planned
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.ids import RoundKey


def made(turn: Turn, round_: RoundKey, step: int, at: float) -> None:
    """Note a world's newest checkpoint, if it counts and is new; a stop that waits for one begins."""
    gang = turn.state.gangs.get(round_.gang_key)
    if gang is not None and gang.round == round_.round and gang.state in LIVE_GANG and step > gang.checkpoint:
        turn.emit(ev.CheckpointSeen(round=round_, step=step, at=at))
        holds.checkpointed(turn, gang.key.job)
        planned.checkpointed(turn, turn.state.gangs[gang.key])
