"""Events: the facts of the daemon's log."""

from dlroverd.cli.groups import noun

command = noun("event", ("list", "tail"), "Read the facts of the daemon's log.")
