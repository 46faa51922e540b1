"""The facts of the log that are about who is let in. No secret is in them."""

from dataclasses import dataclass

from dlroverd.model.trust import JoinToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCreated:
    """Hosts may join by a token."""

    token: JoinToken
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked:
    """No more hosts may join by a token."""

    token_id: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenForgotten:
    """A token that ended long ago left the state."""

    token_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnrolled:
    """A host joined by a token, a login host as `login/NAME`. What it was issued up to `valid_after` counts no more."""

    node: str
    token_id: str
    key_sha256: str
    valid_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatesRevoked:
    """What a host was issued up to `valid_after` counts no more; it may join again by a token made later."""

    node: str
    valid_after: float
    actor: str
    reason: str


TrustEvent = TokenCreated | TokenRevoked | TokenForgotten | HostEnrolled | CertificatesRevoked
