"""Brokers that are away, are killed, move their topics, answer late or with errors: nothing lost, order kept.

Restarts are proven on Tansu with its log in an object store; errors and leaders on librdkafka's mock cluster.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from dlroverd_kafka import KafkaSink
from kafka.errors import InvalidRecordError
from kafka.protocol.producer import ProduceResponse

from dlroverd.plugin_api import EventsRefused
from tests.kafka.brokers import ObjectStore, Tansu
from tests.kafka.mock_cluster import (
    INVALID_RECORD,
    NOT_LEADER,
    OLD_BROKER,
    OUT_OF_ORDER,
    REQUEST_TIMED_OUT,
    TOO_LARGE,
    UNKNOWN_PRODUCER,
    MockCluster,
)
from tests.kafka.reading import Got, expected, first_of_each, read
from tests.kafka.writing import BATCH, deliver, events, hosted

PARTITIONS = 4


class OldSink(KafkaSink):
    """Speaks to brokers of version 2.3."""

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"api_version": OLD_BROKER}


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as running:
        yield running


@pytest.fixture
def topic(cluster: MockCluster, request: pytest.FixtureRequest) -> str:
    """A topic of the test's own, of four partitions, led by all brokers in turn."""
    name = re.sub(r"\W", "-", str(request.node.name))
    cluster.make_topic(name, PARTITIONS)
    return name


@pytest.fixture
def sink(cluster: MockCluster, topic: str) -> Iterator[OldSink]:
    """A sink that has delivered its first hundred events."""
    opened = OldSink()
    opened.open({"servers": cluster.servers, "topic": topic})
    opened.write(events(100))
    yield opened
    opened.close()


def test_a_broker_away_for_ten_thousand_events_and_killed_under_load_loses_none() -> None:
    sent = events(14_000)
    failures: list[str] = []

    async def away(broker: Tansu) -> None:
        """The sink's process starts while there is no broker, as a daemon may, and finds it when it is back."""
        failed = asyncio.Event()

        def note(why: str) -> None:
            failures.append(why)
            failed.set()

        async with hosted(servers=broker.servers, topic="t", create_topic="4,1", request_timeout="1") as host:
            delivering = asyncio.create_task(deliver(host, sent[:10_000], note))
            await failed.wait()
            assert "ConnectionError: no broker at 127.0.0.1" in failures[0]
            assert "check servers and security, and that brokers run there" in failures[0]
            await asyncio.to_thread(broker.start)
            await delivering

    async def under_load(broker: Tansu) -> None:
        """Without idempotence: Tansu notes a batch's sequence before the batch, and killed between the two it takes the
        same batch for one that it has when it comes again."""
        async with hosted(servers=broker.servers, topic="t", idempotence="false") as host:
            in_midst = 0
            for start in range(10_000, len(sent), BATCH):
                delivering = asyncio.create_task(deliver(host, sent[start : start + BATCH], failures.append))
                await asyncio.wait([delivering], timeout=0.1)
                in_midst += not delivering.done()
                broker.kill()
                await asyncio.to_thread(broker.start)
                await delivering
            assert in_midst

    with ObjectStore() as store, Tansu(storage=store) as broker:
        broker.kill()
        asyncio.run(away(broker))
        asyncio.run(under_load(broker))
        got = read(broker.servers, "t")
    assert first_of_each(got) == expected(sent)
    _same_when_it_came_again(got)


def test_a_leader_that_moves_and_a_broker_that_falls_are_followed(
    cluster: MockCluster, sink: OldSink, topic: str
) -> None:
    for partition in range(PARTITIONS):
        cluster.lead(topic, partition, 1 + partition % 3)
    sink.write(events(100, first=101))
    for partition in range(PARTITIONS):
        cluster.lead(topic, partition, 2)
    sink.write(events(100, first=201))
    cluster.down(2)
    for partition in range(PARTITIONS):
        cluster.lead(topic, partition, 3)
    _write_until_taken(sink, 301)
    cluster.up(2)
    _holds(cluster, topic, 400)


@pytest.mark.parametrize("error", [NOT_LEADER, REQUEST_TIMED_OUT])
def test_an_error_that_passes_is_tried_again_at_once(
    cluster: MockCluster, sink: OldSink, topic: str, error: int
) -> None:
    cluster.fail_produce([error] * 3)
    sink.write(events(100, first=101))
    _holds(cluster, topic, 200)


@pytest.mark.parametrize("error", [OUT_OF_ORDER, UNKNOWN_PRODUCER])
def test_a_producer_that_the_brokers_disown_is_made_anew(
    cluster: MockCluster, sink: OldSink, topic: str, error: int
) -> None:
    cluster.fail_produce([error])
    with pytest.raises(ConnectionError, match="the brokers did not take events"):
        sink.write(events(100, first=101))
    sink.write(events(100, first=101))
    _holds(cluster, topic, 200)


@pytest.mark.parametrize(("error", "why"), [(TOO_LARGE, "max.message.bytes"), (INVALID_RECORD, "hold it invalid")])
def test_what_the_brokers_refuse_is_found_among_all_others(
    cluster: MockCluster, sink: OldSink, topic: str, error: int, why: str
) -> None:
    """The batch is refused, down to its first event (kafka-python halves too large ones), and then that event alone."""
    job = tuple(event for event in events(100, first=101) if event.job == 1)[:8]
    cluster.fail_produce([error] * (5 if error == TOO_LARGE else 2))
    with pytest.raises(EventsRefused) as refused:
        sink.write(job)
    ((place, said),) = refused.value.refused.items()
    assert place == (job[0].position, job[0].index)
    assert why in said
    sink.write(job[:1])
    places = [(event.position, event.index) for event in job]
    assert [got.place for got in read(cluster.servers, topic) if got.place in places] == [*places[1:], places[0]]


def test_a_slow_broker_delays_and_loses_nothing(cluster: MockCluster, sink: OldSink, topic: str) -> None:
    cluster.slow(300)
    sink.write(events(200, first=101))
    cluster.slow(0)
    _holds(cluster, topic, 300)


def test_an_event_that_a_broker_names_in_a_refusal_is_not_waited_for_in_vain(sink: OldSink) -> None:
    """Brokers from 2.4 on do that; kafka-python 3.0.12 alone raises over it where nobody hears."""
    named = ProduceResponse.TopicProduceResponse.PartitionProduceResponse.BatchIndexAndErrorMessage(
        batch_index=3, batch_index_error_message="no"
    )
    assert sink._producer is not None
    error = InvalidRecordError("no")
    assert sink._producer._sender._record_exceptions_fn(error, [named], "no")(3) is error


def _write_until_taken(sink: OldSink, first: int) -> None:
    """As the host does; a client that trips over a leader that is gone is made anew."""
    for _ in range(3):
        try:
            return sink.write(events(100, first=first))
        except ConnectionError:
            continue
    raise AssertionError("not taken")


def _holds(cluster: MockCluster, topic: str, count: int) -> None:
    """All events up to `count` are in the topic, each job's in order."""
    got = read(cluster.servers, topic)
    assert first_of_each(got) == expected(events(count))
    _same_when_it_came_again(got)


def _same_when_it_came_again(got: list[Got]) -> None:
    """What is there twice has one id and one value."""
    values: dict[str, str] = {}
    for each in got:
        assert values.setdefault(each.headers["id"], each.value) == each.value
