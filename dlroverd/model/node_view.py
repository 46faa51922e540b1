"""What a client is shown of holds, reputations and automation: names as in `-o json`, times in absolute seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """One owner's hold on a node; `request` is what `uncordon --undo` takes, `deadline` 0 where there is none."""

    owner: str
    kind: str
    reason: str
    since: float
    mode: str = ""
    deadline: float = 0.0
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    """One sign that a host or device is bad; `weight` is what it adds to the score."""

    at: float
    kind: str
    weight: float
    sentence: str
    job: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationView:
    """What a host (`of` host) or device (`of` device) counts as; `doubt` is how likely it is bad, 0 to 1."""

    of: str
    name: str
    standing: str
    doubt: float
    reason: str
    since: float
    score: float
    evidence: tuple[EvidenceView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingView:
    """The newest reading of a metric (model/metrics.py), made at `at`, and those of the hour before.

    `value` is None when the newest is old; mean, least and most are None when there was none in that hour.
    """

    metric: str
    value: float | None = None
    mean: float | None = None
    least: float | None = None
    most: float | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalView:
    """What was said of a node's health, what was done about it and what people do next. `cleared`: before a repair."""

    name: str
    at: float
    device: str
    part: str
    count: int
    severity: str
    action: str
    sentence: str
    done: str
    then: str
    cleared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """One accelerator of a node: whether it can be granted, and the job that has it (0: none)."""

    uuid: str
    model: str
    memory_bytes: int
    state: str
    detail: str = ""
    job: int = 0
    serial: str = ""
    readings: tuple[ReadingView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupView:
    """One of a node's last checkups; `state` is "" while it goes on. What a person asked for has them as `actor`."""

    id: int
    level: str
    cause: str
    state: str
    sentence: str
    at: float
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """What automation would do to a node; `held_back` names the brake that keeps it from that."""

    node: str
    stage: str
    sentence: str
    held_back: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalView:
    """A node that automation took out of use."""

    node: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationView:
    """How far automation goes, who paused it ("": nobody), what it did within its window and would do."""

    quarantine: str
    paused_by: str
    reason: str
    since: float
    window_s: float
    allowed: int
    ready_share: float
    usable: int
    nodes: int
    removals: tuple[RemovalView, ...] = ()
    findings: tuple[FindingView, ...] = ()
