"""`dlroverctl sim run`: a scenario's days, and what came of them."""

import json
import sys
from typing import Any

import click

from dlroverd.cli import output
from dlroverd.cli.sim import simulating


@click.command("run")
@simulating.scenario
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(file: str, as_json: bool, **asked: Any) -> None:
    """Run the days of a scenario file in virtual time, and say what came of its jobs, faults and goodput."""
    summary: dict[str, Any] = {}
    for line in simulating.lines("run", file, asked):
        said = json.loads(line)
        if "summary" in said:
            summary = said["summary"]
        elif sys.stderr.isatty():
            text = f"day {said['day']:.1f} of {said['of']:g}: {said['turns']} turns, {said['events']} events"
            click.echo(f"\r{text}\x1b[K", err=True, nl=False)
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    if as_json:
        output.document("simulation", {"simulation": summary}, "json")
    else:
        _show(summary)


def _show(summary: dict[str, Any]) -> None:
    goodput = summary["goodput"]
    facts = {
        "fleet": f"{summary['nodes']} nodes, {summary['days']:g} days, seed {summary['seed']}",
        "goodput": f"{goodput['productive']:.4%}",
        "redone": f"{goodput['redone']:.4%}",
        "checkpointing": f"{goodput['checkpointing']:.4%}",
        "loading": f"{goodput['loading']:.4%}",
        "away": f"{goodput['away']:.4%} (noticing, stopping, waiting for nodes, starting)",
        "ETTR": f"{goodput['ettr']:.4%} (with the first wait in the queue)",
        "jobs": _counts(summary["jobs"]) + (f", {summary['refused']} refused" if summary["refused"] else ""),
        "faults": _counts(summary["faults"]) or "none",
        "waits": ", ".join(f"{name} {_time(value)}" for name, value in summary["waits_s"].items()),
        "restarts": f"{summary['restarts']}, of them with other nodes {summary['reschedules']}",
        "preemptions": str(summary["preemptions"]),
        "daemon": f"{summary['daemon_crashes']} crashes, {summary['events']} events in {summary['turns']} turns",
        "checked": f"each turn what it touched, {summary['full_checks']} times everything",
        "speed": f"{summary['events'] / (summary['cpu_s'] or 1.0):.0f} events/s, {_time(summary['wall_s'])} in all",
        "log": summary["log"],
    }
    for name, value in facts.items():
        click.echo(f"{name:<14}{value}")
    if summary["causes"]:
        click.echo()
        phases = list(next(iter(summary["causes"].values()))["phases_s"])
        rows = [
            [
                kind,
                str(cause["incidents"]),
                *(_time(cause["phases_s"][name]) for name in phases),
                _time(cause["total_s"]),
            ]
            for kind, cause in summary["causes"].items()
        ]
        output.table(["CAUSE", "INCIDENTS", *(name.upper() for name in phases), "TOTAL"], rows)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _time(time_s: float) -> str:
    for unit, size_s in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if time_s >= size_s:
            return f"{time_s / size_s:.1f} {unit}"
    return f"{time_s:.1f} s"
