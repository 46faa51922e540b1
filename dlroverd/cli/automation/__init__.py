"""Automation: what dlroverd does to nodes by itself."""

from dlroverd.cli.groups import noun

command = noun("automation", ("status", "pause", "resume"), "See and stop what is done to nodes automatically.")
