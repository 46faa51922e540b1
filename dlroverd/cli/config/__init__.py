"""Configuration: check files, see settings and limits."""

from dlroverd.cli.groups import noun

command = noun("config", ("check", "show", "timeouts"), "Check files, see settings and limits.")
