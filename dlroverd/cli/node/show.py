"""`dlroverctl node show`: all that is known of one node."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import checking, options, output, readings

if TYPE_CHECKING:
    from dlroverd.model.node_view import ReputationView
    from dlroverd.model.view import NodeDetail

_GIB = 1024**3
_SHOWN_OF_DEVICES = (
    "device_busy_ratio",
    "device_memory_used_bytes",
    "device_temperature_celsius",
    "device_power_watts",
)


@click.command("show")
@click.argument("node")
@options.output(*output.FORMATS)
@options.address
def command(node: str, output_: str, address: str | None) -> None:
    """Show NODE: what it is, who holds it, what runs there, its devices, and what speaks against it."""
    with options.connect(address) as client:
        detail = client.node(node)
    if output_ not in ("table", "wide"):
        output.document("node", {"node": output.plain(detail)}, output_)
        return
    click.echo(f"{detail.why[:1].upper()}{detail.why[1:]}.")
    click.echo()
    _facts(detail)
    _holds(detail)
    _devices(detail)
    _readings(detail, wide=output_ == "wide")
    _checks(detail)
    for reputation in detail.reputations:
        _history(reputation)
    _signals(detail)
    _differences(detail)


def _facts(detail: "NodeDetail") -> None:
    node = detail.node
    labels = ", ".join(f"{name}={value}" for name, value in sorted(node.labels.items()))
    rows = [
        ["state", f"{node.state} since {output.clock(node.since)}: {node.reason}"],
        ["host", f"{detail.hostname}, {', '.join(detail.addresses) or node.address}; agent {node.agent_version}"],
        ["size", f"{detail.cpus} CPUs, {detail.memory_bytes / _GIB:.0f} GiB; {node.free} of {node.slots} slots free"],
        ["jobs", ", ".join(f"job {job}" for job in node.jobs) or "none"],
        *([["labels", labels]] if labels else []),
        *(["note", note] for note in node.notes),
    ]
    output.table(["FACT", ""], rows)


def _holds(detail: "NodeDetail") -> None:
    if not detail.node.holds:
        return
    click.echo()
    rows = [
        [
            each.kind,
            each.owner,
            output.clock(each.since),
            each.mode.replace("_", " ") or "-",
            output.clock(each.deadline) if each.deadline else "-",
            each.reason,
        ]
        for each in detail.node.holds
    ]
    output.table(["HOLD", "OWNER", "SINCE", "JOBS LEAVE", "DEADLINE", "WHY"], rows)


def _devices(detail: "NodeDetail") -> None:
    if not detail.devices:
        return
    click.echo()
    rows = [
        [
            *(each.uuid, each.serial or "-", each.model, each.state, f"job {each.job}" if each.job else "-"),
            *readings.brief(each.readings, _SHOWN_OF_DEVICES),
            each.detail,
        ]
        for each in detail.devices
    ]
    titles = ["DEVICE", "SERIAL", "MODEL", "STATE", "USED BY", "BUSY", "MEMORY", "TEMPERATURE", "POWER", "DETAIL"]
    output.table(titles, rows)


def _readings(detail: "NodeDetail", *, wide: bool) -> None:
    """Show the host's readings, and with `-o wide` each device's: now and over the last hour."""
    things = [("HOST", detail.readings)]
    if wide:
        things += [(each.uuid, each.readings) for each in detail.devices]
    for what, told in things:
        if told:
            click.echo()
            readings.show(what, told)


def _checks(detail: "NodeDetail") -> None:
    if detail.checks:
        click.echo()
        checking.results([detail])
    if detail.checkups:
        click.echo()
        checking.runs(detail)


def _signals(detail: "NodeDetail") -> None:
    if not detail.signals:
        return
    click.echo()
    rows = [
        [
            output.clock(each.at),
            each.name,
            each.severity,
            str(each.count),
            each.sentence,
            "before a repair" if each.cleared else each.done,
        ]
        for each in reversed(detail.signals)
    ]
    output.table(["TIME", "SIGNAL", "SEVERITY", "TIMES", "WHAT WAS SAID", "WHAT WAS DONE"], rows)


def _differences(detail: "NodeDetail") -> None:
    if not detail.differences:
        return
    click.echo()
    rows = [
        [output.clock(each.at), each.kind.replace("_", " "), each.what, each.mended or "nothing is done about it"]
        for each in reversed(detail.differences)
    ]
    output.table(["TIME", "DIFFERENCE", "WHAT", "MENDED"], rows)


def _history(reputation: "ReputationView") -> None:
    click.echo()
    what = "The host" if reputation.of == "host" else f"Device {reputation.name}"
    doubt = f", bad with a probability of {min(0.99, reputation.doubt):.0%}" if reputation.doubt else ""
    click.echo(f"{what} is {reputation.standing}{doubt}. What speaks against it:")
    rows = [
        [output.clock(each.at), each.kind, f"{each.weight:.1f}", str(each.job or "-"), each.sentence]
        for each in reversed(reputation.evidence)
    ]
    output.table(["TIME", "SIGN", "WEIGHT", "JOB", "WHAT HAPPENED"], rows)
