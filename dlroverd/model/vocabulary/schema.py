"""What is known of an event by its name: its version, how severe it is, what its body holds, and where it belongs.

A schema is data. Bodies are JSON objects as they are in the log, so nothing here needs them as dataclasses. A template
such as `job/{job}/incident/{incident[id]}` is filled from the body; a path such as `tombstone.round` leads into it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary import shapes
from dlroverd.model.vocabulary.meanings import MEANINGS
from dlroverd.model.vocabulary.naming import name_of

Body = Mapping[str, Any]

# The kinds that events of one name have: a span is told by two events.
BEGIN, END, SPAN = (EventKind.BEGIN,), (EventKind.END,), (EventKind.BEGIN, EventKind.END)
INSTANT, ANY = (EventKind.INSTANT,), tuple(EventKind)


class Source(StrEnum):
    """Who says so: the daemon, a rank of itself, or an agent of itself."""

    DAEMON = "daemon"
    RANK = "rank"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body: its type in words, and what it means in one line."""

    name: str
    type: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What an event's envelope says by the event's body. `span` and `parent` are templates, "" for none."""

    severity: Severity = Severity.INFO
    kind: EventKind = EventKind.INSTANT
    span: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Where each path of `when` leads to one of its values, the envelope is this one. The first that fits counts."""

    when: Mapping[str, tuple[object, ...]]
    envelope: Envelope

    def fits(self, body: Body) -> bool:
        """Tell whether a body is such a case."""
        for path, values in self.when.items():  # noqa: SIM110 - for every event that anyone reads: half the time of all()
            if reach(body, path) not in values:
                return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """All events of one name and version.

    `kinds` are those that it may have. `about` is the path to the gang, round or rank (or several) that it is about,
    `cause` that to why it is so, `actor` that to who asked for it; "" for none. `is_open`: a body may hold more than
    `fields`. `telemetry`: it never enters the log. `dlrover` names the events of DLRover's that it corresponds to.
    """

    name: str
    says: str
    version: int = 1
    source: Source = Source.DAEMON
    kinds: tuple[EventKind, ...] = INSTANT
    envelope: Envelope = field(default_factory=Envelope)
    cases: tuple[Case, ...] = ()
    fields: tuple[Field, ...] = ()
    is_open: bool = False
    telemetry: bool = False
    about: str = ""
    cause: str = ""
    actor: str = ""
    dlrover: tuple[str, ...] = ()

    def enveloped(self, body: Body) -> Envelope:
        """Give the envelope of an event with this body, its templates filled."""
        found = self.envelope
        for case in self.cases:
            if case.fits(body):
                found = case.envelope
                break
        if not found.span and not found.parent:
            return found
        span, parent = found.span.format_map(body), found.parent.format_map(body)
        return Envelope(severity=found.severity, kind=found.kind, span=span, parent=parent)

    def keys(self, event: object) -> list[Any]:
        """Give the gang, round or rank keys that an event, or its body, is about; they are of the same sort."""
        if not self.about:
            return []
        found = [event]
        for step in self.about.split("."):
            found = [inner for each in found for inner in _items(each, step)]
        return found

    def jobs(self, event: object) -> frozenset[int]:
        """Give the jobs that an event, or its body, is about."""
        return self.jobs_at(self.keys(event), event)

    def jobs_at(self, keys: list[Any], event: object) -> frozenset[int]:
        """Give the jobs that an event, or its body, with these keys is about."""
        if keys:
            return frozenset({int(part(key, "job")) for key in keys})
        job = part(event, "job")
        return frozenset({job} if job else ())


def part(value: object, name: str) -> Any:
    """Give a field of a dataclass, or what a JSON object holds under its name; None if there is none."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def reach(body: Body, path: str) -> Any:
    """Give what a path leads to, None if it leads nowhere."""
    if "." not in path:
        return body.get(path)
    found: Any = body
    for step in path.split("."):
        found = part(found, step)
    return found


def _items(value: object, name: str) -> Iterator[Any]:
    found = part(value, name)
    if isinstance(found, list | tuple):
        yield from found
    elif found is not None:
        yield found


def fact(
    cls: type,
    *cases: Case,
    severity: Severity = Severity.INFO,
    kind: EventKind = EventKind.INSTANT,
    span: str = "",
    parent: str = "",
    version: int = 1,
    about: str = "",
    cause: str = "",
    actor: str = "",
    says: Mapping[str, str] | None = None,
    dlrover: tuple[str, ...] = (),
) -> Schema:
    """Make the schema of one of the core's events; what its dataclass says is taken from there.

    `says` tells what its fields mean where they mean something else than those of that name elsewhere.
    """
    known = shapes.fields(cls)
    meanings = {**MEANINGS, **(says or {})}
    kinds = tuple(dict.fromkeys((kind, *(case.envelope.kind for case in cases))))
    return Schema(
        name=name_of(cls),
        says=shapes.first_paragraph(cls),
        version=version,
        kinds=kinds,
        envelope=Envelope(severity=severity, kind=kind, span=span, parent=parent),
        cases=cases,
        fields=tuple(Field(name, type_, meanings[name]) for name, type_ in known.items()),
        about=about or next((each for each in ("round", "gang") if each in known), ""),
        cause=cause or ("reason" if "reason" in known else ""),
        actor=actor or ("actor" if "actor" in known else ""),
        dlrover=dlrover,
    )


def where(
    when: Mapping[str, tuple[object, ...]],
    severity: Severity = Severity.INFO,
    kind: EventKind = EventKind.INSTANT,
    span: str = "",
    parent: str = "",
) -> Case:
    """Make a case."""
    return Case(when=when, envelope=Envelope(severity=severity, kind=kind, span=span, parent=parent))
