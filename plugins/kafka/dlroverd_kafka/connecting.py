"""Finds the brokers and the topic, and makes a producer; what keeps one from being had is said in one sentence."""

import logging
import socket
import ssl
from contextlib import ExitStack, closing, suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import (
    AuthorizationError,
    BrokerResponseError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    KafkaError,
    KafkaTimeoutError,
    PolicyViolationError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
    UnsupportedSaslMechanismError,
    for_code,
)
from kafka.net.compat import KafkaNetClient

from dlroverd_kafka.settings import Settings

# A delivery ends each batch by itself with a flush, so neither of these ever comes to pass.
_LINGER_MS = 60_000
_DELIVERY_MS = 600_000
# Where kafka-python logs what nobody handles: in its thread's loop, and in what is called when an answer comes.
_UNCAUGHT = ("kafka.producer.sender", "kafka.future")
# What a record batch takes beside its records, at most.
_BATCH_BYTES = 1024
_NOT_LET_IN = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
_ONE_BY_ONE = {"batch_size": 0, "enable_idempotence": False, "max_in_flight_requests_per_connection": 1}


class Heard(logging.Handler):
    """Listens to kafka-python: its log alone tells why it does not connect, and that its own thread has failed.

    `refusal` is the last error it warned of, `failures` are those of each thread (by its ident) that nobody caught.
    `seeking` is the client that looks for a broker, if one does. It is told to give up when a broker refuses who we
    are: it would ask again until its time is over, and lock the account of that user, maybe.
    """

    def __init__(self) -> None:
        """Listen from now on."""
        super().__init__(logging.WARNING)
        self.refusal: Exception | None = None
        self.failures: dict[int | None, BaseException] = {}
        self.seeking: Any = None
        logging.getLogger("kafka").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        if record.name in _UNCAUGHT and record.exc_info and record.exc_info[1]:
            self.failures[record.thread] = record.exc_info[1]
        for each in record.args or ():
            if isinstance(each, Exception) and not isinstance(each, KafkaTimeoutError):
                self.refusal = each
                if isinstance(each, _NOT_LET_IN) and self.seeking is not None:
                    self.seeking._net.call_soon(self.seeking._manager.close)  # noqa: SLF001 - this is its own thread

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger("kafka").removeHandler(self)
        super().close()


