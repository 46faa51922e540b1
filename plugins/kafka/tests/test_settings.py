"""What the sink may be told, and what an event becomes: no broker is needed for either."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from dlroverd_kafka.message import message_of
from dlroverd_kafka.sink import KafkaSink

from dlroverd.plugin_api import EventView, cloud_event

HERE = {"servers": "kafka1:9092, [fd00::2]:9093"}
SASL = HERE | {"security": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_user": "ann"}


def refusal(settings: dict[str, str]) -> str:
    with pytest.raises(ValueError, match=r"\w+ \w+") as refused:
        KafkaSink().open(settings)
    return str(refused.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "servers is ''; the kafka sink needs host:port"),
        ({"servers": "kafka1"}, "servers is 'kafka1'; the kafka sink needs host:port"),
        ({"servers": "kafka1:70000"}, "needs host:port"),
        (HERE | {"sever": "x"}, "unknown setting 'sever'; the kafka sink has servers, topic, "),
        (HERE | {"topic": "no spaces"}, "topic is 'no spaces'; Kafka's topics have 1 to 249 letters"),
        (HERE | {"create_topic": "3"}, "create_topic is '3'; give the partitions and the replicas"),
        (HERE | {"format": "xml"}, "format is 'xml'; it may be json, cloudevents"),
        (HERE | {"compression": "rar"}, "compression is 'rar'; it may be none, gzip, snappy, lz4, zstd"),
        (HERE | {"idempotence": "yes"}, "idempotence is 'yes'; it may be true, false"),
        (HERE | {"request_timeout": "0"}, "request_timeout is '0'; the kafka sink needs a whole number from 1 to 20"),
        (HERE | {"max_request_bytes": "1e6"}, "max_request_bytes is '1e6'; the kafka sink needs a whole number"),
        (HERE | {"security": "TLS"}, "security is 'TLS'; it may be PLAINTEXT, SSL"),
        (HERE | {"sasl_user": "ann"}, "sasl_user is set, but security is PLAINTEXT; set it to SASL_SSL"),
        (HERE | {"ca_file": "/etc/hostname"}, "ca_file is set, but security is PLAINTEXT; set it to SSL"),
        (
            HERE | {"security": "SSL", "ca_file": "ca.pem"},
            "ca_file is 'ca.pem'; the kafka sink needs the absolute path",
        ),
        (HERE | {"security": "SSL", "ca_file": "/etc/hostname"}, "/etc/hostname cannot be used ("),
        (HERE | {"security": "SSL", "key_file": "/etc/hostname"}, "certificate_file and key_file go together"),
        (SASL, "security is SASL_SSL, which needs sasl_password_file"),
        (SASL | {"sasl_password_file": "/no/such"}, "sasl_password_file is '/no/such'; the kafka sink needs"),
        (SASL | {"sasl_mechanism": "GSSAPI"}, "sasl_mechanism is 'GSSAPI'; it may be PLAIN, SCRAM-SHA-256"),
        (SASL | {"sasl_password": "hunter2"}, "unknown setting 'sasl_password'"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(settings: dict[str, str], says: str) -> None:
    said = refusal(settings)
    assert says in said
    assert "\n" not in said
    assert "hunter2" not in said


def test_a_compression_without_its_library_says_what_to_install() -> None:
    without = f"""
import sys
sys.modules["zstandard"] = None
from dlroverd_kafka import KafkaSink
KafkaSink().open({HERE | {"compression": "zstd"}})
"""
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    assert done.stderr.endswith(
        "ValueError: compression is zstd, which needs a library: pip install 'dlroverd-kafka[zstd]'\n"
    )


def test_nobody_is_called_before_there_is_something_to_deliver(tmp_path: Path) -> None:
    """No such host exists, and the sink opens all the same: a broker that is away must not keep a daemon from it."""
    password = tmp_path / "password"
    password.write_text("hunter2\n")
    sink = KafkaSink()
    sink.open(SASL | {"servers": "no.such.host.invalid:9092", "sasl_password_file": str(password)})
    sink.close()


def test_an_event_is_one_json_object_with_its_body_in_it() -> None:
    body = {"text": 'quotes " and \\, ünïcödé \U0001f680', "nested": {"a": [1, None]}}
    event = EventView(
        position=7, index=1, time=1.7e9, name="job_moved", job=3, node="n1", body=json.dumps(body), log_id="log"
    )
    message = message_of(event, "json")
    assert json.loads(message.value) == asdict(event) | {"body": body}
    assert message.timestamp_ms == 1_700_000_000_000
    assert message.size >= len(message.key) + len(message.value) + sum(len(n) + len(v) for n, v in message.headers)
    assert dict(message.headers) == {
        "id": b"log/7/1",
        "name": b"job_moved",
        "version": b"1",
        "severity": b"info",
        "kind": b"instant",
        "content-type": b"application/json",
        "job": b"3",
        "node": b"n1",
    }


def test_an_event_may_go_as_a_cloud_event() -> None:
    event = EventView(position=7, index=1, time=1.7e9, name="job_moved", job=3, node="", body='{"a": 1}', log_id="log")
    message = message_of(event, "cloudevents")
    assert json.loads(message.value) == cloud_event(event)
    headers = dict(message.headers)
    assert headers["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    assert headers["id"].decode() == json.loads(message.value)["id"]


@pytest.mark.parametrize(
    ("time", "timestamp_ms", "said"),
    [
        (float("nan"), 0, None),
        (float("inf"), 253_402_300_799_999, None),
        (-5.0, 0, -5.0),
        (1e300, 253_402_300_799_999, 1e300),
    ],
)
def test_a_clock_gone_mad_still_gives_a_message(time: float, timestamp_ms: int, said: float | None) -> None:
    message = message_of(EventView(position=1, index=0, time=time, name="n", job=1, node="", body="{}"), "json")
    assert message.timestamp_ms == timestamp_ms
    assert json.loads(message.value)["time"] == said


@pytest.mark.parametrize(
    ("job", "node", "key", "absent"),
    [(3, "n1", b"3", set()), (0, "n1", b"n1", {"job"}), (0, "", b"node_moved", {"job", "node"})],
)
def test_the_key_is_the_job_else_the_node_else_the_name(job: int, node: str, key: bytes, absent: set[str]) -> None:
    event = EventView(position=1, index=0, time=0.0, name="node_moved", job=job, node=node, body="{}")
    message = message_of(event, "json")
    assert message.key == key
    assert {"job", "node"} - dict(message.headers).keys() == absent
