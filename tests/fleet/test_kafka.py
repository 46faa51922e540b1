"""The Kafka sink over a real network that is cut, and that is slow: every event arrives, each job's in order."""

import json
import sys

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import CTL, SCRIPTS, Fleet
from tests.kafka.brokers import TANSU
from tests.system.fleet import ROOT, until

BROKER = "node2"
SERVERS = f"{BROKER}:9092"
READ = f"""
import json
from tests.kafka.reading import first_of_each, read
print(json.dumps(first_of_each(read("{SERVERS}", "dlroverd.events"))))
"""


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    settings = {"servers": SERVERS, "create_topic": "4,1", "request_timeout": "2"}
    return boot(2, daemon={"sinks": [{"plugin": "kafka", "name": "bus", "settings": settings}]})


def test_events_of_a_job_arrive_over_a_cut_and_a_slow_network(fleet: Fleet) -> None:
    listening = ("--listener-url=tcp://0.0.0.0:9092", f"--advertised-listener-url=tcp://{SERVERS}")
    fleet.spawn(BROKER, str(TANSU), "broker", *listening, "--storage-engine=memory://tansu/", "--silent")
    until(lambda: arrived(fleet), bool)

    fleet.partition(CTL, peers=[BROKER])
    job = fleet.submit("--nodelist", "node1", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), "5")
    assert fleet.until_over(job).state == "succeeded"
    fleet.slow(BROKER, delay="50ms", jitter="10ms", loss="1%")
    fleet.heal(CTL)

    listed = [(each["position"], each["index"]) for each in fleet.json("event", "list")["events"]]
    keys = until(lambda: arrived(fleet), lambda keys: max(place for key in keys for place in key) >= listed[-1])
    assert {place for key in keys for place in key} >= set(listed)
    assert all(places == sorted(places) for places in keys)


def arrived(fleet: Fleet) -> list[list[tuple[int, int]]]:
    """Give what is in the topic, by key; nothing before it is made."""
    said = fleet.exec("node1", "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", READ, code=None)
    return [[(position, index) for position, index in places] for places in json.loads(said or "{}").values()]
