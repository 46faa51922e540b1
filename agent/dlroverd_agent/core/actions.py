"""What the agent's core wants done, in order."""

from dataclasses import dataclass, field

from dlroverd.model.checkpoint import Verdict
from dlroverd.model.checkup import Checkup
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec
from dlroverd.model.world import Assignment, Drill, Held, Notice, Observed, Peer, Saves


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
    """Start one rank of `assignment`. Never given twice for a key. `lease_until`: when its lease ends; 0: no lease."""

    key: RankKey
    assignment: Assignment
    spec: JobSpec
    lease_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Renew:
    """The leases of these ranks now run until then."""

    until: tuple[tuple[RankKey, float], ...]


@dataclass(frozen=True, slots=True)
class AskNow:
    """Send a beat now, which the daemon is to answer: leases run from its time."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a rank: `evidence_s` to say why it fails, TERM, `grace_s`, KILL. Given again if the times change.

    `reason` is for the rank, should it ask why; "" if there is none to give.
    """

    key: RankKey
    evidence_s: float
    grace_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Leave a rank the notice of a stop to come (None: take it back), then send it `signal` (such as USR1), if any."""

    key: RankKey
    notice: Notice | None
    signal: str


@dataclass(frozen=True, slots=True)
class TellSaves:
    """Leave a rank at which steps it is to save."""

    key: RankKey
    saves: Saves


@dataclass(frozen=True, slots=True)
class Forget:
    """A rank that is gone is no longer of interest to the daemon."""

    key: RankKey


@dataclass(frozen=True, slots=True)
class FindEnd:
    """Nothing of a rank that counts as running is there: find out how it ended, and tell that."""

    key: RankKey


@dataclass(frozen=True, slots=True)
class EndLeft:
    """Kill the processes of a rank that is recorded as gone, or not at all; then survey again."""

    key: RankKey


@dataclass(frozen=True, slots=True)
class SurveyAgain:
    """Survey this host once more, soon."""


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
class MakeCheckups:
    """Make these checkups, each once and with the job that it is for, and no others; tell each by `CheckupMade`."""

    checkups: tuple[tuple[Checkup, JobSpec | None], ...]


@dataclass(frozen=True, slots=True)
class TellVault:
    """Tell the vault of a job what becomes of a save. Given again while the vault still has it staged."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Make a fault on purpose. Never given twice for a drill."""

    drill: Drill


@dataclass(frozen=True, slots=True)
class Reboot:
    """Reboot this host if it still runs this boot."""

    boot: str


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
    SaveFollowed
    | Check
    | Start
    | Renew
    | AskNow
    | Stop
    | Tell
    | TellSaves
    | Forget
    | FindEnd
    | EndLeft
    | SurveyAgain
    | CallSuspects
    | AskPeer
    | MakeCheckups
    | TellVault
    | CarryOut
    | Reboot
    | SendObserved
    | Reconnect
    | Say
)
