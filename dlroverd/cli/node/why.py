"""`dlroverctl node why`: why a node is not used, or by whom it is."""

import click

from dlroverd.cli import options, output


@click.command("why")
@click.argument("node")
@options.output("table", "json", "yaml")
@options.address
def command(node: str, output_: str, address: str | None) -> None:
    """Say in one sentence why NODE is not used, or that it is and by whom."""
    with options.connect(address) as client:
        detail = client.node(node)
    if output_ == "table":
        click.echo(f"{detail.why[:1].upper()}{detail.why[1:]}.")
    else:
        output.document("node_why", {"node": node, "why": detail.why}, output_)
