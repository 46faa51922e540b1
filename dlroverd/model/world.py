"""Worlds: what the daemon wants a node to run, and what the node's agent sees running."""

from dataclasses import dataclass, replace
from enum import StrEnum

from dlroverd.model.checkpoint import StagedCheckpoint, Verdict
from dlroverd.model.checkup import Checkup, CheckupSeen
from dlroverd.model.difference import Difference
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.job import JobSpec, RankState
from dlroverd.model.node import DeviceObservation
from dlroverd.model.signal import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGrant:
    """A node's part of a gang: how many ranks it runs and on which devices (empty on a CPU host)."""

    node: str
    slots: int
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where the agent of another node answers: at `port` of each of `addresses`, the likeliest first."""

    node: str
    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Tells ranks that they will be stopped, why, and when at the latest (the daemon's wall clock, seconds)."""

    reason: str
    by: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Saves:
    """When the ranks of a world are to save. All go by step numbers alone, so that all of them save at the same step.

    `at`: at the first step from this one on, since a stop is planned; -1: none is. `every`: each so many steps, counted
    from step `since` on; 0: never by themselves. Up to `since` they save each `was_every` steps from `was_since` on.
    """

    at: int = -1
    every: int = 0
    since: int = 0
    was_every: int = 0
    was_since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One gang's part on one node in one round: ranks `first_rank .. first_rank + nproc - 1`.

    Members are never listed to each other (linear work): a rank finds the others at the master. `checking`: no rank
    is to be started yet; the node says by a `NodeCheck` whether they could be, and by which of the addresses of
    `master` (the node of rank 0) it reaches that. `peers` are few other nodes of the world: who is cut off from
    the daemon asks them whether the world still counts. `notice`: its ranks are to save what they have; `saves`: when
    they do, if they ask (dlroverd_train.should_checkpoint).
    """

    round: RoundKey
    world_size: int
    group_rank: int
    group_world_size: int
    first_rank: int
    nproc: int
    master_addr: str
    master_port: int
    restart_count: int
    devices: tuple[str, ...] = ()
    checking: bool = False
    master: Peer | None = None
    peers: tuple[Peer, ...] = ()
    notice: Notice | None = None
    saves: Saves | None = None

    def ranks(self) -> tuple[RankKey, ...]:
        """The ranks this node runs, in order of local rank."""
        return tuple(self.round.rank(r) for r in range(self.first_rank, self.first_rank + self.nproc))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Stop every rank of the gang up to and including `round`. Kept until all are seen gone.

    Survivors get up to `evidence_s` to say why they fail (their error names the cause), then TERM,
    then after `grace_s` KILL of the whole tree.
    """

    round: RoundKey
    grace_s: float
    evidence_s: float
    reason: str


class DrillKind(StrEnum):
    """A fault made on purpose. `freeze_rank` stops a rank's whole tree, `hang_rank` its main process only."""

    KILL_RANK = "kill_rank"
    FREEZE_RANK = "freeze_rank"
    HANG_RANK = "hang_rank"
    KILL_AGENT = "kill_agent"
    LOSE_NODE = "lose_node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A rehearsal ordered of one node, carried out at most once. What is frozen or silenced comes back after `for_s`.

    `rank` is the rank it is about, None for those about the node.
    """

    id: int
    kind: DrillKind
    rank: RankKey | None = None
    for_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDescriptor:
    """A job's resolved spec as a node needs it to start ranks, and to hand the job back at adoption."""

    job: int
    spec: JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All that one node should run and stop, as of `position` in the log `log_id`.

    `jobs` are those of the assignments, and those whose memory of checkpoints is kept here for their next world. What
    is not in it is left running: only a tombstone stops a rank. `adopt_from` is the log id of which a person has said
    that this log takes its place ("" otherwise). `suspects` are silent nodes that this one is to call and to say of
    whether they answer. `reboot` names the boot that its host is to end, "" if none: it is to be rebooted, once.
    `audit` counts the audits of a session: when it changes, all that is seen is to be told again. `verdicts` are on the
    saves that the node has staged. `checkups` are to be made, each until it is listed no more.
    """

    log_id: str
    position: int
    adopt_from: str = ""
    jobs: tuple[JobDescriptor, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    suspects: tuple[Peer, ...] = ()
    drills: tuple[Drill, ...] = ()
    reboot: str = ""
    audit: int = 0
    verdicts: tuple[Verdict, ...] = ()
    checkups: tuple[Checkup, ...] = ()

    def only_forgets(self, told: "Desired") -> bool:
        """Whether all that is new in it, beside `told`, is that tombstones are gone, as they are carried out."""
        if self.assignments != told.assignments or not set(self.tombstones) < set(told.tombstones):
            return False  # as most often
        return replace(self, position=told.position, audit=told.audit, tombstones=told.tombstones) == told


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCheck:
    """What a node found before the start of a world's ranks there; "" is good.

    `problem`: why they cannot start (no such folder, no such user ...). `mismatch`: how the code here differs from
    that on the node of rank 0. `reached`: those addresses of that node at which its agent answered.
    """

    round: RoundKey
    problem: str = ""
    mismatch: str = ""
    reached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectSeen:
    """Whether the agent of a silent node answers this one. Nothing is said before the first call has ended."""

    node: str
    answers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RankObservation:
    """What an agent sees of one rank. Times are the agent's wall clock, seconds.

    `unkillable` names processes of it that KILL has not ended for seconds, as `pid (name) state`. They are stuck in the
    kernel, and will never run the rank's code again.
    """

    key: RankKey
    state: RankState
    pid: int = 0
    started_at: float = 0.0
    exit: ExitInfo | None = None
    unkillable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckRank:
    """A rank that cannot be ended, and the processes of it that are left."""

    key: RankKey
    processes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All ranks an agent knows that no newer desired state has let it forget.

    `version` rises with each change; `position` is that of the desired state it had applied, so that a rank
    which should be there and is not can be told from one that is still on its way. `checks` are those of the worlds
    that this node holds part of, `suspects` those of the newest desired state, `devices` all that are known here;
    `differences` are the newest that the agent found; `staged` are saves that wait for a verdict, or for it to be
    carried out; `signals` are the newest of this boot; `checkups` are those that are asked for and made. `surveyed` is
    the newest audit of the session since which the agent looked what really runs on its host.
    """

    version: int
    position: int = 0
    ranks: tuple[RankObservation, ...] = ()
    checks: tuple[NodeCheck, ...] = ()
    suspects: tuple[SuspectSeen, ...] = ()
    devices: tuple[DeviceObservation, ...] = ()
    differences: tuple[Difference, ...] = ()
    staged: tuple[StagedCheckpoint, ...] = ()
    checkups: tuple[CheckupSeen, ...] = ()
    signals: tuple[Signal, ...] = ()
    surveyed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an agent was told to run, as it keeps it on disk: enough for another daemon to adopt the job.

    `jobs` are as in Desired.
    """

    assignments: tuple[Assignment, ...] = ()
    jobs: tuple[JobDescriptor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The highest training step a gang was seen at on a node, and when (the agent's wall clock, seconds).

    `checkpoint` is the step of the newest complete checkpoint that its ranks told of, -1 before the first. `asks`: all
    of them there ask at each step whether to save. `moved_at` is when any of them was last seen to count on, be it back
    (the agent's wall clock); 0 if it does not tell.
    """

    round: RoundKey
    step: int
    at: float
    checkpoint: int = -1
    asks: bool = False
    moved_at: float = 0.0
