"""Hosts: what a package leaves to be done by whoever runs the fleet."""

from dlroverd.cli.groups import noun

command = noun("setup", ("daemon", "agent", "login"), "Make this host a part of a fleet, as root.")
