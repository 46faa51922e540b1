"""What can change who is let in."""

from dataclasses import dataclass

from dlroverd.model.trust import CertificateKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateToken:
    """A person lets hosts join by a token. The same `id` twice is one token."""

    id: str
    kind: CertificateKind
    secret_sha256: str
    uses: int
    ttl_s: float
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    """A person lets no more hosts join by a token."""

    token: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol:
    """A host shows a token, to be let in as `name` with the key of that digest."""

    token: str
    secret_sha256: str
    name: str
    key_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCertificates:
    """A person shuts a name out."""

    name: str
    actor: str
    reason: str


TrustInput = CreateToken | RevokeToken | Enrol | RevokeCertificates
