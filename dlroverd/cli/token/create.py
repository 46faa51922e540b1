"""`dlroverctl token create`: let hosts join."""

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import notice


@click.command("create")
@click.option("--uses", type=click.IntRange(min=1), default=1, show_default=True, help="How many hosts may join by it.")
@click.option(
    "--ttl",
    "ttl_s",
    metavar="DURATION",
    default="1h",
    show_default=True,
    callback=options.duration,
    help="How long it is good.",
)
@click.option("--login", is_flag=True, help="For login hosts, which vouch for their users and run no ranks.")
@options.output("text", "json", "yaml")
@options.address
def command(uses: int, ttl_s: float, login: bool, output_: str, address: str | None) -> None:
    """Print a token by which hosts join the fleet: `dlroverctl setup agent --join HOST --token-file FILE`.

    It is made here and printed once: the daemon keeps its digest alone. Whoever has it can join.
    """
    from dlroverd.model.trust import CertificateKind

    with options.connect(address) as client:
        authority = client.authority()
        kind = CertificateKind.LOGIN if login else CertificateKind.NODE
        token = client.create_token(uses, ttl_s, kind, authority.fingerprint)
    if output_ == "text":
        click.echo(token.text)
    else:
        shown = {"id": token.id, "token": token.text, "uses": uses, "ttl_s": ttl_s, "kind": kind.value}
        output.document("token", {"token": shown}, output_)
    notice(f"good for {uses} host{'s' if uses > 1 else ''}; to end it: `dlroverctl token revoke {token.id}`")
