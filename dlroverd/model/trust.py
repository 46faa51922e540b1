"""Who may join the fleet, and who has: join tokens and the certificates that names have got."""

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
    which becomes a `kind`; `joined` are those that did, by name.
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
    """A name that joined by a token, or whose certificates were revoked.

    Only certificates of it that begin after `valid_after` count. `key_sha256` is the key it joined with, so that the
    same host asking again is told so from another one. `revoked_by` is who shut it out, "" if nobody did.
    """

    name: str
    valid_after: float
    kind: CertificateKind = CertificateKind.NODE
    token: str = ""
    key_sha256: str = ""
    revoked_at: float = 0.0
    revoked_by: str = ""
    reason: str = ""


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
class Answered:
    """What a host that joins, or renews, is given: PEM texts, and where the daemon listens for agents.

    `certificate` is its own, `ca` the authority's. An address may name no host: it is the one that was asked.
    """

    certificate: str
    ca: str
    daemon: tuple[str, ...] = ()
