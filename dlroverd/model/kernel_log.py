"""What a host's kernel said around an incident: read from its journal when somebody asks, and kept by nobody."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelWindow:
    """From when to when, by the host's clock in absolute seconds."""

    since: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLine:
    """One line; `priority` is syslog's: 0 emergency, 3 error, 6 information, 7 debug."""

    at: float
    priority: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLog:
    """What the kernel of `node` said in a window, oldest first. `problem`: it cannot be read, and why.

    `cut`: there was more, and these are the newest.
    """

    node: str
    window: KernelWindow
    lines: tuple[KernelLine, ...] = ()
    cut: bool = False
    problem: str = ""
