"""The built-in rule for stragglers: which rank holds up its world, by how much, and what goes with it.

In synchronous training all steps take as long as those of the slowest rank, so step times say nothing. What differs is
what a rank does by itself before it waits for the others (`rank_work_seconds`). Where ranks keep their own pace, their
step times do differ, and serve when no rank tells its work.

A rank is slow if it is beyond the others by a robust score, the modified z-score of B. Iglewicz and D. Hoaglin, "How
to Detect and Handle Outliers" (1993): the distance to the median over 1.4826 times the median absolute deviation. They
take 3.5 for one look at one sample; here it is 4.5, since many ranks are looked at many times. Up to half of the ranks
may be slow without hiding each other, as they would in mean and standard deviation. What is compared is how far each
reading is from what the ranks had at the same time, so that what all of them have, as a longer batch or a busy host,
is no scatter. It must also matter, as a share of the step, and last: in all but one of its last readings.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping

from dlroverd.builtin.straggler_signs import signs
from dlroverd.model.diagnosis import WorldRank
from dlroverd.plugin_api import Action, Conclusion, DiagnosisRule, Finding, Remedy, WorldView, hookimpl

DLROVERD_API = 1

_SCORE, _MAD = 4.5, 1.4826
# Of so many readings in a row all but this many; and so many ranks: of two, nobody knows which is slow.
_LASTING, _STRAY, _LEAST_RANKS = 5, 1, 3
# Less than a tenth of a step is not worth a word; one that was named is let go at half of what names one.
_MATTERS, _LET_GO = 0.1, 0.5
# Ranks that are alike to a hair would have no scatter, and every one a score.
_LEAST_SCATTER = 0.03
_CHANGED = 1.1
# How sure it is of one that is slower than the others, by what its own past says: it was faster, nothing, no different.
_SURE, _BY_PEERS_ALONE, _UNCHANGED = 0.95, 0.8, 0.6
WORK, STEP = "rank_work_seconds", "rank_step_seconds"


class StragglerRule:
    """Compares the ranks of a world with each other and with their own past."""

    def observe(self, view: WorldView) -> tuple[Finding, ...]:
        """Find the ranks that are slow; those of one node are one finding, if all of its ranks are slow."""
        for metric in (WORK, STEP):
            told = {rank.rank: (rank, values) for rank in view.ranks if (values := _lasting(rank, metric))}
            if len(told) >= _LEAST_RANKS:
                return _findings(view, metric, told)
        return ()

    def conclude(self, findings: tuple[Finding, ...]) -> tuple[Conclusion, ...]:
        """Say how sure each is: it is doubtful of one that was always so, which may just have more to do."""
        return tuple(
            Conclusion(
                kind="straggler",
                sentence=each.sentence,
                confidence={"slower": _SURE, "slow": _BY_PEERS_ALONE}.get(each.kind, _UNCHANGED),
                rank=each.rank,
                node=each.node,
                since=each.since,
                evidence=each.evidence,
            )
            for each in findings
        )

    def prescribe(self, conclusions: tuple[Conclusion, ...]) -> tuple[Action, ...]:
        """Have the node of one that is slow for no reason of its own replaced."""
        return tuple(
            Action(remedy=Remedy.REPLACE, kind=each.kind, rank=each.rank, node=each.node)
            for each in conclusions
            if each.confidence >= _BY_PEERS_ALONE
        )


_Told = Mapping[int, tuple[WorldRank, tuple[float, ...]]]


def _lasting(rank: WorldRank, metric: str) -> tuple[float, ...]:
    """Give a rank's last readings, if there are enough that make sense."""
    reading = rank.readings.get(metric)
    recent = reading.recent[-_LASTING:] if reading is not None else ()
    sane = len(recent) == _LASTING and all(math.isfinite(each) and each >= 0.0 for each in recent)
    return recent if sane else ()


def _findings(view: WorldView, metric: str, told: _Told) -> tuple[Finding, ...]:
    step_s = _middle(
        reading.value for rank in view.ranks if (reading := rank.readings.get(STEP)) is not None and reading.value > 0
    )
    middle = statistics.median(statistics.median(values) for _, values in told.values())
    usual = [statistics.median(at_once) for at_once in zip(*(values for _, values in told.values()), strict=True)]
    beyond = {rank: [a - b for a, b in zip(values, usual, strict=True)] for rank, (_, values) in told.items()}
    newest = {rank: statistics.median(each) for rank, each in beyond.items()}
    scatter = max(_MAD * statistics.median(abs(each) for each in newest.values()), _LEAST_SCATTER * middle)
    line = max(_SCORE * scatter, _MATTERS * (step_s or middle))
    before = {each.rank if each.rank >= 0 else each.node: each for each in view.standing}
    slow = {}
    for rank, (known, _) in told.items():
        was = before.get(rank) or before.get(known.node)
        least = line * (_LET_GO if was is not None else 1.0)
        if middle > 0.0 and sorted(beyond[rank])[_STRAY] > least:
            slow[rank] = was
    if len(slow) * 2 > len(told):
        return ()  # then it is not known who is slow
    groups: dict[str, list[int]] = {}
    for rank in told:
        groups.setdefault(told[rank][0].node, []).append(rank)
    found = []
    for node, ranks in groups.items():
        together = len(ranks) > 1 and all(rank in slow for rank in ranks)
        for whom in [ranks] if together else [[rank] for rank in ranks if rank in slow]:
            took = middle + statistics.median(newest[rank] for rank in whom)
            found.append(_finding(view, metric, node, whom, slow[whom[0]], took, middle))
    return tuple(found)


def _finding(  # noqa: PLR0917 - one thing, told by all that is known of it
    view: WorldView, metric: str, node: str, ranks: list[int], was: Conclusion | None, took: float, middle: float
) -> Finding:
    """Tell of slow ranks, one of them, or all of a node."""
    own = [rank.readings[metric] for rank in view.ranks if rank.rank in ranks]
    past = _middle(reading.past for reading in own if reading.past is not None)
    sure = was is not None and was.confidence >= _BY_PEERS_ALONE
    kind = "slow" if past is None else "slower" if sure or took > _CHANGED * past else "unchanged"
    who = f"rank {ranks[0]} on {node}" if len(ranks) == 1 else f"every rank on {node}"
    if metric == WORK:
        said = f"{who} takes {took:.3g} s for its own part of a step, the others {middle:.3g} s"
        said += f", so each step takes {took - middle:.2g} s longer"
    else:
        said = f"{who} takes {took:.3g} s for a step, the others {middle:.3g} s"
    seen = signs(view, node, frozenset(ranks))
    if seen:
        said += f"; seen with it: {', '.join(each.name for each in seen)}"
    evidence = [] if past is None else [f"before, it took {past:.3g} s itself"]
    return Finding(
        kind=kind,
        sentence=said,
        value=took / middle,
        rank=ranks[0] if len(ranks) == 1 else -1,
        node=node,
        since=was.since if was is not None else view.now,
        evidence=(*evidence, *(each.said for each in seen)),
    )


def _middle(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


@hookimpl
def dlroverd_register_diagnosis(register: Callable[[DiagnosisRule], None]) -> None:
    """Hand over the rule."""
    register(StragglerRule())
