"""`dlroverctl setup agent`: this host joins a fleet by a token, and its agent runs."""

import socket
from pathlib import Path

import click

from dlroverd.cli.endings import CommandError

UNIT = "dlroverd-agent.service"

_CONFIG = """\
# Made by `dlroverctl setup agent`, and yours to change: `dlroverctl config show agent` shows every setting, and
# `systemctl restart dlroverd-agent` has it read, which no rank notices.
node: {node}
daemon: [{daemon}]
join: {join}
tls:
  ca: {ca}
  certificate: {certificate}
  key: {key}
"""


@click.command("agent")
@click.option("--join", "where", metavar="HOST[:PORT]", required=True, help="Where the fleet's daemon is.")
@click.option(
    "--token-file",
    "token_file",
    metavar="PATH|-",
    required=True,
    help="The file that holds the token of `dlroverctl token create`; - is stdin.",
)
@click.option(
    "--node", metavar="NAME", default=socket.gethostname, help="Its name in the fleet.  [default: the host's]"
)
@click.option("--dry-run", is_flag=True, help="Show every file and command, and do nothing.")
def command(where: str, token_file: str, node: str | None, dry_run: bool) -> None:
    """Have this host join a fleet as a node: certificate, configuration, service.

    What is there is kept, and no use of the token is spent on a host that has its certificate; run again, it changes
    nothing. The certificate renews itself.
    """
    from dlroverd.cli.setup.enrolment import TLS, enrol, token_in
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.config.agent import DEFAULT_PATH, load_agent_config
    from dlroverd.protocol.channel import TlsFiles
    from dlroverd.trust.joining import join_address

    token = token_in(token_file)
    address = join_address(where)
    steps = Steps(dry_run=dry_run)
    node = node or socket.gethostname()
    path = Path(DEFAULT_PATH)
    files = TlsFiles(ca=f"{TLS}/ca.pem", certificate=f"{TLS}/node.pem", key=f"{TLS}/node.key")
    if path.exists():
        config = load_agent_config(DEFAULT_PATH)
        if config.tls is None:
            raise CommandError(
                f"{DEFAULT_PATH} is there and has no `tls`, so its agent could call no daemon on another host: move it "
                "away, and another is made."
            )
        node, files = config.node, config.tls.files()
    steps.folder(path.parent, mode=0o755)
    daemon = enrol(steps, address, token, node, files)
    text = _CONFIG.format(
        node=node,
        daemon=", ".join(daemon),
        join=address,
        ca=files.ca,
        certificate=files.certificate,
        key=files.key,
    )
    steps.file(path, text)
    steps.start(UNIT)
    click.echo(f"# next: `dlroverctl node list` on the daemon's host shows {node} as ready within some seconds")
