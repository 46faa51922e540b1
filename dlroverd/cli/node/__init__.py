"""Nodes: the hosts of the fleet."""

from dlroverd.cli.groups import noun

command = noun("node", ("list", "adopt", "confirm-down"), "See the hosts of the fleet.")
