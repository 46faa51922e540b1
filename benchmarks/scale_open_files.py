"""How many connections a process of a benchmark may hold."""

import resource

NEEDED = 65536


def allow_connections() -> None:
    """Raise this process's limit of open files to what the daemon's unit has; where that is refused, to the most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(NEEDED, soft), max(NEEDED, hard)))
    except ValueError:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
