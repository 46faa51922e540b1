"""How much of the fleet a user or a project may use at once."""

from dataclasses import dataclass

ANYONE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """At most so many slots (devices, where nodes have any) and jobs that hold nodes; None is no limit.

    `kind` is user or project, `name` whose it is; `*` is each one that has no quota of its own.
    """

    kind: str
    name: str
    devices: int | None = None
    jobs: int | None = None
