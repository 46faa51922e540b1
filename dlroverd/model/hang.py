"""Hangs: what a gang is at, how long it may make no step meanwhile, and what was found when it made none for longer."""

from dataclasses import dataclass, field
from enum import StrEnum

from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.reputation import AutomationStage


class Phase(StrEnum):
    """What a gang is at. Ranks tell of INIT, CHECKPOINT, EVALUATE and IDLE; the rest is learnt from their steps.

    FIRST_STEP lasts until a world's first step: libraries start, kernels are compiled.
    """

    STEP = "step"
    INIT = "init"
    CHECKPOINT = "checkpoint"
    EVALUATE = "evaluate"
    IDLE = "idle"
    FIRST_STEP = "first_step"


# Of several that ranks of a gang are at, the one that waits longest counts.
PATIENCE = (Phase.STEP, Phase.CHECKPOINT, Phase.EVALUATE, Phase.FIRST_STEP, Phase.INIT, Phase.IDLE)
# What a job file says instead of a stage to have no hang looked for.
OFF = "off"
# Below this confidence nothing is done by itself.
SURE = 0.8


class HangKind(StrEnum):
    """What a rank does, that a gang waits for."""

    STOPPED = "stopped"
    KERNEL = "kernel"
    SPINNING = "spinning"
    IO = "io"
    IDLE = "idle"
    LOADER = "loader"
    COLLECTIVE = "collective"
    NETWORK = "network"
    ABSENT = "absent"
    WORKING = "working"


@dataclass(frozen=True, slots=True, kw_only=True)
class GangPhase:
    """What the ranks of a gang on one node are at, and since when (the agent's wall clock, seconds)."""

    round: RoundKey
    phase: str
    since: float


# The least budgets. Of steps: twice as long as a silent host takes to be known as that (5 s), and longer than most
# links flap or bursts of write-back last; and so much less than 30 s that what follows (beats, three looks at
# stacks) is over by 20 s. Of anything else: checkpoints and evaluations differ by minutes among themselves.
_STEP_FLOOR_S, _FLOOR_S = 10.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HangLimits:
    """How long a gang may make no step before its stacks are looked at, and what follows a hang.

    stage      whether a gang that hangs is restarted, that is advised, or noted
    floors_s   a budget is never less than this, by phase
    ceilings_s and never more; it is this much before anything is learnt
    """

    stage: AutomationStage = AutomationStage.ADVISE
    floors_s: dict[str, float] = field(
        default_factory=lambda: {Phase.STEP: _STEP_FLOOR_S, **dict.fromkeys((*PATIENCE[1:],), _FLOOR_S)}
    )
    ceilings_s: dict[str, float] = field(
        default_factory=lambda: {
            Phase.STEP: 1800.0,
            Phase.INIT: 1800.0,
            Phase.FIRST_STEP: 1800.0,
            Phase.CHECKPOINT: 1800.0,
            Phase.EVALUATE: 3600.0,
            Phase.IDLE: 86400.0,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a gang may make no step in one phase, and what that was made of."""

    phase: str
    seconds: float
    floor_s: float
    ceiling_s: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HangGroup:
    """Ranks at the same place: what they do, and the innermost calls of their Python stack."""

    ranks: tuple[int, ...]
    doing: str
    frames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HangVerdict:
    """What stacks say of a gang that makes no step. `hung`: the second sign is there.

    `ranks` are those that the others wait for, as far as that can be told, and `node` where the first of them is.
    `absent` are those that nothing is known of. `phase` is what the stacks show to be at work instead, "" if nothing.
    """

    hung: bool
    kind: HangKind
    sentence: str
    confidence: float = 0.0
    ranks: tuple[RankKey, ...] = ()
    node: str = ""
    phase: str = ""
    groups: tuple[HangGroup, ...] = ()
    absent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A gang that may hang, since (the daemon's clock). `verdict` is None until its stacks were looked at.

    `held_back`: why it is not restarted, if it hangs.
    """

    since: float
    step: int
    phase: str
    quiet_s: float
    budget_s: float
    verdict: HangVerdict | None = None
    held_back: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangView:
    """How a gang's steps are watched. `phase` is what it is at, `quiet_s` how long it has made no step."""

    phase: str
    quiet_s: float
    budgets: tuple[Budget, ...] = ()
    off: str = ""
    suspicion: Suspicion | None = None
