"""Checkpoints in storage: committed, refused, and what nodes are told of them."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import Severity
from dlroverd.model.vocabulary.schema import fact

SCHEMAS = (
    fact(
        ev.CheckpointCommitted,
        parent="job/{round[job]}/gang/{round[role]}/{round[gang]}/world",
        dlrover=("trainer.persist_ckpt", "action.save_shard_complete"),
    ),
    fact(
        ev.CheckpointRefused,
        severity=Severity.WARNING,
        parent="job/{job}",
        says={"round": "the world that its ranks said they are of, null if they said none"},
    ),
    fact(ev.VerdictsGiven, severity=Severity.DEBUG),
)
