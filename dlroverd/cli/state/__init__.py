"""The daemon's state: copies of it."""

from dlroverd.cli.groups import noun

command = noun("state", ("backup", "restore"), "Copy the daemon's state, and go on from a copy.")
