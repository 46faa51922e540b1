"""Agents: what they say of themselves, and how what they forward stands in the log. Bodies may hold more."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import Severity
from dlroverd.model.vocabulary.schema import Envelope, Field, Schema, Source, fact

SCHEMAS = (
    Schema(
        name="agent.start",
        says="An agent began.",
        source=Source.AGENT,
        fields=(
            Field("version", "text", "its version"),
            Field("ranks_found_running", "integer", "how many ranks an agent before it had left running"),
        ),
        is_open=True,
        dlrover=("agent.agent_start",),
    ),
    Schema(
        name="agent.exit",
        says="An agent ended in good order; what its ranks run goes on.",
        source=Source.AGENT,
        fields=(Field("why", "text", "why, in a sentence"),),
        cause="why",
        is_open=True,
        dlrover=("agent.agent_exit",),
    ),
    Schema(
        name="agent.events_dropped",
        says="Events were dropped before they reached the log.",
        source=Source.AGENT,
        envelope=Envelope(severity=Severity.WARNING),
        fields=(Field("count", "integer", "how many"), Field("why", "text", "why, in a sentence")),
        is_open=True,
        cause="why",
    ),
    Schema(
        name="agent.no_vault",
        says="A job has no checkpoint memory on a node: its vault could not be started, or has ended.",
        source=Source.AGENT,
        envelope=Envelope(severity=Severity.WARNING),
        fields=(Field("job", "integer", "its number"), Field("why", "text", "why, in a sentence")),
        is_open=True,
        cause="why",
    ),
    fact(ev.EventForwarded, about="event.rank"),
)
