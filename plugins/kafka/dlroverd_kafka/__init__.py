"""A sink that delivers the events of the log to one topic of Kafka: see docs/kafka.md."""

from collections.abc import Callable

from dlroverd.plugin_api import Sink, hookimpl
from dlroverd_kafka.sink import KafkaSink

DLROVERD_API = 1

__all__ = ["DLROVERD_API", "KafkaSink", "dlroverd_register_sink"]


@hookimpl
def dlroverd_register_sink(register: Callable[[Sink], None]) -> None:
    """Hand over the sink."""
    register(KafkaSink())
