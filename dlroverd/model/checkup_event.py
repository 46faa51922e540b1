"""The facts of the log that are about checkups of nodes."""

from dataclasses import dataclass

from dlroverd.model.checkup import CheckResult, CheckState, Checkup, CheckupCause


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupAsked:
    """A node is to run its checks; what it has not told by `deadline` is not known."""

    node: str
    checkup: Checkup
    cause: CheckupCause
    deadline: float
    actor: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupEnded:
    """A node has told what its checks found, or, with no results, `reason` says why that is not known.

    `next_at` is when it is looked at again.
    """

    node: str
    id: int
    state: CheckState
    results: tuple[CheckResult, ...]
    reason: str
    next_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupPutOff:
    """A node is to check itself at `next_at`: it was in use when it was to, or a job has failed there (`cause`)."""

    node: str
    next_at: float
    cause: CheckupCause = CheckupCause.IDLE


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchBegan:
    """Nodes that are being checked are to meet each other in groups, once each has made its own checks."""

    match: int
    nodes: tuple[str, ...]
    cause: CheckupCause
    actor: str
    job: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRoundBegan:
    """The next round of a match: the nodes of each group run a benchmark together."""

    match: int
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchEnded:
    """What the rounds of a match say of each of its nodes: which are bad, slow or badly joined, and which are well."""

    match: int
    nodes: tuple[str, ...]
    results: tuple[CheckResult, ...]
    reason: str
