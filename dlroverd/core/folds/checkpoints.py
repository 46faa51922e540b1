"""Checkpoints in storage, and what nodes are told of those that they have staged."""

from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.checkpoint import Commit

# Of each job, the last; the log has them all.
KEPT = 100


def checkpoint_committed(s: State, e: ev.CheckpointCommitted) -> None:
    commit = Commit(
        round=e.round,
        step=e.step,
        save=e.save,
        path=e.path,
        place=e.place,
        size_bytes=e.size_bytes,
        manifest=e.manifest,
        node=e.node,
        at=s.m.now,
    )
    s.put(s.commits, e.round.job, (*s.commits.get(e.round.job, ()), commit)[-KEPT:])


def checkpoint_refused(_: State, e: ev.CheckpointRefused) -> None:
    """What is refused is as if it had never been; its node has a verdict of its own."""


def verdicts_given(s: State, e: ev.VerdictsGiven) -> None:
    s.put(s.verdicts, e.node, e.verdicts or None)
