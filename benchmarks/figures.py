"""How every benchmark prints a figure: one JSON object a line, or a table line for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`ours` and `other` are medians in the metric's unit; `ratio` is ours / other; `met` is ratio <= target."""

    metric: str
    ours: float
    against: str
    other: float
    ratio: float
    target: float | None
    met: bool | None
    runs: int
    min: float
    max: float


def compare(
    metric: str, ours: Sequence[float], against: str, other: Sequence[float], target: float | None = None
) -> Figure:
    """Put our samples beside the other's; `min` and `max` are ours."""
    mine, theirs = median(ours), median(other)
    ratio = mine / theirs if theirs else float("inf")
    return Figure(
        metric=metric,
        ours=round(mine, 6),
        against=against,
        other=round(theirs, 6),
        ratio=round(ratio, 3),
        target=target,
        met=None if target is None else ratio <= target,
        runs=len(ours),
        min=round(min(ours), 6),
        max=round(max(ours), 6),
    )


def within(metric: str, ours: Sequence[float], limit: float) -> Figure:
    """Put our samples beside a limit of the issue; met when their median is not above it."""
    return compare(metric, ours, "limit", (limit,), 1.0)


def p99(samples: Sequence[float]) -> float:
    """Give the 99th percentile of many samples."""
    return quantiles(samples, n=100, method="inclusive")[98]


def show(figure: Figure, *, as_json: bool) -> None:
    """Print one figure."""
    if as_json:
        print(json.dumps(asdict(figure)), flush=True)
        return
    verdict = "" if figure.met is None else f"  target <= {figure.target:g}: {'met' if figure.met else 'MISSED'}"
    print(
        f"{figure.metric:<44} ours {figure.ours:<10.4g} [{figure.min:.4g} - {figure.max:.4g}] n={figure.runs}  "
        f"{figure.against} {figure.other:<10.4g} ratio {figure.ratio:.3f}{verdict}",
        flush=True,
    )
