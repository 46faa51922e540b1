"""The sink: delivers batches to one topic, each event at least once, a key's events in their order."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)
from kafka.producer.future import FutureRecordMetadata

from dlroverd.plugin_api import EventsRefused, EventView
from dlroverd_kafka import connecting, settings
from dlroverd_kafka.message import FORMATS, Message, message_of

# The host gives one write 30 s, and kills a process that takes longer.
_WRITE_S = 25.0
_LOOK_S = 0.2
Refused = dict[tuple[int, int], str]
Errors = dict[tuple[int, int], Exception]
# What a broker says of a record that it will never take; it then takes none of the record's batch.
_REFUSING: dict[type[Exception], str] = {
    MessageSizeTooLargeError: "it is larger than the topic's max.message.bytes",
    RecordListTooLargeError: "it is larger than the topic's max.message.bytes",
    InvalidRecordError: "the brokers hold it invalid",
    InvalidTimestampError: "its time is outside of what the topic's message.timestamp settings allow",
}


class KafkaSink:
    """Delivers to one topic. Connects with the first write, and anew after each failure.

    At most one record batch a partition is under way: it is appended whole or not at all, so that whatever fails, no
    event overtakes an earlier one of its key. kafka-python's own way, several in a row, loses the order when one of
    them fails for good.
    """

    _producer: KafkaProducer | None = None

    def open(self, given: dict[str, str]) -> None:
        """Check the settings. Nobody is called: a broker that is away is no reason not to start."""
        self._settings = settings.read(given, FORMATS)
        self._options()
        self._heard = connecting.Heard()

    def write(self, batch: tuple[EventView, ...]) -> None:
        """Deliver a batch: when this returns, all in-sync replicas have it. OSError, LookupError or EventsRefused."""
        deadline = time.monotonic() + _WRITE_S
        refused: Refused = {}
        for chunk in self._chunks(batch):
            refused |= self._deliver(chunk, deadline)
        if refused:
            raise EventsRefused(refused)

    def close(self) -> None:
        """Let go of the brokers: nothing is left undelivered between two writes."""
        self._discard()
        self._heard.close()

    def _options(self) -> dict[str, Any]:
        """Give what clients are made with. Tests add to it what only their brokers need."""
        return connecting.client_options(self._settings)

    def _chunks(self, batch: Sequence[EventView]) -> Iterator[list[Message]]:
        """Cut a batch into what fits into one request, and so, whatever its keys, into one record batch a partition."""
        chunk: list[Message] = []
        size = 0
        for event in batch:
            message = message_of(event, self._settings.format)
            if chunk and size + message.size > self._settings.max_request_bytes:
                yield chunk
                chunk, size = [], 0
            chunk.append(message)
            size += message.size
        if chunk:
            yield chunk

    def _deliver(self, chunk: Sequence[Message], deadline: float) -> Refused:
        """Deliver one chunk; gives those that the brokers will never take."""
        if self._producer is None:
            self._producer = connecting.connect(self._settings, self._options(), self._heard)
        largest = self._settings.max_request_bytes
        small = [message for message in chunk if message.size <= largest]
        refused = {
            _place(message): f"it is larger than max_request_bytes, {largest}"
            for message in chunk
            if message.size > largest
        }
        errors = self._send(self._producer, small, deadline)
        if any(type(error) in _REFUSING for error in errors.values()):
            # A record batch is refused whole for one of it, and after that so is all else that this producer has.
            self._discard()
            self._producer = connecting.connect(self._settings, self._options(), self._heard, one_by_one=True)
            errors = self._send(self._producer, [message for message in small if _place(message) in errors], deadline)
            self._discard()
        for error in errors.values():
            if type(error) not in _REFUSING:
                self._discard()
                raise ConnectionError(f"the brokers did not take events for {self._settings.topic}: {error}") from error
        return refused | {place: _REFUSING[type(error)] for place, error in errors.items()}

    def _send(self, producer: KafkaProducer, chunk: Sequence[Message], deadline: float) -> Errors:
        """Send and wait until each is acknowledged or has failed; gives the errors."""
        topic = self._settings.topic
        try:
            futures = [
                producer.send(topic, message.value, message.key, message.headers, None, message.timestamp_ms)
                for message in chunk
            ]
            self._flush(producer, futures, deadline)
        except KafkaError as error:
            self._discard()
            raise ConnectionError(f"the brokers do not serve {topic} now: {error}") from error
        except BaseException:  # also the host's end of us: what was sent and not waited for must not go on by itself
            self._discard()
            raise
        sent = zip(chunk, futures, strict=True)
        return {_place(message): future.exception for message, future in sent if future.exception is not None}

    def _discard(self) -> None:
        if self._producer is not None:
            connecting.discard(self._producer)
            self._producer = None

    def _flush(self, producer: KafkaProducer, futures: Sequence[FutureRecordMetadata], deadline: float) -> None:
        """Wait until all have been acknowledged or refused."""
        thread = producer._sender.ident  # noqa: SLF001 nothing else tells whose failures these are
        while not all(future.is_done for future in futures):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise ConnectionError(
                    f"no acknowledgement from the topic {self._settings.topic} within {_WRITE_S:g} s; check that the "
                    f"brokers run, with enough replicas in sync, and that the addresses they advertise can be reached"
                )
            if failure := self._heard.failures.pop(thread, None):
                # It would go round for ever: over a leader that is no broker any more, say.
                raise ConnectionError(f"the Kafka client has failed and is made anew: {failure!r}") from failure
            try:
                producer.flush(min(left_s, _LOOK_S))
            except (KafkaTimeoutError, UnknownError):
                pass  # not yet; UnknownError: a record batch was too large, and its halves are to be flushed


def _place(message: Message) -> tuple[int, int]:
    return message.event.position, message.event.index
