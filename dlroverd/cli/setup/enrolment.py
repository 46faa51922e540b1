"""How a host gets its certificate, by a token: what becomes of it is for its kind to say."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dlroverd.cli.endings import CommandError
from dlroverd.cli.setup.steps import ROOT

if TYPE_CHECKING:
    from dlroverd.cli.setup.steps import Steps
    from dlroverd.protocol.channel import TlsFiles
    from dlroverd.trust.join_token import Token

TLS = "/etc/dlroverd/tls"


def token_in(path: str) -> "Token":
    """Read the token in a file, `-` for stdin. CommandError if there is none, or it was copied wrongly."""
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


def enrol(
    steps: "Steps", address: str, token: "Token", name: str, files: "TlsFiles", *, owner: str = ROOT
) -> tuple[str, ...]:
    """Have the certificate's files, by joining if it is not there; gives where the daemon is, as far as is known."""
    from dlroverd.protocol.channel import host_port
    from dlroverd.trust import joining
    from dlroverd.trust.requests import key_at, replace_file

    ca, certificate, key = (Path(each) for each in (files.ca, files.certificate, files.key))
    host, _ = host_port(address)
    got = joining.Joined(b"", b"", (f"tcp://{f'[{host}]' if ':' in host else host}:{joining.DAEMON_PORT}",))

    def join() -> None:
        nonlocal got
        got = joining.join(address, token, name, key)
        if not ca.exists():
            replace_file(ca, got.ca, mode=0o644)
        replace_file(certificate, got.certificate, mode=0o644)

    if ca.exists():
        _same_fleet(ca, token)
    if certificate.exists():
        _works(files, name)
    steps.folder(certificate.parent, mode=0o755, owner=owner)
    steps.make({key: 0o600}, lambda: key_at(key), owner=owner)
    steps.make({certificate: 0o644}, join, owner=owner)
    steps.make({ca: 0o644}, lambda: replace_file(ca, got.ca, mode=0o644), owner=owner)
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


def _works(files: "TlsFiles", name: str) -> None:
    from dlroverd.protocol.certificates import CertificateError, check, date_problem

    try:
        check(files, name)
        problem = date_problem(files)
    except CertificateError as error:
        problem = str(error)
    if problem:
        raise CommandError(f"{problem} Or move {files.certificate} away, and this host joins anew.")