def client_options(settings: Settings) -> dict[str, Any]:
    """Give what every kafka-python client of ours is made with; reads all files anew. ValueError if one is no good."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.servers),
        "client_id": settings.client_id,
        "security_protocol": settings.security,
        "request_timeout_ms": int(settings.request_s * 1000),
        "bootstrap_timeout_ms": int(settings.request_s * 1000),
        "reconnect_backoff_max_ms": 1000,
    }
    if settings.security.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    if settings.security.startswith("SASL"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_user
        with open(settings.sasl_password_file, encoding="utf-8") as file:
            options["sasl_plain_password"] = file.read().rstrip("\n")
    return options


def _tls(settings: Settings) -> ssl.SSLContext:
    what = settings.ca_file
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.certificate_file:
            what = f"{settings.certificate_file} with {settings.key_file}"
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except ssl.SSLError as error:
        raise ValueError(
            f"{what} cannot be used ({error.reason or error}); the kafka sink needs PEM, without a password"
        ) from error
    return context


def connect(settings: Settings, options: dict[str, Any], heard: Heard, *, one_by_one: bool = False) -> KafkaProducer:
    """Make a producer for a topic that is there. OSError or LookupError with one sentence.

    `one_by_one`: each record goes by itself, without idempotence, so that one that is refused is alone in that.
    """
    _check_names(settings)
    heard.refusal = None
    with ExitStack() as unless_done:

        def client(**given: Any) -> Any:
            heard.seeking = KafkaNetClient(**given)
            unless_done.callback(heard.seeking.close)  # one that has found no broker would leave its thread behind
            return heard.seeking

        try:
            _check_topic(settings, {**options, "kafka_client": client})
            more = _producing(settings) | (_ONE_BY_ONE if one_by_one else {})
            producer = KafkaProducer(**options, **more, kafka_client=client)
        except KafkaTimeoutError as error:
            raise _sentence(settings, heard.refusal) from error
        except BrokerResponseError as error:
            raise _sentence(settings, error) from error
        finally:
            heard.seeking = None
        unless_done.pop_all()
    # kafka-python 3.0.12 raises in its own thread when a broker says which record of a batch is invalid, and the batch
    # is never heard of again. We find those records by ourselves.
    producer._sender._record_exceptions_fn = lambda error, _records, _said: lambda _index: error  # noqa: SLF001 - as above
    return producer


def discard(producer: KafkaProducer) -> None:
    """Throw a producer away with all that it has not delivered."""
    # `close` alone would first wait for what is undelivered, raise, and leave the thread at work.
    sender = producer._sender  # noqa: SLF001 kafka-python has no other way
    sender.force_close()
    sender.join(1.0)
    with suppress(KafkaError):
        producer.close(0)


def _sentence(settings: Settings, why: Exception | None) -> OSError:
    """Say why no producer can be had, and what helps."""
    who, where = settings.sasl_user or "this client", ", ".join(settings.servers)
    if isinstance(why, _NOT_LET_IN):
        return PermissionError(
            f"the brokers at {where} do not let {who} in ({_said(why)}); check sasl_user, sasl_mechanism "
            f"and what is in {settings.sasl_password_file}"
        )
    if isinstance(why, AuthorizationError):
        return PermissionError(
            f"the brokers at {where} do not let {who} write to {settings.topic} ({_said(why)}); grant it Describe "
            f"and Write, Create for create_topic, and IdempotentWrite unless idempotence is false"
        )
    return ConnectionError(
        f"no broker at {where} let {who} in within {settings.request_s:g} s ({_said(why)}); check servers and "
        f"security, and that brokers run there"
    )


def _said(error: Exception | None) -> str:
    if error is None:
        return "no answer"
    return str(error.args[0]) if error.args else type(error).__name__


def _check_names(settings: Settings) -> None:
    why = ""
    for server in settings.servers:
        host = server.rpartition(":")[0].strip("[]")
        try:
            socket.getaddrinfo(host, None)
            return
        except socket.gaierror as error:
            why = f"{host}: {error.strerror}"
    raise ConnectionError(f"no name in servers can be resolved ({why}); correct servers, or the DNS")


def _check_topic(settings: Settings, options: dict[str, Any]) -> None:
    topic = settings.topic
    with closing(KafkaAdminClient(**options)) as admin:
        (found,) = admin.describe_topics([topic])
        if found["partitions"]:
            return
        error = for_code(found["error_code"])
        if issubclass(error, AuthorizationError):
            raise error(topic)
        if not settings.partitions:
            raise LookupError(
                f"there is no topic {topic} at {', '.join(settings.servers)} ({error.__name__}); make it, or set "
                f"create_topic to its partitions and replicas, such as 12,3"
            )
        shape = {"num_partitions": settings.partitions, "replication_factor": settings.replication}
        try:
            admin.create_topics({topic: shape}, wait_for_metadata=True)
        except TopicAlreadyExistsError:
            pass  # another daemon was quicker
        except (InvalidPartitionsError, InvalidReplicationFactorError, PolicyViolationError) as refused:
            raise LookupError(
                f"the brokers do not make the topic {topic} ({refused}); make it, or correct create_topic"
            ) from refused


def _producing(settings: Settings) -> dict[str, Any]:
    return {
        "acks": "all",
        "enable_idempotence": settings.idempotence,
        # Kept also over retries; with idempotence kafka-python has one request a partition under way in any case.
        "max_in_flight_requests_per_connection": 5 if settings.idempotence else 1,
        "compression_type": None if settings.compression == "none" else settings.compression,
        "max_request_size": settings.max_request_bytes + _BATCH_BYTES,
        "batch_size": settings.max_request_bytes + _BATCH_BYTES,
        "linger_ms": _LINGER_MS,
        "delivery_timeout_ms": _DELIVERY_MS,
        "max_block_ms": int(settings.request_s * 1000),
        "metrics_enabled": False,
    }
