"""How far each node's spool is in the log, and what ranks tell of their checkpoints."""

from dataclasses import replace

from dlroverd.core.records import SpoolRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, SpooledEvent

_SAVE = "trainer.save"


def event_forwarded(s: State, e: ev.EventForwarded) -> None:
    s.put(s.spools, e.node, SpoolRecord(spool=e.spool, sequence=e.event.sequence))
    _note_save(s, e.event)


def _note_save(s: State, event: SpooledEvent) -> None:
    """Keep whether a world writes a checkpoint, as the lowest of its ranks that tells of any says.

    A save whose end is not told is over when that rank begins or ends something else that is not within it.
    """
    if event.rank is None or event.kind not in (EventKind.BEGIN, EventKind.END):
        return
    rank, gang = event.rank.rank, s.gangs.get(event.rank.gang_key)
    if gang is None or event.rank.round != gang.round:
        return
    if event.name == _SAVE and event.kind is EventKind.BEGIN:
        if event.span and (gang.saver < 0 or rank <= gang.saver):
            s.put(s.gangs, gang.key, replace(gang, saver=rank, saving=event.span, saving_since=event.time))
    elif gang.saving and rank == gang.saver and event.parent != gang.saving:
        told = event.span == gang.saving and event.time >= gang.saving_since
        took_s = round(event.time - gang.saving_since, 6) if told else 0.0
        s.put(s.gangs, gang.key, replace(gang, saving="", saves=gang.saves + told, saves_s=gang.saves_s + took_s))
