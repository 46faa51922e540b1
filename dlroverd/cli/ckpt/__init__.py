"""Checkpoints: those that the log has of a job, and those that are in a folder."""

from dlroverd.cli.groups import noun

command = noun(
    "ckpt", ("list", "verify", "export", "prune"), "See checkpoints, find damaged ones, and remove old ones."
)
