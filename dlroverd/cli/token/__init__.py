"""Join tokens: what lets hosts into the fleet."""

from dlroverd.cli.groups import noun

command = noun("token", ("create", "list", "revoke"), "Let hosts join the fleet (docs/trust.md).")
