"""What ranks and agents say of themselves: each event becomes one of the log, once."""

from dataclasses import replace

from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp


def take(turn: Turn, item: inp.EventsForwarded) -> Outcome:
    """Take what is new of a batch; its sequence may have gaps, of what its node could not read any more.

    An event of a job that is not known, or is no more, is taken all the same: it was said.
    """
    batch = item.batch
    if batch.node not in turn.state.nodes:
        return Refused("not_found", f"Node {batch.node} has not said hello; its events are taken once it has.")
    if turn.state.m.storage_low:
        return Refused("storage_low", "The log's disk is short of space; events of ranks are taken when it has some.")
    known = turn.state.spools.get(batch.node)
    taken = known.sequence if known is not None and known.spool == batch.spool else 0
    for event in batch.events:
        if event.sequence > taken:
            turn.emit(ev.EventForwarded(node=batch.node, spool=batch.spool, boot_id=batch.boot_id, event=event))
            taken = event.sequence
    return Done()


def bare(item: inp.EventsForwarded) -> inp.EventsForwarded:
    """Give the input as it is kept in the log, beside its events: they hold all that it said."""
    return replace(item, batch=replace(item.batch, events=()))
