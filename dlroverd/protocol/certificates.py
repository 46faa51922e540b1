"""What can be wrong with certificates, each in one sentence with the remedy. Reads files: keep it off event loops.

gRPC itself only says that a handshake failed, and the side that was refused learns nothing but that. So each side
checks its own files at its start, and their dates whenever a handshake fails.
"""

import os
import stat
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from dlroverd.protocol.channel import TlsFiles

# What gRPC's TLS says when it refuses the other side's certificate, and what to do. All else that comes up in a
# handshake is the other side hanging up, which is all that is seen here of a refusal there.
_REFUSALS = {
    "Hostname Verification Check failed": (
        "its certificate does not name `{name}`: call another address, or have its certificate issued for that DNS name"
    ),
    "certificate has expired": (
        "its certificate has expired by this host's clock: renew it there, or set the clock here (NTP)"
    ),
    "certificate is not yet valid": (
        "its certificate is not yet valid by this host's clock: set the clock that is wrong (NTP)"
    ),
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not of the authority in {ca}: give both sides the same one",
    "BAD_SIGNATURE": "its certificate is not of the authority in {ca}: give both sides the same one",
    "WRONG_VERSION_NUMBER": "it does not speak TLS: call another address",
    "Socket closed": (
        "it hung up at the TLS handshake: see that its authority issued {certificate}, that its clock is right, "
        "and that it is dlroverd"
    ),
}
_CONNECTING = "failed to connect"


class CertificateError(ValueError):
    """Certificate files that cannot work; says why."""


def check(tls: TlsFiles, name: str) -> None:
    """Refuse files with which no handshake could succeed, whatever the time is.

    Raises:
        CertificateError: a file cannot be read, others can read the key, they do not belong together, or the
            certificate does not name `name`.
    """
    authorities = _certificates(tls.ca)
    own, *between = _certificates(tls.certificate)
    if own.public_key() != _key(tls.key).public_key():
        raise CertificateError(f"{tls.key} is not the key of the certificate {tls.certificate}: put its own one there.")
    if not any(_issued(own, issuer) for issuer in (*between, *authorities)):
        raise CertificateError(
            f"{tls.certificate} was not issued by the authority in {tls.ca}: have it issued there, "
            "or add its own authority to that file on both sides."
        )
    names = _names(own)
    if name not in names:
        raise CertificateError(
            f"{tls.certificate} names {', '.join(names) or 'nobody'}, and must name `{name}`: "
            "have it issued for that DNS name."
        )


def check_authority(certificate: str, key: str) -> None:
    """Refuse files that nothing can be issued with.

    Raises:
        CertificateError: a file cannot be read, others can read the key, they do not belong together, or are no
            authority's.
    """
    own = _certificates(certificate)[0]
    if own.public_key() != _key(key).public_key():
        raise CertificateError(f"{key} is not the key of the authority {certificate}: put its own one there.")
    try:
        issues = own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        issues = False
    if not issues:
        raise CertificateError(
            f"{certificate} is no authority's certificate: put that there, `setup daemon` makes one."
        )


def fingerprints(authority: str) -> list[str]:
    """Give the SHA-256 of each certificate in a file, in hexadecimal digits. CertificateError if it holds none."""
    return [each.fingerprint(hashes.SHA256()).hex() for each in _certificates(authority)]


def date_problem(tls: TlsFiles) -> str:
    """Say that this side's certificate is not valid now, by this host's clock; "" if it is.

    The same words each time, so that they can be told once: no times but the certificate's.
    """
    own = _certificates(tls.certificate)[0]
    begin, end, now = own.not_valid_before_utc, own.not_valid_after_utc, datetime.now(UTC)
    if begin <= now <= end:
        return ""
    return (
        f"{tls.certificate} is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, and by this host's clock "
        f"that is {'over' if now > end else 'yet to come'}: renew it, or set the clock (NTP) if that is wrong."
    )


def time_left(tls: TlsFiles) -> timedelta:
    """Give how long this side's certificate is valid from now on. CertificateError if it cannot be read."""
    return _certificates(tls.certificate)[0].not_valid_after_utc - datetime.now(UTC)


def refusal(details: str, address: str, name: str, tls: TlsFiles) -> str:
    """Say why a call of `name` at `address` failed, from gRPC's words; "" if they tell of nothing to do with TLS.

    CertificateError: the own certificate cannot be read any more.
    """
    sentence = next((_REFUSALS[sign] for sign in _REFUSALS if _CONNECTING in details and sign in details), "")
    if not sentence:
        return ""
    why = sentence.format(name=name, ca=tls.ca, certificate=tls.certificate)
    return date_problem(tls) or f"{address} is no {name} that can be trusted: {why}."


def _certificates(path: str) -> list[x509.Certificate]:
    content = _read(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate in PEM form: put one there.") from error


def _key(path: str) -> PrivateKeyTypes:
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError as error:
        raise _unreadable(path, error) from error
    if mode & 0o077:
        raise CertificateError(f"{path} can be read or changed by others (mode {mode:04o}): run `chmod 600 {path}`.")
    content = _read(path)
    try:
        return serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # not a word of it: it may quote the file
        raise CertificateError(f"{path} holds no private key in PEM form without a password: put one there.") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> CertificateError:
    return CertificateError(
        f"{path} cannot be read: {error.strerror}. Put the file there for this user (uid {os.geteuid()}), "
        "or name another one under `tls`."
    )


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)
