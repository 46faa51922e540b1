"""The table: all rows in the order in which they are tried.

What was never started comes first, then what the kernel says, then what the rank itself said: of its device, of its
peers, of its host, of its code. How it was killed comes last, since a survivor that could say "connection closed by
peer" before it was stopped is a victim, whatever signal ended it.
"""

from functools import lru_cache
from typing import NamedTuple

from dlroverd.core.classify.collective import COLLECTIVES
from dlroverd.core.classify.cuda import DEVICES
from dlroverd.core.classify.exits import CODES, HOSTS, SIGNALS, STOPPED
from dlroverd.core.classify.host import HOST
from dlroverd.core.classify.launch import KERNEL, LAUNCH
from dlroverd.core.classify.python import EXCEPTIONS, HOPELESS
from dlroverd.core.classify.rule import Ended, Rule
from dlroverd.core.records import RankRecord
from dlroverd.model.fault import Cause, ErrorReport, ExitInfo

RULES: tuple[Rule, ...] = (
    *LAUNCH,
    *KERNEL,
    *HOPELESS,
    *DEVICES,
    *COLLECTIVES,
    *HOST,
    *EXCEPTIONS,
    *STOPPED,
    *SIGNALS,
    *CODES,
    *HOSTS,
)


def succeeded(exit_: ExitInfo | None) -> bool:
    """Whether a rank ended as it should."""
    return exit_ is not None and exit_.code == 0


def classify(rank: RankRecord, exit_: ExitInfo) -> Cause:
    """Name what ended `rank` by the first matching row."""
    rule, said = explain(exit_)
    sentence = f"rank {rank.key.rank} on {rank.node} {said}"
    return Cause(
        kind=rule.kind,
        rule=rule.name,
        sentence=sentence,
        rank=rank.key,
        node=rank.node,
        exit=exit_,
        remedy=rule.remedy,
    )


def explain(exit_: ExitInfo) -> tuple[Rule, str]:
    """Give the first row that matches an end, and what it says of it."""
    how = _How(
        exit_.code,
        exit_.signal,
        exit_.requested,
        exit_.launch_error,
        exit_.lost,
        exit_.error,
        exit_.output_tail,
        exit_.result,
    )
    return _explain(how)


class _How(NamedTuple):
    """An end without its time and step, in which thousands of ranks that were stopped together are alike."""

    code: int | None
    signal: int | None
    requested: bool
    launch_error: str
    lost: str
    error: ErrorReport | None
    output_tail: str
    result: str


@lru_cache(maxsize=64)
def _explain(how: _How) -> tuple[Rule, str]:
    end = Ended.of(ExitInfo(exited_at=0.0, **how._asdict()))
    rule = next(rule for rule in RULES if rule.matches(end))
    return rule, rule.sentence(end)
