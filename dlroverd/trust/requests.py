"""A host's own key, and the request by which it has a certificate made for it. The key never leaves the host."""

import hashlib
import os
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from dlroverd.protocol.certificates import CertificateError


def key_at(path: Path) -> ec.EllipticCurvePrivateKey:
    """Give the private key in a file, made (ECDSA P-256) if there is no file; CertificateError if it holds another."""
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        replace_file(path, key_pem(key), mode=0o600)
        return key
    try:
        found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}; run this as its owner.") from error
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise CertificateError(
            f"{path} holds no private key of an elliptic curve: move it away, and a new one is made."
        )
    return found


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a private key as its file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def make_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """Make a request (PEM) for a certificate of `name`; its signature proves that who asks has the key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])  # X.520 ends there
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def key_sha256(key: CertificatePublicKeyTypes) -> str:
    """Give the digest by which a public key is known."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    """Put a file in the place of what is there, whole or not at all, whoever owned that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = path.stat() if path.exists() else None
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            if owner is not None and os.geteuid() == 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:  # whatever it is goes on, and leaves nothing behind
        os.unlink(temporary)
        raise
