"""The fleet's certificate authority (ECDSA P-256): two files on the daemon's host, and what is issued with them.

`Authority.create(certificate, key)` makes one, `certify_daemon(files, hosts)` what its daemon shows.
"""

import ipaddress
import os
import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dlroverd.model.trust import CertificateKind
from dlroverd.protocol.certificates import CertificateError, check_authority
from dlroverd.protocol.channel import DAEMON_NAME, LOGIN_MARK, TlsFiles
from dlroverd.trust.requests import key_at, key_pem, key_sha256, replace_file

DEFAULT_LIFE_S = 30 * 86400.0
_AUTHORITY_LIFE_S = 3650 * 86400.0
# A host whose clock is behind by less than this can use what it was issued at once.
CLOCK_MARGIN_S = 300.0
# What a name may hold to be one DNS name in a certificate. X.509 itself allows no longer one.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")


class RequestError(ValueError):
    """A certificate request that is not granted; says why."""


class Authority:
    """An authority whose key lies on this host."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Use `create` or `load`."""
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(cls, certificate: Path, key: Path, fleet: str = "main") -> Self:
        """Make a new one, and its files: the certificate for all to read, the key for this user alone.

        CertificateError: one of the files is there already. OSError: they cannot be written.
        """
        for path in (certificate, key):
            if os.path.lexists(path):
                raise CertificateError(
                    f"{path} is there already: a fleet keeps its authority; remove it if it is none."
                )
        made = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"dlroverd fleet {fleet} {secrets.token_hex(4)}")
        now = time.time()
        builder = _builder(subject, subject, made.public_key(), now - CLOCK_MARGIN_S, now + _AUTHORITY_LIFE_S)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        own = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(made.public_key()), critical=False)
        authority = cls(own.sign(made, hashes.SHA256()), made)
        replace_file(key, key_pem(made), mode=0o600)
        replace_file(certificate, authority.pem, mode=0o644)
        return authority

    @classmethod
    def load(cls, certificate: str | Path, key: str | Path) -> Self:
        """Read an authority from its files; CertificateError if they are none, or others can read the key."""
        check_authority(str(certificate), str(key))
        found = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
        return cls(found, key_at(Path(key)))

    @property
    def pem(self) -> bytes:
        """The certificate that both sides trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, in hexadecimal digits: what join tokens name."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def issue(
        self,
        request_pem: bytes,
        name: str,
        *,
        life_s: float = DEFAULT_LIFE_S,
        kind: CertificateKind = CertificateKind.NODE,
        after: float = 0.0,
    ) -> bytes:
        """Give `name` a certificate (PEM) for the key in a request. It begins later than `after` (whole seconds).

        Nothing in the request but its key counts. RequestError if it is no request, or not by the key's holder.
        """
        mark = [x509.UniformResourceIdentifier(LOGIN_MARK)] if kind is CertificateKind.LOGIN else []
        return self._sign(requested_key(request_pem), [x509.DNSName(name), *mark], life_s, after)

    def certify_daemon(self, files: TlsFiles, hosts: Sequence[str], life_s: float = DEFAULT_LIFE_S) -> None:
        """Give the daemon on this host a certificate, for the host names and addresses `hosts` too; keeps its key."""
        key = key_at(Path(files.key))
        pem = self._sign(key.public_key(), [x509.DNSName(DAEMON_NAME), *map(_alternative, hosts)], life_s)
        if files.ca and not Path(files.ca).exists():
            replace_file(Path(files.ca), self.pem, mode=0o644)
        replace_file(Path(files.certificate), pem, mode=0o644)

    def recertify_daemon(self, files: TlsFiles, life_s: float = DEFAULT_LIFE_S) -> None:
        """Give the daemon a new certificate in the place of its old one: for the same key, hosts and addresses."""
        old = x509.load_pem_x509_certificates(Path(files.certificate).read_bytes())[0]
        named = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = [*named.get_values_for_type(x509.DNSName), *map(str, named.get_values_for_type(x509.IPAddress))]
        self.certify_daemon(files, [host for host in hosts if host != DAEMON_NAME], life_s)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Tell whether a certificate is of this authority, whatever the time is."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _sign(
        self, key: CertificatePublicKeyTypes, names: list[x509.GeneralName], life_s: float, after: float = 0.0
    ) -> bytes:
        now = time.time()
        # A certificate counts whole seconds, and one that begins at `after` itself would be refused.
        begin = max(now - min(CLOCK_MARGIN_S, life_s / 10), int(after) + 1.0 if after else 0.0)
        end = min(now + life_s, self.certificate.not_valid_after_utc.timestamp())
        builder = _builder(_subject(names[0].value), self.certificate.subject, key, begin, end)
        for extension, critical in (
            (x509.SubjectAlternativeName(names), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def requested_key(request_pem: bytes) -> CertificatePublicKeyTypes:
    """Give the public key that a request is for; RequestError if it is none, or not by the key's holder."""
    try:
        request = x509.load_pem_x509_csr(request_pem)
        key = request.public_key()
        proven = request.is_signature_valid
    except (ValueError, TypeError):
        raise RequestError("This is no certificate request in PEM form; send one, made for this call.") from None
    if not proven or not isinstance(key, ec.EllipticCurvePublicKey):
        raise RequestError("The request is not signed by the key it is for, which must be an ECDSA key; make it anew.")
    return key


def requested_key_sha256(request_pem: bytes) -> str:
    """Give the digest of the key that a request is for. RequestError as `requested_key`."""
    return key_sha256(requested_key(request_pem))


def name_problem(name: str) -> str:
    """Say why no certificate is issued for a name; "" if one may be."""
    if name == DAEMON_NAME:
        return f"`{DAEMON_NAME}` is the daemon's own name: call the host otherwise (--node)"
    if not _NAME.fullmatch(name):
        return "a name has 1 to 253 of A-Z, a-z, 0-9, '.', '_' and '-' (--node)"
    return ""


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, begin: float, end: float
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.fromtimestamp(int(begin), UTC),
        not_valid_after=datetime.fromtimestamp(int(end), UTC) + timedelta(seconds=1),
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])  # X.520 ends there


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
