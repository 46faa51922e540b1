"""Plugins: what the daemon loaded."""

from dlroverd.cli.groups import noun

command = noun("plugin", ("list",), "See what the daemon loaded.")
