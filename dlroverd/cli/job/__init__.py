"""Jobs: submit them, watch them, end them."""

from dlroverd.cli.groups import noun

command = noun(
    "job",
    (
        "submit",
        "run",
        "list",
        "status",
        "logs",
        "why",
        "bundle",
        "wait",
        "stacks",
        "goodput",
        "cancel",
        "restart",
        "scale",
        "suspend",
        "resume",
        "drill",
    ),
    "Submit jobs, watch them, end them.",
)
