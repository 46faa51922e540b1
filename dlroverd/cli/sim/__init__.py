"""The simulator: days of a fleet in minutes, described by a file."""

from dlroverd.cli.groups import noun

command = noun("sim", ("run", "trace"), "Simulate a fleet and its faults, with the real cores, in virtual time.")
