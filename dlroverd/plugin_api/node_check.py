"""What a node check gives: one thing that is looked at on a host, and what was found, in a sentence."""

import math
import re
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from dlroverd.model.checkup import CheckLevel, CheckState, Figure, Meeting
from dlroverd.model.node import DeviceObservation

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# As long as a check may ever take; `NodeCheck.cap_s` says for how long one may.
LONGEST_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedJob:
    """The job that a node is checked for: as whom its ranks run, with which program, where, and with what set."""

    uid: int
    gid: int
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What the agent knows of its host when a check is made.

    `state_dir` is where it keeps ranks' output, `address` by which other nodes reach it ("" if it does not know).
    `clock_off_s` is how far its clock is ahead of the daemon's (less than 0: behind), None where no daemon said its
    own. `devices` are its accelerators as they are now; `busy`: ranks run here. `python` is an interpreter that may
    have torch, and `job` the job whose folders are looked at, None for none. `meeting` is this node's place among those
    of a check that takes several, None for one that does not.
    """

    node: str
    state_dir: str
    python: str
    address: str = ""
    clock_off_s: float | None = None
    devices: tuple[DeviceObservation, ...] = ()
    busy: bool = False
    job: CheckedJob | None = None
    meeting: Meeting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckVerdict:
    """What a check found; see `CheckResult` for the rest. `unknown` where it cannot tell: it condemns nobody."""

    state: CheckState
    sentence: str
    figures: tuple[Figure, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    of_job: bool = False


@runtime_checkable
class NodeCheck(Protocol):
    """Looks at one thing on the host it runs on."""

    @property
    def name(self) -> str:
        """What it is called: a letter, then letters, digits and `_`, all small; the same for ever."""
        ...

    @property
    def level(self) -> CheckLevel:
        """How deep it goes: `instant` only looks, `light` works the host."""
        ...

    @property
    def cap_s(self) -> float:
        """After how many seconds it is ended, and what it would have found is unknown; 600 at most."""
        ...

    @property
    def meets(self) -> bool:
        """Whether it takes several nodes, which then run it at once, each with its place in `CheckContext.meeting`."""
        ...

    def run(self, context: CheckContext) -> CheckVerdict:
        """Look, and say what was found. What it raises counts as unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """What a `NodeCheck` says of itself."""

    name: str
    level: CheckLevel
    cap_s: float
    meets: bool = False


def spec_of(check: NodeCheck) -> CheckSpec:
    """Read off what a check says of itself."""
    return CheckSpec(name=check.name, level=check.level, cap_s=check.cap_s, meets=check.meets)


def broken_check(spec: CheckSpec) -> str:
    """Name the rule that a check breaks; "" if it keeps all."""
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"{spec.name!r:.60} is no usable name: a letter, then up to 39 letters, digits and '_', all small"
    if not isinstance(spec.level, CheckLevel):
        return f"check {spec.name} has the level {spec.level!r:.40}; there are {', '.join(CheckLevel)}"
    if not isinstance(spec.cap_s, int | float) or not 0 < spec.cap_s <= LONGEST_S:
        return f"check {spec.name} may take {spec.cap_s!r:.40} s; use more than 0 and at most {LONGEST_S:g}"
    return ""


def broken_verdict(verdict: CheckVerdict) -> str:
    """Name the rule that a verdict breaks; "" if it keeps all."""
    if not verdict.sentence.strip():
        return "its verdict says nothing"
    for figure in verdict.figures:
        if not math.isfinite(figure.value):
            return f"its figure {figure.name} is {figure.value}, which is no number"
        if figure.worse not in ("", "more", "less"):
            return f"its figure {figure.name} is worse the {figure.worse!r:.20}; use more, less or nothing"
    return ""
