"""librdkafka's mock cluster, inside confluent-kafka's wheel: three brokers that fail on command.

It makes no topics by itself here, and kafka-python understands it as a broker of version 2.3 only: `OLD_BROKER`.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import confluent_kafka

OLD_BROKER = (2, 3)
BROKERS = 3
# From Kafka's protocol: one API, and what a broker answers with.
_PRODUCE = 0
NOT_LEADER, REQUEST_TIMED_OUT, TOO_LARGE, OUT_OF_ORDER, UNKNOWN_PRODUCER, INVALID_RECORD = 6, 7, 10, 45, 59, 87
_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_new": (_POINTER, [_INT, _POINTER, _TEXT, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, _INT]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, [_POINTER]),
    "rd_kafka_mock_topic_create": (_INT, [_POINTER, _TEXT, _INT, _INT]),
    "rd_kafka_mock_partition_set_leader": (_INT, [_POINTER, _TEXT, ctypes.c_int32, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_rtt": (_INT, [_POINTER, ctypes.c_int32, _INT]),
    "rd_kafka_mock_broker_set_down": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (_INT, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        [_POINTER, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(_INT)],
    ),
}


class MockCluster:
    """Brokers 1 to 3."""

    def __enter__(self) -> Self:
        (library,) = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*.so*")
        self._library = ctypes.CDLL(str(library))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)  # which is kept; with [] each is another
            function.restype, function.argtypes = result, arguments
        error = ctypes.create_string_buffer(512)
        self._client = self._library.rd_kafka_new(0, self._library.rd_kafka_conf_new(), error, len(error))
        assert self._client, error.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, BROKERS)
        self.servers = str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def make_topic(self, topic: str, partitions: int) -> None:
        """Make a topic that all brokers hold."""
        self._call("topic_create", topic.encode(), partitions, BROKERS)

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Give a partition another leader."""
        self._call("partition_set_leader", topic.encode(), partition, broker)

    def slow(self, milliseconds: int) -> None:
        """Have every broker answer so much later."""
        for broker in range(1, BROKERS + 1):
            self._call("broker_set_rtt", broker, milliseconds)

    def down(self, broker: int) -> None:
        """Cut a broker off."""
        self._call("broker_set_down", broker)

    def up(self, broker: int) -> None:
        """Let a broker serve again."""
        self._call("broker_set_up", broker)

    def fail_produce(self, errors: Sequence[int]) -> None:
        """Answer the next produce requests with these error codes, one each."""
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, _PRODUCE, len(errors), (_INT * len(errors))(*errors)
        )

    def _call(self, name: str, *arguments: object) -> None:
        failed = getattr(self._library, f"rd_kafka_mock_{name}")(self._cluster, *arguments)
        assert not failed, f"{name}: {failed}"
