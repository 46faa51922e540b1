"""`dlroverctl setup daemon`: this host gets the fleet's authority, a configuration, and a daemon that runs."""

import pwd
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlroverd.cli.endings import CommandError

if TYPE_CHECKING:
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.config.tls import DaemonTlsConfig

UNIT = "dlroverd.service"
USER = "dlroverd"

_CONFIG = """\
# Made by `dlroverctl setup daemon`, and yours to change: `dlroverctl config show daemon` shows every setting, and
# `systemctl restart dlroverd` has it read, which no job notices.
listen: [{unix}, {listen}]
tls:
  ca: /etc/dlroverd/tls/ca.pem
  ca_key: /etc/dlroverd/tls/ca.key
  certificate: /etc/dlroverd/tls/daemon.pem
  key: /etc/dlroverd/tls/daemon.key
"""


@click.command("daemon")
@click.option(
    "--listen",
    metavar="tcp://HOST:PORT",
    default="tcp://0.0.0.0:7700",
    show_default=True,
    help="Where agents find it; 0.0.0.0 is all addresses.",
)
@click.option("--dry-run", is_flag=True, help="Show every file and command, and do nothing.")
def command(listen: str, dry_run: bool) -> None:
    """Make this host the fleet's daemon: authority, certificate, configuration, service.

    What is there is kept; run again, it changes nothing. Then hosts join with `dlroverctl setup agent`.
    """
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.config.daemon import DEFAULT_ADDRESS, DEFAULT_PATH, DaemonConfig, load_daemon_config
    from dlroverd.config.validation import validate
    from dlroverd.config.yaml_source import parse

    steps = Steps(dry_run=dry_run)
    if not dry_run:
        _need_package()
    path = Path(DEFAULT_PATH)
    text = _CONFIG.format(unix=DEFAULT_ADDRESS, listen=listen)
    config = (
        load_daemon_config(DEFAULT_PATH)
        if path.exists()
        else validate(parse(text.encode(), DEFAULT_PATH), DaemonConfig)
    )
    if config.tls is None:
        raise CommandError(
            f"{DEFAULT_PATH} is there and has no `tls`, so no agent of another host could call: add what "
            "`dlroverctl setup daemon --dry-run` shows where there is no such file, or move it away."
        )
    steps.folder(path.parent, mode=0o755)
    # The daemon's own: it renews its certificate.
    steps.folder(Path(config.tls.certificate).parent, mode=0o755, owner=USER)
    _certify(steps, config.tls)
    steps.file(path, text)
    steps.start(UNIT)
    port = listen.rpartition(":")[2]
    click.echo(
        f"# next: `dlroverctl token create --uses 64 --ttl 1h >token`, and on each host that trains, with that file,\n"
        f"# `dlroverctl setup agent --join {socket.gethostname()}:{port} --token-file token`"
    )


def _need_package() -> None:
    """CommandError unless the package is here: it has the unit, and made the user."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        raise CommandError(
            f"there is no user {USER} here, and so no daemon to set up: install the package dlroverd on this host."
        ) from None


def _certify(steps: "Steps", tls: "DaemonTlsConfig") -> None:
    """Have an authority, unless the fleet's is elsewhere, and a certificate of the daemon's that it issued."""
    from dlroverd.protocol.certificates import CertificateError, check
    from dlroverd.protocol.channel import DAEMON_NAME
    from dlroverd.trust.authority import Authority

    ca, certificate, key = Path(tls.ca), Path(tls.certificate), Path(tls.key)
    try:
        if tls.ca_key is not None:
            ca_key = Path(tls.ca_key)
            steps.make({ca: 0o644, ca_key: 0o600}, lambda: Authority.create(ca, ca_key), owner=USER)
            hosts = sorted({socket.gethostname(), socket.getfqdn()})
            steps.make(
                {certificate: 0o644, key: 0o600},
                lambda: Authority.load(ca, ca_key).certify_daemon(tls.files(), hosts),
                owner=USER,
            )
        if not steps.dry_run or certificate.exists():
            check(tls.files(), DAEMON_NAME)
    except CertificateError as error:
        raise CommandError(str(error)) from None
