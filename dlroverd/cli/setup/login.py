"""`dlroverctl setup login`: this host's users call the fleet's daemon from here, as themselves."""

import socket
from pathlib import Path

import click

from dlroverd.cli.endings import CommandError

UNIT = "dlroverd-login.service"
USER = "dlroverd"
# Its own, apart from what an agent of this host trusts: the service renews its certificate there.
_FOLDER = "/etc/dlroverd/login"

_CONFIG = """\
# Made by `dlroverctl setup login`, and yours to change: `systemctl restart dlroverd-login` has it read.
name: {name}
daemon: {daemon}
join: {join}
tls:
  ca: {ca}
  certificate: {certificate}
  key: {key}
"""


@click.command("login")
@click.option("--join", "where", metavar="HOST[:PORT]", required=True, help="Where the fleet's daemon is.")
@click.option(
    "--token-file",
    "token_file",
    metavar="PATH|-",
    required=True,
    help="The file that holds the token of `dlroverctl token create --login`; - is stdin.",
)
@click.option("--dry-run", is_flag=True, help="Show every file and command, and do nothing.")
def command(where: str, token_file: str, dry_run: bool) -> None:
    """Make this host a login host: it has no capacity, and its users submit there as themselves.

    What is there is kept; run again, it changes nothing. Whoever is root here can be any of its users to the fleet.
    """
    from dlroverd.cli.setup.enrolment import enrol, token_in
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.config import daemon as of_daemon
    from dlroverd.config.login import DEFAULT_PATH, load_login_config
    from dlroverd.protocol.channel import TlsFiles
    from dlroverd.trust.joining import join_address

    if Path(of_daemon.DEFAULT_PATH).exists():
        raise CommandError("this is the daemon's host, whose users submit here already: there is nothing to set up.")
    token = token_in(token_file)
    address = join_address(where)
    steps = Steps(dry_run=dry_run)
    path, name = Path(DEFAULT_PATH), socket.gethostname()
    files = TlsFiles(ca=f"{_FOLDER}/ca.pem", certificate=f"{_FOLDER}/certificate.pem", key=f"{_FOLDER}/key.pem")
    if path.exists():
        config = load_login_config()
        name, files = config.name, config.tls.files()
    steps.folder(path.parent, mode=0o755)
    daemon, *_ = enrol(steps, address, token, name, files, owner=USER)
    steps.file(
        path,
        _CONFIG.format(
            name=name, daemon=daemon, join=address, ca=files.ca, certificate=files.certificate, key=files.key
        ),
    )
    steps.start(UNIT)
    click.echo("# next: `dlroverctl node list` here, as any user but root")
