"""Checkups: the node checks of one level, run on a node once, and what they found."""

from dataclasses import dataclass, field
from enum import StrEnum


class CheckLevel(StrEnum):
    """How deep checks go. `instant` ones look (a second or so), `light` ones work the host (up to some minutes)."""

    INSTANT = "instant"
    LIGHT = "light"


class CheckState(StrEnum):
    """What a check came to. `unknown` (it timed out, or cannot tell) condemns nobody."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"


class CheckupCause(StrEnum):
    """Why nodes are checked: a person asked, one joined, a job asks for it, a job failed there, one was idle.

    `held`: it is in quarantine for a check that it did not pass, and may pass now.
    """

    ASKED = "asked"
    JOINED = "joined"
    JOB = "job"
    FAILURE = "failure"
    IDLE = "idle"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a check measured, in the unit that ends its name.

    `worse` is `more` or `less` where that is a fault once it stands out among like nodes, "" for what is only told.
    """

    name: str
    value: float
    worse: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found on a node, in a sentence. `took_s` is how long it took, `at` when the daemon heard of it.

    `of_job`: what is bad is the job's own (a folder of its, its interpreter), and says nothing against the node.
    `facts` are names and values that all nodes of a gang are to have alike, such as the version of a driver.
    """

    check: str
    level: CheckLevel
    state: CheckState
    sentence: str
    figures: tuple[Figure, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    took_s: float = 0.0
    of_job: bool = False
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A node's place in a group of nodes that meet for one benchmark: `rank` of `size`, rank 0 being at `address`."""

    match: int
    address: str
    port: int
    rank: int
    size: int
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRound:
    """Who met whom, and how many seconds it took each: less than 0 if it failed, 0 or nothing if it was not heard."""

    groups: tuple[tuple[str, ...], ...]
    times: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """A checkup that a node is to make; `job` is the job whose folders and interpreter are looked at, 0 for none.

    With a `meeting` only the checks that take several nodes are made.
    """

    id: int
    level: CheckLevel
    job: int = 0
    meeting: Meeting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupSeen:
    """What a node found in the checkup `id`."""

    id: int
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupRun:
    """A checkup that has ended: when, of what level, why it was made, and what it came to in a sentence."""

    id: int
    level: CheckLevel
    cause: CheckupCause
    state: CheckState
    sentence: str
    at: float
    actor: str = ""


# What the rounds of a match say of a node is kept as that of a check of this name.
COLLECTIVE = "collective"
# The figure by which a check that takes several nodes tells how long it took.
MET_SECONDS = "met_seconds"


def met(results: tuple[CheckResult, ...]) -> float:
    """Say how long a meeting took a node, as `MatchRound.times` has it."""
    if any(each.state is CheckState.BAD for each in results):
        return -1.0
    return max((each.value for one in results for each in one.figures if each.name == MET_SECONDS), default=0.0)


def worst(results: tuple[CheckResult, ...]) -> CheckState:
    """Say what results come to together: bad if one is, else unknown if one is, or if there are none."""
    states = {each.state for each in results}
    if CheckState.BAD in states:
        return CheckState.BAD
    return CheckState.UNKNOWN if CheckState.UNKNOWN in states or not states else CheckState.OK


def summary(results: tuple[CheckResult, ...]) -> str:
    """Say in one line what a checkup came to: what is bad first, then what is not known."""
    for state in (CheckState.BAD, CheckState.UNKNOWN):
        named = [f"{each.check}: {each.sentence}" for each in results if each.state is state]
        if named:
            more = f"; and {len(named) - 2} more" if len(named) > 2 else ""
            return "; ".join(named[:2]) + more
    return f"{len(results)} checks passed"
