"""Reads a topic with a client that is not ours nor kafka-python: confluent-kafka."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from dlroverd.plugin_api import EventView
from tests.system.fleet import DEADLINE_S


@dataclass(frozen=True, slots=True)
class Got:
    """One message as it was read."""

    partition: int
    offset: int
    key: str
    value: str
    headers: dict[str, str]
    timestamp_ms: int

    @property
    def place(self) -> tuple[int, int]:
        """(position, index), of the id."""
        _, position, index = self.headers["id"].rsplit("/", 2)
        return int(position), int(index)


def read(servers: str, topic: str, **options: str) -> list[Got]:
    """Read a whole topic, each partition in its order."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
            "fetch.wait.max.ms": 20,
            "log_level": 0,
            **options,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        got: list[Got] = []
        ended: set[int | None] = set()
        while len(ended) < len(partitions):
            message = consumer.poll(DEADLINE_S)
            assert message is not None, f"nothing from {topic} within {DEADLINE_S:g} s"
            error = message.error()
            if error is None:
                got.append(_got(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise AssertionError(error)
        return got
    finally:
        consumer.close()


def first_of_each(got: Sequence[Got]) -> dict[str, list[tuple[int, int]]]:
    """Give the places of each key's messages in order, without what came again: what a reader that keeps ids sees."""
    seen: set[tuple[str, str]] = set()
    order: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for each in got:
        if (each.key, each.headers["id"]) not in seen:
            seen.add((each.key, each.headers["id"]))
            order[each.key].append(each.place)
    return dict(order)


def expected(batch: Sequence[EventView]) -> dict[str, list[tuple[int, int]]]:
    """Give the places of each job's events as they were written."""
    order: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in batch:
        order[str(event.job)].append((event.position, event.index))
    return dict(order)


def _got(message: Message) -> Got:
    given = cast("list[tuple[str, bytes]]", message.headers() or [])
    headers = {name: value.decode() for name, value in given}
    key, value = message.key(), message.value()
    assert key is not None
    assert value is not None
    return Got(
        message.partition() or 0, message.offset() or 0, key.decode(), value.decode(), headers, message.timestamp()[1]
    )
