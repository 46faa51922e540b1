"""`dlroverctl setup agent`: this host joins a fleet by a token, and its agent runs."""

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlroverd.cli.endings import CommandError

if TYPE_CHECKING:
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.protocol.channel import TlsFiles
    from dlroverd.trust.join_token import Token

UNIT = "dlroverd-agent.service"
_TLS = "/etc/dlroverd/tls"
_MODES = {"ca": 0o644, "certificate": 0o644, "key": 0o600}

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
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.config.agent import DEFAULT_PATH, load_agent_config
    from dlroverd.protocol.channel import TlsFiles
    from dlroverd.trust.joining import join_address

    token = _token(token_file)
    address = join_address(where)
    steps = Steps(dry_run=dry_run)
    node = node or socket.gethostname()
    path = Path(DEFAULT_PATH)
    files = TlsFiles(ca=f"{_TLS}/ca.pem", certificate=f"{_TLS}/node.pem", key=f"{_TLS}/node.key")
    if path.exists():
        config = load_agent_config(DEFAULT_PATH)
        if config.tls is None:
            raise CommandError(
                f"{DEFAULT_PATH} is there and has no `tls`, so its agent could call no daemon on another host: move it "
                "away, and another is made."
            )
        node, files = config.node, config.tls.files()
    steps.folder(path.parent, mode=0o755)
    daemon = _enrol(steps, address, token, node, files)
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


def _token(path: str) -> "Token":
    from dlroverd.trust.join_token import Token, TokenError

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        return Token.parse(text)
    except OSError as error:
        raise CommandError(f"the token cannot be read from {path}: {error.strerror}; name the file it is in.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no text, and so no token: name the file it is in.") from None
    except TokenError as error:
        raise CommandError(f"the token of {'stdin' if path == '-' else path} is no good: {error}") from None


def _enrol(steps: "Steps", address: str, token: "Token", node: str, files: "TlsFiles") -> tuple[str, ...]:
    """Have the certificate's files, by joining if it is not there; gives where the daemon is, as far as is known."""
    from dlroverd.protocol.channel import host_port
    from dlroverd.trust import joining
    from dlroverd.trust.requests import key_at, replace_file

    ca, certificate, key = (Path(each) for each in (files.ca, files.certificate, files.key))
    host, _ = host_port(address)
    got = joining.Joined(b"", b"", (f"tcp://{f'[{host}]' if ':' in host else host}:{joining.DAEMON_PORT}",))

    def join() -> None:
        nonlocal got
        got = joining.join(address, token, node, key)
        if not ca.exists():
            replace_file(ca, got.ca, mode=0o644)
        replace_file(certificate, got.certificate, mode=0o644)

    if ca.exists():
        _same_fleet(ca, token)
    if certificate.exists():
        _works(files, node)
    steps.folder(certificate.parent, mode=0o755)
    steps.make({key: 0o600}, lambda: key_at(key))
    steps.make({certificate: 0o644}, join)
    steps.make({ca: 0o644}, lambda: replace_file(ca, got.ca, mode=0o644))
    return got.daemon


def _same_fleet(ca: Path, token: "Token") -> None:
    from dlroverd.protocol.certificates import CertificateError, fingerprints
    from dlroverd.trust.join_token import FINGERPRINT_LETTERS

    try:
        known = {each[:FINGERPRINT_LETTERS] for each in fingerprints(str(ca))}
    except CertificateError as error:
        raise CommandError(f"{error} Or move it away, and this host joins anew.") from None
    if token.fingerprint not in known:
        raise CommandError(
            f"this host is of another fleet, whose authority is in {ca}, and the token is not of that one: move the "
            f"files in {ca.parent} away to have it change fleets, or have a token made in its own."
        )


def _works(files: "TlsFiles", node: str) -> None:
    from dlroverd.protocol.certificates import CertificateError, check, date_problem

    try:
        check(files, node)
        problem = date_problem(files)
    except CertificateError as error:
        problem = str(error)
    if problem:
        raise CommandError(f"{problem} Or move {files.certificate} away, and this host joins anew.")
