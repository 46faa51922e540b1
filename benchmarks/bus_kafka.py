"""What an event costs on its way to Kafka, beside kafka-python's producer alone with the same settings.

    the sink      events, in batches of 1,000, through the plugin host to a broker: encoded, validated in the plugin's
                  process, made into messages, sent, acknowledged
    the log       the same, read from a log of real turns by a feed as the daemon runs it; and to the file sink
    bare          what a program would do without us: `json.dumps` of each event, `KafkaProducer.send` with the same
                  key and headers, one flush at the end
    ready         the same with messages made before: the client alone

The broker is Tansu, in memory, on this machine: it shares the CPUs. Each way goes through the same events in turn. Wall
time says how many events a second arrive; CPU time, ours and the plugin's, is the same whatever else the machine does.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from core import Fleet
from dlroverd_kafka import KafkaSink, connecting
from dlroverd_kafka.message import message_of
from dlroverd_kafka.settings import read
from figures import Figure, compare

from dlroverd.core.handle import Decision
from dlroverd.plugin_api import EventView
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
from dlroverd.runtime import codec
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import views_of
from dlroverd.runtime.journal import Journal
from dlroverd.runtime.redaction import Redactor
from dlroverd.runtime.sinks import Feed, SinkSettings
from dlroverd.store.interface import Record
from dlroverd.store.sqlite import SqliteStore
from tests.kafka.brokers import Tansu

BATCH = 1000
# Jobs whose whole lives are in the log.
LIVES = 500
# At least 0.8 of the bare producer's events a second.
TARGET = 1 / 0.8
KNOWN = Known("bench", {})
Cost = tuple[float, float]


class Meter:
    """Counts wall and CPU time, ours and that of the plugins' processes, from when it is made."""

    def __init__(self) -> None:
        self._cpu_s, self._wall_s = _cpu_s(), time.perf_counter()

    def per(self, events: int) -> Cost:
        """Give microseconds of wall and of CPU time an event."""
        wall_s, cpu_s = time.perf_counter() - self._wall_s, _cpu_s() - self._cpu_s
        return wall_s / events * 1e6, cpu_s / events * 1e6


def _cpu_s() -> float:
    mine = psutil.Process()
    counted = [mine, *(each for each in mine.children(recursive=True) if each.name() != "tansu")]
    return sum(each.cpu_times().user + each.cpu_times().system for each in counted)


def records(lives: int) -> list[Record]:
    """Give the turns of so many jobs' lives."""
    made: list[Record] = []

    def keep(decision: Decision) -> None:
        if decision.events:
            events = codec.EVENTS.encode(decision.events)
            made.append(Record(len(made) + 1, decision.now, codec.INPUTS.encode(decision.inputs), events))

    fleet = Fleet(10, keep)
    for number in range(lives):
        fleet.live(f"life-{number}")
    return made


def bare(settings: dict[str, str], events: Sequence[EventView], *, ready: bool) -> Cost:
    """Give microseconds an event of kafka-python alone."""
    checked = read(settings, ("json",))
    messages = [message_of(event, "json") for event in events]
    heard = connecting.Heard()
    producer = connecting.connect(checked, connecting.client_options(checked), heard)
    producer.partitions_for(checked.topic)
    meter = Meter()
    sent = [
        producer.send(
            checked.topic,
            each.value if ready else json.dumps(asdict(each.event)).encode(),
            each.key,
            each.headers,
            None,
            each.timestamp_ms,
        )
        for each in messages
    ]
    producer.flush(60)
    cost = meter.per(len(events))
    assert all(future.succeeded() for future in sent)
    producer.close()
    heard.close()
    return cost


def inside(settings: dict[str, str], events: Sequence[EventView]) -> Cost:
    """Give microseconds an event of the sink alone, in this process."""
    sink = KafkaSink()
    sink.open(settings)
    sink.write(tuple(events[:1]))
    meter = Meter()
    for start in range(0, len(events), BATCH):
        sink.write(tuple(events[start : start + BATCH]))
    cost = meter.per(len(events))
    sink.close()
    return cost


async def hosted(settings: dict[str, str], events: Sequence[EventView]) -> Cost:
    """Give microseconds an event of the sink in its host."""
    host = PluginHost([PluginConfig(name="kafka", settings=settings)])
    await host.start()
    await host.write("kafka", tuple(events[:1]), 30.0)
    meter = Meter()
    for start in range(0, len(events), BATCH):
        await host.write("kafka", tuple(events[start : start + BATCH]), 30.0)
    cost = meter.per(len(events))
    await host.close()
    return cost


async def fed(plugin: str, settings: dict[str, str], turns: Sequence[Record], events: int) -> Cost:
    """Give microseconds an event from a log to a sink."""
    with tempfile.TemporaryDirectory() as folder, closing(SqliteStore(Path(folder), reserve_bytes=1 << 20)) as store:
        store.append(turns)
        journal = Journal(store, snapshot_every=1 << 30, keep_records=1 << 30, readers=(plugin,))
        host = PluginHost([PluginConfig(name=plugin, settings=settings)])
        await host.start()
        await host.settled()
        meter = Meter()
        sink, letters = SinkSettings(name=plugin), Path(folder) / "letters"
        feed = Feed(sink, journal, Changes(), host, KNOWN, letters=letters, redactor=Redactor(()))
        feeding = asyncio.create_task(feed.run())
        while (await journal.cursor(plugin) or 0) < turns[-1].position:  # noqa: ASYNC110 - nobody is told of a cursor
            await asyncio.sleep(0.02)
        cost = meter.per(events)
        feeding.cancel()
        await host.close()
    return cost


def to_sinks(options: argparse.Namespace) -> Iterator[Figure]:
    """Give what an event costs from the log to a sink, in wall and CPU time."""
    turns = records(LIVES)
    events = [view for record in turns for view, _ in views_of(record, KNOWN)]
    samples: dict[str, list[Cost]] = {name: [] for name in ("bare", "ready", "sink", "hosted", "log", "file")}
    with Tansu() as broker, tempfile.TemporaryDirectory() as folder:
        settings = {"servers": broker.servers, "topic": "events", "create_topic": "4,1"}
        for run in range(options.runs):
            samples["bare"].append(bare(settings, events, ready=False))
            samples["ready"].append(bare(settings, events, ready=True))
            samples["sink"].append(inside(settings, events))
            samples["hosted"].append(asyncio.run(hosted(settings, events)))
            samples["log"].append(asyncio.run(fed("kafka", settings, turns, len(events))))
            path = {"path": str(Path(folder) / f"{run}.jsonl")}
            samples["file"].append(asyncio.run(fed("file", path, turns, len(events))))
    for at, kind in enumerate(("wall", "CPU")):
        values = {way: [cost[at] for cost in costs] for way, costs in samples.items()}
        for metric, ours, other, target in (
            ("the sink in its host", "hosted", "bare", TARGET),
            ("the sink in its host", "hosted", "ready", None),
            ("from the log to Kafka", "log", "bare", TARGET),
            ("from the log to Kafka", "log", "ready", None),
            ("the sink's code alone", "sink", "ready", None),
            ("from the log to the file sink", "file", "log", None),
        ):
            yield compare(f"{metric}, us of {kind}/event", values[ours], other, values[other], target)
