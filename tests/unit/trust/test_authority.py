import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from dlroverd.model.trust import CertificateKind
from dlroverd.protocol.certificates import CertificateError, check
from dlroverd.protocol.channel import DAEMON_NAME, LOGIN_MARK, TlsFiles
from dlroverd.trust.authority import Authority, RequestError, name_problem, requested_key_sha256
from dlroverd.trust.requests import key_at, make_request


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca.pem", tmp_path / "ca.key")


def test_an_authority_is_made_once_and_read_again(tmp_path: Path, authority: Authority) -> None:
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert Authority.load(tmp_path / "ca.pem", tmp_path / "ca.key").fingerprint == authority.fingerprint
    with pytest.raises(CertificateError, match=r"ca.pem is there already: a fleet keeps its authority"):
        Authority.create(tmp_path / "ca.pem", tmp_path / "ca.key")


def test_files_that_are_no_authority_are_refused(tmp_path: Path, authority: Authority) -> None:
    key = tmp_path / "daemon.key"
    authority.certify_daemon(files(tmp_path), ["10.0.0.1"])
    with pytest.raises(CertificateError, match=r"daemon.key is not the key of the authority"):
        Authority.load(tmp_path / "ca.pem", key)
    with pytest.raises(CertificateError, match=r"daemon.pem is no authority's certificate"):
        Authority.load(tmp_path / "daemon.pem", key)
    os.chmod(tmp_path / "ca.key", 0o644)
    with pytest.raises(CertificateError, match=r"can be read or changed by others \(mode 0644\)"):
        Authority.load(tmp_path / "ca.pem", tmp_path / "ca.key")


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (None, "ca.pem cannot be read: No such file or directory. Put the file there for this user (uid "),
        (b"", "ca.pem holds no certificate in PEM form: put one there."),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "ca.pem holds no certificate in PEM form: put one there."),
    ],
    ids=["none", "empty", "half"],
)
def test_an_authority_that_cannot_be_read_is_named(
    tmp_path: Path, authority: Authority, held: bytes | None, sentence: str
) -> None:
    """By who issues with it, and by whoever has nothing else of it: an agent, a login host, a client."""
    authority.certify_daemon(files(tmp_path), ["10.0.0.1"])
    ca = tmp_path / "ca.pem"
    ca.unlink()
    if held is not None:
        ca.write_bytes(held)
    for look in (lambda: Authority.load(ca, tmp_path / "ca.key"), lambda: check(files(tmp_path), "dlroverd")):
        with pytest.raises(CertificateError) as told:
            look()
        assert sentence in str(told.value)


def files(root: Path) -> TlsFiles:
    return TlsFiles(ca=str(root / "ca.pem"), certificate=str(root / "daemon.pem"), key=str(root / "daemon.key"))


def test_the_daemon_keeps_key_and_hosts_when_its_certificate_is_renewed(tmp_path: Path, authority: Authority) -> None:
    authority.certify_daemon(files(tmp_path), ["ctl1", "10.0.0.1"], life_s=60.0)
    key = (tmp_path / "daemon.key").read_bytes()
    authority.recertify_daemon(files(tmp_path))
    check(files(tmp_path), DAEMON_NAME)
    renewed = x509.load_pem_x509_certificate((tmp_path / "daemon.pem").read_bytes())
    named = renewed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == [DAEMON_NAME, "ctl1"]
    assert [str(each) for each in named.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    assert (renewed.not_valid_after_utc - datetime.now(UTC)).days >= 29
    assert (tmp_path / "daemon.key").read_bytes() == key


def test_a_request_gets_the_name_that_it_is_given_and_not_the_one_that_it_asks_for(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    after = time.time()
    pem = authority.issue(make_request(key, "n2"), "n1", kind=CertificateKind.LOGIN, after=after)
    issued = x509.load_pem_x509_certificate(pem)
    named = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert named.get_values_for_type(x509.DNSName) == ["n1"]
    assert named.get_values_for_type(x509.UniformResourceIdentifier) == [LOGIN_MARK]
    assert issued.public_key() == key.public_key()
    assert issued.not_valid_before_utc.timestamp() > after
    assert authority.issued(issued)


def test_what_is_no_request_is_refused(authority: Authority) -> None:
    pem = make_request(ec.generate_private_key(ec.SECP256R1()), "n1")
    assert requested_key_sha256(pem) == requested_key_sha256(pem)
    for wrong in (b"", pem[:-40], pem.replace(b"A", b"B")):
        with pytest.raises(RequestError):
            authority.issue(wrong, "n1")


def test_a_key_is_made_once_and_never_for_others_to_read(tmp_path: Path) -> None:
    key = key_at(tmp_path / "tls" / "node.key")
    assert key_at(tmp_path / "tls" / "node.key").public_key() == key.public_key()
    assert (tmp_path / "tls" / "node.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").write_text("no key")
    with pytest.raises(CertificateError, match="holds no private key of an elliptic curve"):
        key_at(tmp_path / "other")


@pytest.mark.parametrize("name", ["dlroverd", "", "n 1", "n1\n", "-n1", "a" * 254, "login/n1"])
def test_names_that_no_certificate_is_issued_for(name: str) -> None:
    assert name_problem(name)


def test_names_that_are_hosts(authority: Authority) -> None:
    for name in ("n1", "GPU-07.cluster_a.example.org", "a" * 253):
        assert not name_problem(name)
        authority.issue(make_request(ec.generate_private_key(ec.SECP256R1()), name), name)
