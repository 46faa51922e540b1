"""Nodes: the hosts of the fleet."""

from dlroverd.cli.groups import noun

command = noun(
    "node",
    (
        "list",
        "show",
        "why",
        "check",
        "cordon",
        "drain",
        "maintenance",
        "quarantine",
        "uncordon",
        "clear",
        "adopt",
        "confirm-down",
        "revoke",
    ),
    "See the hosts of the fleet, and take them out of use.",
)
