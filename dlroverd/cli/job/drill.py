"""`dlroverctl job drill`: make a fault on purpose, and see what it costs beside what it should."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options, output, rehearsal, sentences
from dlroverd.cli.drilling import Drilling, Outcome, first_start
from dlroverd.cli.endings import CommandError, Exit
from dlroverd.cli.rehearsal import LASTING, OF_RANKS, Fault, Plan, Surroundings
from dlroverd.model.world import DrillKind

if TYPE_CHECKING:
    from dlroverd.model.view import GangView, JobView

_DEFAULT_FOR = "30s"
_RANK = click.IntRange(min=0)


@click.command("drill")
@options.job
@click.option("--kill-rank", type=_RANK, metavar="RANK", help="SIGKILL its main process.")
@click.option("--freeze-rank", type=_RANK, metavar="RANK", help="Stop all its processes for a while.")
@click.option("--hang-rank", type=_RANK, metavar="RANK", help="Stop its main process for a while.")
@click.option("--kill-agent", metavar="NODE", help="SIGKILL the agent of a node of the job.")
@click.option("--lose-node", metavar="NODE", help="Have a node of the job behave as if frozen for a while.")
@click.option("--role", help="Of the rank, if the job has several.")
@click.option("--gang", type=_RANK, help="Of the rank, if its role has several.")
@click.option("--for", "for_", metavar="DURATION", help=f"How long a while is.  [default: {_DEFAULT_FOR}]")
@options.yes
@options.output("text", "json", "yaml")
@options.address
def command(
    *,
    job: int,
    role: str | None,
    gang: int | None,
    for_: str | None,
    yes: bool,
    output_: str,
    address: str | None,
    **kinds: int | str | None,
) -> None:
    """Make a fault of a running job on purpose, and show what it costs beside what is expected.

    Ends with 0 once the job has made a step after the fault, with 4 when it has not in the time that is named.
    """
    kind, target = _kind(kinds)
    for_s = _for_s(kind, for_)
    with options.connect(address) as client:
        view = client.job(job, with_spec=True)
        fault = _fault(view, kind, target, role=role, gang=gang, for_s=for_s)
        info = client.info()
        start = first_start(client, job)
        plan = rehearsal.plan(view, fault, Surroundings(info.settings, client.nodes(), start))
        _show_plan(plan, err=output_ != "text")
        options.confirm("Do it?", yes=yes)
        outcome = Drilling(client, view, fault, plan.limit_s).run()
    if output_ == "text":
        _show_outcome(plan, outcome)
    else:
        output.document("drill", _document(view, fault, plan, outcome), output_)
    if outcome.code:
        raise CommandError(outcome.sentence, outcome.code)


def _kind(kinds: Mapping[str, int | str | None]) -> tuple[DrillKind, int | str]:
    given = [(DrillKind(name), target) for name, target in kinds.items() if target is not None]
    if len(given) != 1:
        raise click.UsageError(f"Name one fault: {', '.join(map(_flag, DrillKind))}.")
    return given[0]


def _flag(kind: DrillKind) -> str:
    return f"--{kind.replace('_', '-')}"


def _for_s(kind: DrillKind, for_: str | None) -> float:
    from dlroverd.config.durations import parse_duration

    if kind not in LASTING:
        if for_ is not None:
            raise click.UsageError(f"--for: what {_flag(kind)} does is done at once; drop it.")
        return 0.0
    try:
        return parse_duration(for_ or _DEFAULT_FOR)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}.") from None


def _fault(
    job: "JobView", kind: DrillKind, target: int | str, *, role: str | None, gang: int | None, for_s: float
) -> Fault:
    """Find what a fault is made at; whether it can be is for the daemon to say."""
    if job.state in sentences.FINAL_STATES:
        raise CommandError(f"Job {job.id} has already {job.state}; a drill needs it running.")
    if kind not in OF_RANKS:
        if role is not None or gang is not None:
            raise click.UsageError(f"--role and --gang are for faults of a rank; drop them with {_flag(kind)}.")
        node = str(target)
        if node not in sentences.nodes(job):
            raise CommandError(f"Job {job.id} has no rank on {node}; it is on {', '.join(sentences.nodes(job))}.")
        return Fault(kind=kind, node=node, for_s=for_s)
    worlds = [each for each in _worlds(job) if role in (None, each[0]) and gang in (None, each[1].gang)]
    if len(worlds) != 1:
        names = ", ".join(f"--role {name} --gang {each.gang}" for name, each in _worlds(job))
        raise CommandError(
            f"Which rank {target} of job {job.id} is meant is not clear; add one of: {names}.", Exit.USAGE
        )
    ((name, world),) = worlds
    for rank in world.ranks:
        if rank.rank == target:
            return Fault(kind=kind, node=rank.node, role=name, gang=world.gang, rank=rank.rank, for_s=for_s)
    raise CommandError(f"Job {job.id} has no rank {target}; see `dlroverctl job status {job.id}`.")


def _worlds(job: "JobView") -> "Iterator[tuple[str, GangView]]":
    for role in job.roles:
        for gang in role.gangs:
            yield role.name, gang


def _show_plan(plan: Plan, *, err: bool) -> None:
    from dlroverd.config.durations import format_duration

    click.echo(plan.happens, err=err)
    click.echo(plan.follows, err=err)
    rows = [[_title(each.phase), _seconds(each.seconds), each.source] for each in plan.phases]
    click.echo(err=err)
    output.table(["PHASE", "EXPECTED", "FROM"], rows, sys.stderr if err else sys.stdout)
    click.echo(f"\nThe job is followed for at most {format_duration(round(plan.limit_s))}.", err=err)


def _show_outcome(plan: Plan, outcome: Outcome) -> None:
    click.echo()
    if rows := _compared(plan, outcome):
        output.table(
            ["PHASE", "EXPECTED", "MEASURED"],
            [[_title(row["phase"]), _seconds(row["expected_s"]), _seconds(row["measured_s"])] for row in rows],
        )
        click.echo()
    if not outcome.code:
        click.echo(f"{outcome.sentence[:1].upper()}{outcome.sentence[1:]}.")


def _compared(plan: Plan, outcome: Outcome) -> list[dict[str, Any]]:
    """Lay what was measured beside what was expected; what was not expected comes as it was measured."""
    expected = {each.phase: each for each in plan.phases}
    phases = [phase for phase in rehearsal.PHASES if phase in expected or phase in outcome.measured]
    return [
        {
            "phase": phase,
            "expected_s": expected[phase].seconds if phase in expected else None,
            "source": expected[phase].source if phase in expected else "",
            "measured_s": outcome.measured.get(phase),
        }
        for phase in phases
    ]


def _document(job: "JobView", fault: Fault, plan: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "fault": output.plain(fault),
        "outcome": outcome.name,
        "sentence": outcome.sentence,
        "phases": _compared(plan, outcome),
        "incident": output.plain(outcome.incident) if outcome.incident is not None else None,
    }


def _title(phase: str) -> str:
    return phase.replace("_", " ")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
