"""The vocabulary: a schema for every event that the log can hold, and for those of ranks that are telemetry.

Pure data. Sinks, commands and docs/events.md go by it.
"""

from itertools import chain
from types import MappingProxyType
from typing import Final

from dlroverd.model.event import EventForwarded
from dlroverd.model.globs import whole
from dlroverd.model.vocabulary import (
    agent,
    checkpoints,
    checkups,
    delivery,
    diagnoses,
    hangs,
    holds,
    incidents,
    jobs,
    nodes,
    trainer,
    trust,
    worlds,
)
from dlroverd.model.vocabulary.naming import name_of
from dlroverd.model.vocabulary.schema import Schema

AREAS: Final = (
    *(jobs, worlds, checkpoints, incidents, diagnoses, hangs, nodes, checkups, holds, trust, trainer, agent, delivery),
)
SCHEMAS: Final = MappingProxyType({schema.name: schema for schema in chain(*(area.SCHEMAS for area in AREAS))})
# How what an agent forwards stands in the log. Readers see what is in it, under its own name.
FORWARDED: Final = name_of(EventForwarded)
# The names that readers see. What agents and users name is not all known beforehand.
NAMES: Final = frozenset(SCHEMAS) - {FORWARDED}
_OPEN: Final = ("agent.", trainer.USER)


def may_name(pattern: str) -> bool:
    """Whether an event can have that name; `*` is any text."""
    return pattern.startswith(_OPEN) or pattern in NAMES or any(whole(pattern, name) for name in NAMES)


def schema_of(name: str) -> Schema | None:
    """Give the schema of an event's name; None if there is none."""
    return SCHEMAS.get(f"{trainer.USER}*" if name.startswith(trainer.USER) else name)
