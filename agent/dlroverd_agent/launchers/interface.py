"""What every launcher gives the agent: start a rank once, stop it, find it again, say at once what changed."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from dlroverd.model.ids import RankKey
from dlroverd.model.job import Resources
from dlroverd.model.world import RankObservation
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.launchers.parked import Parked

# What a drill does to a rank. `kill`: its main process gets KILL as if from outside, so its end does not count as
# requested. `freeze` and `thaw` stop and continue its whole tree, `hang` and `resume` its main process alone.
Disturbance: TypeAlias = Literal["kill", "freeze", "thaw", "hang", "resume"]
SIGNAL_OF: Mapping[Disturbance, signal.Signals] = {
    "kill": signal.SIGKILL,
    "freeze": signal.SIGSTOP,
    "thaw": signal.SIGCONT,
    "hang": signal.SIGSTOP,
    "resume": signal.SIGCONT,
}


class LauncherUnavailableError(Exception):
    """This launcher cannot work here; the message is one sentence with the remedy."""


class SurveyError(Exception):
    """What runs on this host cannot be found out; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """One rank to start: `argv[0]` is a path, `env` is complete, `uid` and `gid` are whom it runs as.

    `grace_s` is the longest that its job gives from TERM to KILL, for when the host stops it (at shutdown).
    `device_nodes`: the accelerators' files in /dev that it may open; None is no allow-list. Only the systemd
    launcher carries these two and `resources` out. `obstacle` says why it cannot be started after all.
    `lease_until` is when its lease runs out unless it is renewed (`lease.py`); 0 is no lease. `spare` is what waits to
    be this rank, parked with an order that differs in nothing but what each round has of its own. `secrets` say
    where its secrets are (`secret_values.Reference`); `name`, `home` and `groups` who its user is where the job was
    submitted (`users.difference`).
    """

    key: RankKey
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    uid: int
    gid: int
    grace_s: float = 30.0
    resources: Resources = field(default_factory=Resources)
    device_nodes: tuple[str, ...] | None = None
    obstacle: str = ""
    lease_until: float = 0.0
    spare: Parked | None = None
    secrets: tuple[tuple[str, str, str], ...] = ()
    name: str = ""
    home: str = ""
    groups: tuple[int, ...] = ()


class Parking(Protocol):
    """Keeps spares: processes that wait to be ranks, as `LaunchOrder.spare`."""

    async def park(self, order: LaunchOrder) -> Parked:
        """Begin a spare for a rank that is not started yet. BrokenError: it did not begin."""
        ...

    async def unpark(self, key: RankKey, spare: Parked) -> None:
        """End the spare that was begun for a rank; returns when the rank can be started without it."""
        ...


class Launcher(Protocol):
    """Starts and supervises ranks. All methods belong to one asyncio loop.

    What changes is told through the callback given at construction, on the loop, as a `RankObservation`:
    STARTING, RUNNING, EXITED (the main process; its tree is being killed), GONE (the whole tree, verified).
    The callback may be called before the method that causes the change returns.
    """

    @property
    def parking(self) -> Parking:
        """What keeps the spares of its ranks."""
        ...

    def files(self, key: RankKey) -> RankFiles:
        """Say where a rank's files are, whether or not it was ever started."""
        ...

    async def start(self, order: LaunchOrder) -> None:
        """Start a rank unless its key was ever started before. What goes wrong is told as GONE, not raised."""
        ...

    async def stop(self, key: RankKey, evidence_s: float, grace_s: float) -> None:
        """Ask for the end of a rank; returns at once. A further stop can only shorten the times.

        The rank has `evidence_s` seconds to end by itself or to say why it fails, then gets TERM, and
        after `grace_s` more its whole tree gets KILL; with no grace, KILL alone. A rank that is not there is no error.
        """
        ...

    async def recover(self) -> list[RankObservation]:
        """Find every rank started and not forgotten, dead or alive, and watch it again. Once, at agent start."""
        ...

    async def send_signal(self, key: RankKey, number: signal.Signals) -> None:
        """Send a signal to a rank's main process. ValueError, with a sentence, if it does not run."""
        ...

    async def disturb(self, key: RankKey, kind: Disturbance) -> None:
        """Do to a rank what a drill asks for. ValueError, with a sentence, if it does not run."""
        ...

    async def survey(self) -> frozenset[RankKey]:
        """Find the ranks of which processes are on this host, recorded or not, by looking. SurveyError: unknown."""
        ...

    async def find_end(self, key: RankKey) -> None:
        """Find out how a rank ended that counts as running and of which nothing is there; its end is told as any."""
        ...

    async def end_left(self, key: RankKey) -> bool:
        """Kill the processes of a rank that is recorded as gone, or not at all; whether none is left after a while."""
        ...

    def forget(self, key: RankKey) -> None:
        """Delete what is kept of a rank that is gone, except its output; its key is still never started again."""
        ...

    async def close(self) -> None:
        """Detach. Ranks go on."""
        ...
