"""Sinks: where the daemon sends events."""

from dlroverd.cli.groups import noun

command = noun("sink", ("list", "replay"), "See where events are sent, and send them again.")
