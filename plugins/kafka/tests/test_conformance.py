"""The suite of every sink, on a real broker."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from dlroverd_kafka import KafkaSink

from dlroverd.testing.conformance import SinkConformance
from dlroverd.testing.conformance.sink import Delivered
from tests.kafka.brokers import Tansu
from tests.kafka.reading import read


class TestKafka(SinkConformance):
    make = KafkaSink

    servers = ""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _broker(cls) -> Iterator[None]:
        with Tansu() as broker:
            cls.servers = broker.servers
            yield

    def settings(self, directory: Path) -> dict[str, str]:
        topic = directory / "topic"
        if not topic.exists():
            topic.write_text(secrets.token_hex())
        return {"servers": self.servers, "topic": topic.read_text(), "create_topic": "1,1"}

    def delivered(self, settings: dict[str, str]) -> Delivered:
        return [got.place for got in read(settings["servers"], settings["topic"])]
