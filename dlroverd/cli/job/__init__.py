"""Jobs: submit them, watch them, end them."""

from dlroverd.cli.groups import noun

command = noun(
    "job",
    ("submit", "run", "list", "status", "logs", "why", "cancel", "restart", "drill"),
    "Submit jobs, watch them, end them.",
)
