"""A daemon with the Kafka sink: its log arrives in a topic, whatever is down meanwhile, and no job notices."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka.brokers import Tansu
from tests.kafka.reading import Got, first_of_each, read
from tests.system.fleet import SCRIPTS, Fleet, Program, until

TOPIC = "dlroverd.events"


@pytest.fixture
def broker() -> Iterator[Tansu]:
    """A broker that is not there yet."""
    made = Tansu()
    yield made
    made.kill()


@pytest.fixture
def here(tmp_path: Path, broker: Tansu) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    settings = {"servers": broker.servers, "create_topic": "4,1", "request_timeout": "20"}
    config = {
        "state_dir": str(made.state_dir),
        "listen": [made.address],
        "sinks": [{"plugin": "kafka", "name": "bus", "settings": settings}],
    }
    file = tmp_path / "daemon.yaml"
    file.write_text(json.dumps(config))
    made.daemon = Program("dlroverd.daemon.main", tmp_path / "daemon.log", "--config", str(file))
    made.start(1, 2)
    yield made
    made.close()


def test_a_job_is_told_of_in_kafka_though_the_broker_comes_late_and_the_daemon_is_killed(
    here: Fleet, broker: Tansu
) -> None:
    job = here.submit("--nproc-per-node", "2", str(SCRIPTS / "allreduce.py"), "20")
    over = here.until_over(job)
    assert (over.state, over.restarts) == ("succeeded", 0)
    (view,) = (each for each in here.json("plugin", "list")["plugins"] if each["name"] == "bus")
    assert (view["origin"], view["kinds"]) == ("dlroverd-kafka", ["sink"])

    broker.start()
    _told(here, broker)
    here.daemon.stop(signal.SIGKILL)
    here.daemon.start()
    here.until_over(here.submit("--nproc-per-node", "1", str(SCRIPTS / "allreduce.py"), "2"))
    _told(here, broker)


def _read(broker: Tansu) -> list[Got]:
    """Give what is in the topic; nothing while it is not made."""
    try:
        return read(broker.servers, TOPIC)
    except KeyError:
        return []


def _told(here: Fleet, broker: Tansu) -> None:
    """All that the log has arrives, by job in its order, each event's id and value as `event list` has them."""
    events = here.json("event", "list")["events"]
    last = (events[-1]["position"], events[-1]["index"])
    got = until(lambda: _read(broker), lambda got: any(each.place == last for each in got))
    by_place = {each.place: json.loads(each.value) for each in got}
    listed = {(each["position"], each["index"]): each for each in events}
    assert set(by_place) >= set(listed)
    for place, event in listed.items():
        told = by_place[place]
        assert (told["name"], told["job"], told["node"]) == (event["name"], event["job"], event["node"])
        assert told["body"] == json.loads(event["body"])
    for places in first_of_each(got).values():
        assert places == sorted(places)
