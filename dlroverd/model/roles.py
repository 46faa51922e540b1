"""Who calls, and what whoever has a role may do."""

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each may do what those below it may. A user may do to jobs of its own what an operator may to all."""

    NOBODY = 0
    VIEWER = 1
    USER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """The role as it is written and told."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as the kernel or a certificate proves it. `uid` -1: no person, but a node. `gids` are all its groups.

    `via` is the login host that vouches for it, "" on the daemon's own host.
    """

    uid: int
    name: str
    role: Role
    gids: frozenset[int] = frozenset()
    via: str = ""
