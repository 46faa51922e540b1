"""What the agent's core wants done, in order."""

from dataclasses import dataclass, field

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec
from dlroverd.model.world import Assignment, Drill, Held, Observed, Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The desired state that this node follows, as kept on disk; `log_id` is "" while it follows none."""

    log_id: str = ""
    position: int = 0
    held: Held = field(default_factory=Held)


@dataclass(frozen=True, slots=True)
class SaveFollowed:
    """Make this durable before any action after it."""

    followed: Followed


@dataclass(frozen=True, slots=True)
class Check:
    """Find out whether the ranks of `assignment` could run here, and tell by `Checked`."""

    assignment: Assignment
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Start:
    """Start one rank of `assignment`. Never given twice for a key."""

    key: RankKey
    assignment: Assignment
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a rank: `evidence_s` to say why it fails, TERM, `grace_s`, KILL. Given again if the times change."""

    key: RankKey
    evidence_s: float
    grace_s: float


@dataclass(frozen=True, slots=True)
class Forget:
    """A rank that is gone is no longer of interest to the daemon."""

    key: RankKey


@dataclass(frozen=True, slots=True)
class CallSuspects:
    """Call these silent nodes, and no others, again and again; tell each answer by `SuspectCalled`."""

    suspects: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class AskPeer:
    """Ask another node's agent once what it knows of gangs, and tell by `RoundsHeard`; no answer means nothing."""

    peer: Peer
    gangs: tuple[GangKey, ...]


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Make a fault on purpose. Never given twice for a drill."""

    drill: Drill


@dataclass(frozen=True, slots=True)
class SendObserved:
    """Tell the daemon all that is seen."""

    observed: Observed


@dataclass(frozen=True, slots=True)
class Reconnect:
    """End the session and say hello anew, as the follower of another log."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell people; said once, however often the reason comes by."""

    sentence: str


Action = (
    SaveFollowed | Check | Start | Stop | Forget | CallSuspects | AskPeer | CarryOut | SendObserved | Reconnect | Say
)
