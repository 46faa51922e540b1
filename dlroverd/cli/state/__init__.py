"""The daemon's state: copies of it, and whether it is what is so."""

from dlroverd.cli.groups import noun

command = noun(
    "state",
    ("backup", "restore", "check"),
    "Copy the daemon's state, go on from a copy, and hold it against the fleet.",
)
