"""TLS and SASL: what is let in, and the sentence of what is not.

Tansu's own do not work, so a gate of ours stands before it; that it speaks as Kafka does, librdkafka proves by reading
through it.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dlroverd.protocol.channel import TlsFiles
from dlroverd.testing.certificates import Authority
from tests.kafka.brokers import Tansu, free_port
from tests.kafka.gate import Gate
from tests.kafka.reading import expected, first_of_each, read
from tests.kafka.writing import events, opened


@dataclass(frozen=True)
class Files:
    """Certificates of a broker and of a client, and the password."""

    broker: TlsFiles
    client: TlsFiles
    password: str
    wrong: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    authority = Authority(folder)
    for name, text in (("password", "secret\n"), ("wrong", "hunter2\n")):
        (folder / name).write_text(text)
    broker = authority.issue("broker", hosts=["127.0.0.1"])
    return Files(broker, authority.issue("client"), str(folder / "password"), str(folder / "wrong"))


@pytest.fixture(scope="module")
def passwords(files: Files) -> Iterator[Gate]:
    """A broker behind TLS that lets only ann in."""
    with Gate(users={"ann": "secret"}, tls=files.broker) as gate, Tansu(advertised=gate.port) as broker:
        gate.open(broker.port)
        yield gate


@pytest.fixture(scope="module")
def certificates(files: Files) -> Iterator[str]:
    """A broker that lets in who has a certificate of its authority."""
    with Gate(tls=files.broker, clients=True) as gate, Tansu(advertised=gate.port) as broker:
        gate.open(broker.port)
        yield gate.servers


def refusal(**settings: str) -> str:
    """Write to brokers that are not to be had; nothing of the attempt is left."""
    sink = opened(**{"request_timeout": "1"} | settings)
    threads = set(threading.enumerate())
    with pytest.raises(OSError, match=r"\w+ \w+") as refused:
        sink.write(events(1))
    assert set(threading.enumerate()) <= threads
    sink.close()
    return str(refused.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_is_let_in_by_each_mechanism(passwords: Gate, files: Files, mechanism: str) -> None:
    sink = opened(
        servers=passwords.servers,
        topic=mechanism,
        create_topic="2,1",
        security="SASL_SSL",
        ca_file=files.broker.ca,
        sasl_mechanism=mechanism,
        sasl_user="ann",
        sasl_password_file=files.password,
    )
    sink.write(events(100))
    sink.close()
    options = {"security.protocol": "SASL_SSL", "ssl.ca.location": files.broker.ca, "sasl.mechanism": mechanism}
    got = read(passwords.servers, mechanism, **options, **{"sasl.username": "ann", "sasl.password": "secret"})
    assert first_of_each(got) == expected(events(100))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_said_and_never_shown(passwords: Gate, files: Files, mechanism: str) -> None:
    before = passwords.refused
    said = refusal(
        servers=passwords.servers,
        security="SASL_SSL",
        ca_file=files.broker.ca,
        sasl_mechanism=mechanism,
        sasl_user="ann",
        sasl_password_file=files.wrong,
        request_timeout="20",
    )
    assert passwords.refused == before + 1
    assert said.startswith(
        f"the brokers at {passwords.servers} do not let ann in (SaslAuthenticationFailedError: Authentication"
    )
    assert said.endswith(f"check sasl_user, sasl_mechanism and what is in {files.wrong}")
    assert "hunter2" not in said


def test_a_client_is_let_in_by_its_certificate(certificates: str, files: Files) -> None:
    sink = opened(
        servers=certificates,
        topic="t",
        create_topic="2,1",
        security="SSL",
        ca_file=files.broker.ca,
        certificate_file=files.client.certificate,
        key_file=files.client.key,
    )
    sink.write(events(100))
    sink.close()
    options = {"ssl.certificate.location": files.client.certificate, "ssl.key.location": files.client.key}
    got = read(certificates, "t", **{"security.protocol": "SSL", "ssl.ca.location": files.broker.ca}, **options)
    assert first_of_each(got) == expected(events(100))


def test_a_broker_of_an_unknown_authority_is_not_spoken_to(certificates: str) -> None:
    said = refusal(servers=certificates, security="SSL")
    assert f"no broker at {certificates} let this client in within 1 s (Handshake failed: " in said
    assert "certificate verify failed" in said
    assert said.endswith("check servers and security, and that brokers run there")


def test_a_client_without_a_certificate_is_told(certificates: str, files: Files) -> None:
    assert "socket disconnected); check servers and security" in refusal(
        servers=certificates, security="SSL", ca_file=files.broker.ca
    )


def test_a_port_that_nobody_listens_on_is_told() -> None:
    assert "ECONNREFUSED); check servers" in refusal(servers=f"127.0.0.1:{free_port()}")


def test_a_certificate_with_another_key_is_refused_when_the_sink_opens(files: Files) -> None:
    with pytest.raises(ValueError, match=r"cannot be used \(KEY_VALUES_MISMATCH\); the kafka sink needs PEM"):
        opened(
            servers="127.0.0.1:9092",
            security="SSL",
            certificate_file=files.client.certificate,
            key_file=files.broker.key,
        )
