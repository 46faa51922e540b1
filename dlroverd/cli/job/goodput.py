"""`dlroverctl job goodput`: where the time of jobs, and of the nodes that they held, went."""

from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options, output, sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlroverd.model.view import GoodputView, JobView, TimesView


@click.command("goodput")
@click.argument("job", type=click.IntRange(min=1), required=False)
@options.output("table", "json", "yaml")
@options.address
def command(job: int | None, output_: str, address: str | None) -> None:
    """Show how much of its time a job, or each, used for steps that count, and what the rest went to.

    Goodput is the productive share of the time since a job first had its nodes.
    """
    with options.connect(address) as client:
        jobs = client.jobs() if job is None else [client.job(job)]
    known = [(each, each.goodput) for each in jobs if each.goodput is not None]
    fleet = _total([goodput for _, goodput in known])
    if output_ == "table":
        _show(known, fleet)
    else:
        content = {"jobs": [_document(each, goodput) for each, goodput in known], "fleet": fleet}
        output.document("goodput", content, output_)


def _total(goodputs: "Sequence[GoodputView]") -> dict[str, Any]:
    """Give the node-seconds of all jobs by category, and the productive share of them; None if none was held."""
    node_s = {name: sum(getattr(each.node_times, name) or 0.0 for each in goodputs) for name in sentences.CATEGORIES}
    if all(each.node_times.checkpointing is None for each in goodputs):
        node_s["checkpointing"] = None
    whole = sum(amount or 0.0 for amount in node_s.values())
    return {"goodput": node_s["productive"] / whole if whole else None, "node_seconds": {**node_s, "total": whole}}


def _document(job: "JobView", goodput: "GoodputView") -> dict[str, Any]:
    return {"id": job.id, "name": job.name, "state": job.state, **output.plain(goodput)}


def _show(known: "Sequence[tuple[JobView, GoodputView]]", fleet: dict[str, Any]) -> None:
    if not known:
        output.notice("no jobs")
        return
    titles = ["ID", "NAME", "STATE", "GOODPUT", *(name.upper() for name in sentences.CATEGORIES), "WALL"]
    rows = [
        [str(job.id), job.name, job.state, _share(each.goodput), *_spans(each.times), output.span(each.wall_s)]
        for job, each in known
    ]
    output.table(titles, rows)
    click.echo()
    click.echo(
        f"Nodes held by {'these jobs' if len(known) > 1 else 'this job'}: {_share(fleet['goodput'])} of "
        f"{fleet['node_seconds']['total']:.1f} node-seconds productive."
    )


def _share(part: float | None) -> str:
    return "-" if part is None else sentences.share(part)


def _spans(times: "TimesView") -> list[str]:
    spans = [getattr(times, name) for name in sentences.CATEGORIES]
    return ["-" if seconds is None else output.span(seconds) for seconds in spans]
