"""Who may join the fleet, and who has: join tokens, and what is known of the certificates of a name."""

from dataclasses import dataclass
from enum import StrEnum


class CertificateKind(StrEnum):
    """What a certificate makes its holder: a node of the fleet, or a login host, which vouches for its users."""

    NODE = "node"
    LOGIN = "login"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A join token as the log has it. Its secret is nowhere but in the hands of who made it.

    `secret_sha256` is what a shown secret is held against. It is good for `uses` hosts until `expires_at`, each of
    which becomes a `kind`; `joined` are those that did, by name. `revoked_by` ended it, "" if nobody did.
    """

    id: str
    kind: CertificateKind
    secret_sha256: str
    uses: int
    created_at: float
    expires_at: float
    actor: str
    joined: tuple[str, ...] = ()
    revoked_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A holder that joined by a token, or whose certificates were revoked; a login host is `login/NAME`.

    Only certificates that begin after `valid_after` count. `key_sha256` is the key it joined with, so that the same
    host asking again is told from another one. `revoked_by` is who shut it out, "" if it is let in.
    """

    valid_after: float = 0.0
    token: str = ""
    key_sha256: str = ""
    revoked_by: str = ""
    reason: str = ""


def holder(kind: CertificateKind, name: str) -> str:
    """Give the key by which what is known of a name's certificates is kept."""
    return name if kind is CertificateKind.NODE else f"{kind.value}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A join token as it is listed; `state` is valid, used up, expired or revoked."""

    id: str
    kind: str
    state: str
    uses: int
    joined: tuple[str, ...]
    created_at: float
    expires_at: float
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityView:
    """The fleet's authority: the SHA-256 of its certificate, and the addresses where hosts join."""

    fingerprint: str
    join: tuple[str, ...]
