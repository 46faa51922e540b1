"""What the agent's core is told."""

from dataclasses import dataclass

from dlroverd.model.checkpoint import StagedCheckpoint
from dlroverd.model.checkup import CheckupSeen
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.node import DeviceObservation
from dlroverd.model.signal import Signal
from dlroverd.model.world import Assignment, Desired, NodeCheck, RankObservation


@dataclass(frozen=True, slots=True)
class Recovered:
    """The ranks found at start, dead or alive. The first input, once."""

    ranks: tuple[RankObservation, ...]


@dataclass(frozen=True, slots=True)
class Connected:
    """The daemon accepted a hello that carried the observed state `version`.

    `asked_at`: the hello was sent then, if it was to the daemon whose log this node follows; else 0.
    """

    version: int
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class BeatHeard:
    """The daemon heard the beat that was sent at `asked_at`."""

    asked_at: float


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The session ended."""


@dataclass(frozen=True, slots=True)
class DesiredArrived:
    """The daemon says what this node should run."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class Acked:
    """All that was observed up to `version` is durable at the daemon."""

    version: int


@dataclass(frozen=True, slots=True)
class RankChanged:
    """The launcher saw a rank move on."""

    seen: RankObservation


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of an assignment that is not to start yet."""

    assignment: Assignment
    check: NodeCheck


@dataclass(frozen=True, slots=True)
class SuspectCalled:
    """The call of a silent node ended: whether it answers."""

    node: str
    answers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRound:
    """What an agent knows of a gang: the newest round it heard of, and up to which all are stopped (-1: none)."""

    gang: GangKey
    newest: int
    stopped: int


@dataclass(frozen=True, slots=True)
class RoundsHeard:
    """What the agent of `node`, whose name was proven, knows of gangs; `log_id` is the log that it follows."""

    node: str
    log_id: str
    rounds: tuple[KnownRound, ...]


@dataclass(frozen=True, slots=True)
class DevicesSeen:
    """How this node's accelerators are, all of them."""

    devices: tuple[DeviceObservation, ...]


@dataclass(frozen=True, slots=True)
class SignalsHeard:
    """What this host's kernel and drivers said of its health, the newest of this boot."""

    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class SavesStaged:
    """What the vault of a job has staged now, all of it; again from time to time while there is anything."""

    job: int
    saves: tuple[StagedCheckpoint, ...]


@dataclass(frozen=True, slots=True)
class CheckupMade:
    """A checkup that was asked for has been made."""

    seen: CheckupSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """The ranks of which processes are on this host, at `at` (wall clock, seconds).

    `file` says how the file of what this node follows differs from what was written to it; "" if it does not.
    """

    alive: frozenset[RankKey]
    at: float
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFailed:
    """What runs on this host could not be found out, and why."""

    why: str
    at: float


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


Input = (
    Recovered
    | Connected
    | Disconnected
    | DesiredArrived
    | Acked
    | BeatHeard
    | RankChanged
    | Checked
    | SuspectCalled
    | RoundsHeard
    | DevicesSeen
    | SignalsHeard
    | SavesStaged
    | CheckupMade
    | Surveyed
    | SurveyFailed
    | Ticked
)
