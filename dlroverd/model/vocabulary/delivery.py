"""Delivery: what a sink is told of its own way through the log, and what the log does not hold."""

from dlroverd.model.spooled import Severity
from dlroverd.model.vocabulary.schema import Envelope, Field, Schema, Source

LOG_GAP = "log_gap"
SCHEMAS = (
    Schema(
        name=LOG_GAP,
        says="A sink does not get these records: they were dropped before it took them. Its index is -1.",
        source=Source.SINK,
        envelope=Envelope(severity=Severity.WARNING),
        fields=(
            Field("from", "integer", "the position of the first"),
            Field("to", "integer", "the position of the last"),
            Field("count_of_records", "integer", "how many they are"),
        ),
    ),
)
