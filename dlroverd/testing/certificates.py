"""Certificates for tests: an authority of one's own, and what it issues, as PEM files."""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dlroverd.protocol.channel import TlsFiles

_DAY = timedelta(days=1)


class Authority:
    """A certificate authority (ECDSA P-256) that keeps its own certificate and all that it issues in one directory."""

    def __init__(self, directory: Path, name: str = "test authority") -> None:
        """Make a new one; the directory is made if it is not there."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._name = _subject(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        own = x509.BasicConstraints(ca=True, path_length=0)
        made = _builder(self._name, self._name, self._key.public_key(), now - 3650 * _DAY, now + 3650 * _DAY)
        self._certificate = made.add_extension(own, critical=True).sign(self._key, hashes.SHA256())
        self._ca = directory / "ca.pem"
        self._ca.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        hosts: Sequence[str] = (),
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> TlsFiles:
        """Issue a certificate to `name`, which is good for the host names and IP addresses `hosts` too.

        It is valid from a day ago to a day from now unless other times (with a time zone) are given. Issued again to
        the same name, it replaces the older one's files.
        """
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            _subject(name), self._name, key.public_key(), not_before or now - _DAY, not_after or now + _DAY
        )
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), *map(_alternative, hosts)]), critical=False
        )
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        files = TlsFiles(
            ca=str(self._ca),
            certificate=str(self._directory / f"{name}.pem"),
            key=str(self._directory / f"{name}.key"),
        )
        Path(files.certificate).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_private(Path(files.key), key)
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=not_before,
        not_valid_after=not_after,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(pem)
