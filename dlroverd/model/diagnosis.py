"""What diagnosis rules see of a world, what they conclude, and what they would have done about it."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A reading of a metric of docs/metrics.md: the newest `value`, and `at` when it was taken (the daemon's time).

    `recent` are the newest of a rank, at most 16, oldest first, the newest among them; `past` is the median of its last
    hour before the last five minutes, None while it is younger than that. Those of nodes and devices have neither.
    """

    value: float
    at: float
    recent: tuple[float, ...] = ()
    past: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRank:
    """One rank. `devices` are those it may use for itself, by UUID; none where the ranks of a node share them."""

    rank: int
    node: str
    devices: tuple[str, ...] = ()
    readings: dict[str, Reading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldNode:
    """One node of a world: what its host reads, and each of its devices, by UUID."""

    node: str
    readings: dict[str, Reading] = field(default_factory=dict)
    devices: dict[str, dict[str, Reading]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What ails a world, in the words of one rule: `kind` names it (`straggler`, `hang`), `sentence` says it.

    `rank`, `node` and `device` are whom it names (-1 and "": nobody), `confidence` how sure it is (0 to 1), `since`
    when it began as far as is known, `evidence` one sentence for each sign.
    """

    kind: str
    sentence: str
    confidence: float
    rank: int = -1
    node: str = ""
    device: str = ""
    since: float = 0.0
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldView:
    """One world that runs, `now`. What could not be read is absent: unknown is neither good nor bad.

    `running_s` is for how long it has run, `step` the newest step seen of it (-1: none) and `stepped_s` how long ago
    that was. `standing` is what the rule concluded of it before and has not taken back.
    """

    job: int
    role: str
    gang: int
    round: int
    now: float
    running_s: float
    step: int
    stepped_s: float
    ranks: tuple[WorldRank, ...]
    nodes: tuple[WorldNode, ...]
    standing: tuple[Conclusion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a rule sees: `kind` and `sentence` are its own words, `value` how much of it there is.

    `rank`, `node` and `device` are whom it is about (-1 and "": nobody), `since` when it began, `evidence` what goes
    with it.
    """

    kind: str
    sentence: str
    value: float = 0.0
    rank: int = -1
    node: str = ""
    device: str = ""
    since: float = 0.0
    evidence: tuple[str, ...] = ()


class Remedy(StrEnum):
    """What may follow a conclusion.

    `restart`: stop the world and start it anew. `replace`: take the node out of use, and have the job go on without it
    from its next checkpoint on.
    """

    RESTART = "restart"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a rule would have done, about the conclusion of this `kind`, `rank` and `node`."""

    remedy: Remedy
    kind: str
    rank: int = -1
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosed:
    """All that one rule has to say of a world at one time."""

    findings: tuple[Finding, ...]
    conclusions: tuple[Conclusion, ...]
    actions: tuple[Action, ...]
