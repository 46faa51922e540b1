"""Readings for people: each with its unit, `-` for what is not known."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dlroverd.cli import output

if TYPE_CHECKING:
    from dlroverd.model.node_view import ReadingView
    from dlroverd.model.view import JobView, RankView

_WORDS = {
    "cpu_ratio": "CPU",
    "memory_bytes": "memory",
    "step_seconds": "step",
    "loss": "loss",
    "device_busy_ratio": "device",
    "device_memory_used_bytes": "device memory",
}
_COLUMNS = ("step_seconds", "cpu_ratio", "memory_bytes", "device_busy_ratio", "device_memory_used_bytes")
TITLES = ("STEP TIME", "CPU", "MEMORY", "DEVICE", "DEVICE MEMORY")


def quantity(name: str, value: float | None) -> str:
    """Give a reading with the unit that its name ends in: 97 %, 67.2 GiB, 71 °C, 412 W, 1.2 MiB/s, 0.413 s."""
    if value is None:
        return "-"
    if name.endswith("_bytes_per_second"):
        return f"{_size(value)}/s"
    for ending, said in (
        ("_bytes", _size(value)),
        ("_ratio", f"{value:.0%}".replace("%", " %")),
        ("_celsius", f"{value:.0f} °C"),
        ("_watts", f"{value:.0f} W"),
        ("_seconds", f"{value:.3g} s"),
        ("_per_second", f"{value:.3g}/s"),
    ):
        if name.endswith(ending):
            return said
    return f"{value:.4g}" if name == "loss" else f"{value:.1f}".removesuffix(".0")


def show(what: str, readings: Iterable["ReadingView"]) -> None:
    """Show the readings of one thing, if there are any: now, and over the last hour."""
    rows = [
        [
            each.metric.removeprefix("host_").removeprefix("device_"),
            *(quantity(each.metric, value) for value in (each.value, each.mean, each.least, each.most)),
        ]
        for each in readings
    ]
    if rows:
        output.table([what, "NOW", "MEAN OF AN HOUR", "LEAST", "MOST"], rows)


def brief(readings: Sequence["ReadingView"], names: Iterable[str]) -> list[str]:
    """Give the newest values of some metrics and from where to where they went in the last hour, as cells of a row."""
    known = {each.metric: each for each in readings}
    return [_brief(known[name]) if name in known else "-" for name in names]


def _brief(reading: "ReadingView") -> str:
    now, least, most = (quantity(reading.metric, each) for each in (reading.value, reading.least, reading.most))
    return now if least == most else f"{now} ({least} to {most})"


def of_rank(rank: "RankView") -> list[str]:
    """Give the cells of a rank under TITLES."""
    return [quantity(name, getattr(rank.readings, name, None)) for name in _COLUMNS]


def of_job(job: "JobView") -> str:
    """Say in a sentence how a job's ranks do, in the median and from the least to the most; "" if nothing is known."""
    parts = [] if job.steps_per_second is None else [f"{job.steps_per_second:.3g} steps/s"]
    for each in job.spreads:
        said = f"{_WORDS.get(each.reading, each.reading)} {quantity(each.reading, each.median)}"
        if each.ranks > 1:
            said += f" ({quantity(each.reading, each.least)} to {quantity(each.reading, each.most)})"
        parts.append(said)
    odd = f" Furthest from the others is {job.odd}." if job.odd else ""
    return f"Its ranks now: {', '.join(parts)}.{odd}" if parts else ""


def _size(size: float) -> str:
    """Give bytes as 812 B or 1.2 GiB."""
    power = 0
    while abs(size) >= 1000.0 and power < 5:
        size, power = size / 1024, power + 1
    return f"{size:.0f} B" if power == 0 else f"{size:.1f} {'KMGTP'[power - 1]}iB"
