"""What a batch of events must be like before it is taken in: an agent's fault is refused here, with a sentence."""

import json
import re

from dlroverd.model.spooled import EventBatch, SpooledEvent
from dlroverd.protocol.errors import CallError, Reason

MOST_EVENTS = 500
_MOST_BODY_BYTES = 256 * 1024
# The core's own events have no dot in their names: nobody else can say them.
_NAME = re.compile(r"(agent|trainer|user)(\.[A-Za-z0-9_-]+)+", re.ASCII)


def check_batch(batch: EventBatch) -> None:
    """Raise CallError unless a batch has 1 to `MOST_EVENTS` events, in order, each fit for the log."""
    if not 1 <= len(batch.events) <= MOST_EVENTS or not 1 <= len(batch.spool) <= 64:
        raise _broken(batch, f"has {len(batch.events)} events of spool {batch.spool!r:.80}")
    last = 0
    for event in batch.events:
        if event.sequence <= last:
            raise _broken(batch, f"has event {event.sequence} after {last}")
        last = event.sequence
        if problem := _problem(event):
            raise _broken(batch, f"has event {event.sequence}, {problem}")


def _problem(event: SpooledEvent) -> str:
    """Say what is wrong with an event; "" if nothing is."""
    if len(event.name) > 128 or not _NAME.fullmatch(event.name):
        return f"whose name {event.name!r:.80} is none that an agent may send"
    if len(event.body) > _MOST_BODY_BYTES:
        return f"whose body has {len(event.body)} characters"
    try:
        body = json.loads(event.body)
    except (ValueError, RecursionError):
        body = None
    return "" if isinstance(body, dict) else "whose body is no JSON object"


def _broken(batch: EventBatch, what: str) -> CallError:
    return CallError(Reason.INVALID, f"A batch of node {batch.node:.253} {what}: upgrade its dlroverd-agent.")
