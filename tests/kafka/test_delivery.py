"""What the sink writes is read back by an independent client, as it was written: on Tansu, in memory."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from dlroverd.plugin_api import EventsRefused
from tests.kafka.brokers import Tansu
from tests.kafka.reading import expected, first_of_each, read
from tests.kafka.writing import deliver, events, hosted, opened


@pytest.fixture(scope="module")
def broker() -> Iterator[Tansu]:
    with Tansu() as running:
        yield running


def test_a_log_goes_through_a_host_and_comes_out_whole_and_in_order(broker: Tansu) -> None:
    """In the memory that a plugin may take, too."""
    sent = events(3000)
    failures: list[str] = []

    async def run() -> None:
        async with hosted(servers=broker.servers, topic="whole", create_topic="4,1") as host:
            await deliver(host, sent, failures.append)
            (view,) = host.inventory()
            assert (view.name, view.origin, view.kinds, view.health) == ("kafka", "dlroverd-kafka", ("sink",), "ok")

    asyncio.run(run())
    got = read(broker.servers, "whole")
    assert not failures
    assert len(got) == len(sent)
    assert first_of_each(got) == expected(sent)
    assert {each.partition for each in got} <= set(range(4))
    assert len({(each.key, each.partition) for each in got}) == 7
    by_place = {(event.position, event.index): event for event in sent}
    for each in got[::100]:
        event = by_place[each.place]
        assert json.loads(each.value) == asdict(event) | {"body": json.loads(event.body)}
        assert each.headers["id"] == f"log/{event.position}/{event.index}"
        assert each.timestamp_ms == event.time * 1000


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read_back(broker: Tansu, compression: str) -> None:
    sent = events(300)
    sink = opened(servers=broker.servers, topic=compression, create_topic="2,1", compression=compression)
    sink.write(sent)
    sink.close()
    assert first_of_each(read(broker.servers, compression)) == expected(sent)


def test_a_missing_topic_is_said_and_written_to_once_it_is_there(broker: Tansu) -> None:
    sink = opened(servers=broker.servers, topic="missing")
    with pytest.raises(LookupError, match=r"there is no topic missing at .*; make it, or set create_topic"):
        sink.write(events(10))
    other = opened(servers=broker.servers, topic="missing", create_topic="3,1")
    other.write(events(1))
    sink.write(events(10))
    got = read(broker.servers, "missing")
    assert first_of_each(got) == expected(events(10))
    sink.close()
    other.close()


def test_what_is_too_large_is_refused_and_all_else_delivered(broker: Tansu) -> None:
    sent = list(events(100))
    for at in (0, 40, 99):
        sent[at] = replace(sent[at], body=json.dumps({"padding": "x" * 20_000}))
    sink = opened(servers=broker.servers, topic="large", create_topic="2,1", max_request_bytes="10000")
    with pytest.raises(EventsRefused) as refused:
        sink.write(tuple(sent))
    large = {(sent[at].position, sent[at].index) for at in (0, 40, 99)}
    assert set(refused.value.refused) == large
    assert set(refused.value.refused.values()) == {"it is larger than max_request_bytes, 10000"}
    small = [event for event in sent if (event.position, event.index) not in large]
    assert first_of_each(read(broker.servers, "large")) == expected(small)
    sink.close()


def test_an_event_of_megabytes_goes_when_it_is_allowed(broker: Tansu) -> None:
    sent = events(3, padding=4_000_000)
    sink = opened(servers=broker.servers, topic="huge", create_topic="1,1", max_request_bytes="5000000")
    sink.write(sent)
    sink.close()
    assert [len(each.value) > 4_000_000 for each in read(broker.servers, "huge")] == [True] * 3


def test_brokers_that_know_no_idempotence_get_the_same(broker: Tansu) -> None:
    sent = events(200)
    sink = opened(servers=broker.servers, topic="plain", create_topic="2,1", idempotence="false")
    sink.write(sent)
    sink.close()
    assert first_of_each(read(broker.servers, "plain")) == expected(sent)


def test_an_address_that_resolves_to_nothing_is_said_at_once() -> None:
    sink = opened(servers="no.such.host.invalid:9092")
    with pytest.raises(ConnectionError, match=r"no name in servers can be resolved \(no\.such\.host\.invalid: .*DNS$"):
        sink.write(events(1))
    sink.close()


def test_a_producer_that_died_for_good_is_made_anew() -> None:
    """Tansu in memory forgets all when it is killed, the ids of its producers too."""
    with Tansu() as broker:
        sink = opened(servers=broker.servers, topic="t", create_topic="2,1")
        sink.write(events(10))
        broker.kill()
        broker.start()
        for _ in range(2):
            try:
                sink.write(events(10, first=11))
            except ConnectionError:
                continue
            break
        assert first_of_each(read(broker.servers, "t")) == expected(events(10, first=11))
        sink.close()
