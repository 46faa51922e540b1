"""Writes docs/events.md from the vocabulary: `python -m tests.unit.model.event_page` in the repository."""

import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from dlroverd.model import event as ev
from dlroverd.model.vocabulary import AREAS, SCHEMAS, shapes
from dlroverd.model.vocabulary.dlrover import ABSENT
from dlroverd.model.vocabulary.schema import Case, Schema, Source

PAGE = Path(__file__).resolve().parents[3] / "docs" / "events.md"
_TOLD_BY = {Source.DAEMON: "", Source.RANK: "told by a rank", Source.AGENT: "told by an agent"}
_INTRODUCTION = """# Events

Made from `dlroverd/model/vocabulary` by `python -m tests.unit.model.event_page`; a test compares.

Everything that becomes so is a fact of the daemon's log, and everybody reads the same: `dlroverctl event list` and
`tail`, the sinks, and `why`. An event has an envelope (`EventView` in [plugins/sink.md](plugins/sink.md)) and a body, a
JSON object with the fields below.

- **Identity**: log id, position (of the turn) and index never change; an event that comes twice is told by them.
- **Version**: it rises when a field of the body comes, goes or changes its type. Read by name and version. The shapes
  within a field may get more fields, and enumerations more words, without a new version.
- **Severity**: debug, info, warning, error or critical; **kind**: instant, begin, end or gauge.
- **Spans**: begin and end have the same `span`; `parent` is the span around. Spans of the daemon's facts are named by
  what they are about (`job/7/incident/3`), so a name is free again after its end. A begin within its own span tells of
  it anew; a span ends with its parent at the latest.
- **Host and boot** are of the event's node at that time. The boot is left out where it was not known: while a node is
  silent, and before the last few boots.
- **Telemetry** never enters the log: steps and gauges go to the telemetry store.
- **`user.`** is for your own: any name behind it, any body.

As CloudEvents 1.0 (`-o cloudevents`, and `cloud_event` of `dlroverd.plugin_api` in a sink): `id` is
`LOGID/POSITION/INDEX`, `source` `/dlroverd/LOGID`, `type` `dlroverd.NAME.vVERSION`, `subject` what it is about
(`job/7/trainer/0/round/2/rank/3`, `node/n1`), `data` the body, `partitionkey` the job (else the node), `sequence` sorts
as the log does; the rest of the envelope is in extensions: `severitytext`, `severitynumber`, `kind`, `node`, `host`,
`bootid`, `unit`, `job`, `role`, `gang`, `round`, `rank`, `pid`, `actor`, `cause`, `span`, `parent`, `monotonic`.
"""


def page() -> str:
    parts = [_INTRODUCTION, *(part for area in AREAS for part in _area(area.__doc__ or "", area.SCHEMAS))]
    return "\n".join([*parts, *_shapes(), *_dlrover()]).rstrip() + "\n"


def _area(says: str, schemas: tuple[Schema, ...]) -> Iterator[str]:
    title, _, what = " ".join(says.split()).partition(": ")
    yield f"## {title}\n\n{what[0].upper()}{what[1:]}\n"
    for schema in schemas:
        yield _event(schema)


def _event(schema: Schema) -> str:
    facts = [f"version {schema.version}", _severity(schema), _kinds(schema), _TOLD_BY[schema.source]]
    facts += ["telemetry"] if schema.telemetry else []
    facts += [f"DLRover: {', '.join(f'`{name}`' for name in schema.dlrover)}"] if schema.dlrover else []
    lines = [f"### `{schema.name}`", "", schema.says, "", f"{'; '.join(filter(None, facts))}.", ""]
    spans = dict.fromkeys(
        each.span for each in (schema.envelope, *(case.envelope for case in schema.cases)) if each.span
    )
    if spans:
        lines[-2] += f" Span: {', '.join(f'`{span}`' for span in spans)}."
    if schema.fields:
        lines += ["| field | type | |", "|---|---|---|"]
        lines += [f"| `{field.name}` | {field.type} | {field.says} |" for field in schema.fields]
        lines += [""]
    return "\n".join(lines)


def _severity(schema: Schema) -> str:
    usual = schema.envelope.severity
    unlike = [case for case in schema.cases if case.envelope.severity is not usual]
    return ", ".join([usual.value, *(f"{case.envelope.severity.value} where {_when(case)}" for case in unlike)])


def _kinds(schema: Schema) -> str:
    usual = schema.envelope.kind
    if not schema.cases:
        return " or ".join(kind.value for kind in schema.kinds)
    unlike = [case for case in schema.cases if case.envelope.kind is not usual]
    return ", ".join([usual.value, *(f"{case.envelope.kind.value} where {_when(case)}" for case in unlike)])


def _when(case: Case) -> str:
    return " and ".join(
        f"`{path}` is {' or '.join(_word(value) for value in values)}" for path, values in case.when.items()
    )


def _word(value: object) -> str:
    return {"": "empty", "[]": "empty", "False": "false"}.get(str(value), str(value))


def _shapes() -> Iterator[str]:
    lines = ["## Shapes", "", "What the types above are made of.", "", "| type | | made of |", "|---|---|---|"]
    for cls in types():
        if issubclass(cls, StrEnum):
            made_of = " or ".join(f"`{each}`" for each in cls)
        else:
            made_of = "; ".join(f"`{name}` {type_}" for name, type_ in shapes.fields(cls).items())
        lines += [f"| {cls.__name__} | {shapes.first_paragraph(cls)} | {made_of} |"]
    yield "\n".join([*lines, ""])


def types() -> list[type]:
    """Give the types that fields of the core's events are made of, by name."""
    found = {
        each.__name__: each
        for cls in typing.get_args(ev.Event)
        for hint in typing.get_type_hints(cls).values()
        for each in shapes.named(hint)
    }
    return [found[name] for name in sorted(found)]


def _dlrover() -> Iterator[str]:
    ours: dict[str, list[str]] = {}
    for schema in SCHEMAS.values():
        for name in schema.dlrover:
            ours.setdefault(name, []).append(f"`{schema.name}`")
    yield "## Coming from DLRover\n\nIts predefined events and reported actions, behind who sends them.\n"
    rows = {name: ", ".join(names) for name, names in ours.items()} | {
        name: f"none: {why}" for name, why in ABSENT.items()
    }
    yield "\n".join(["| DLRover | here |", "|---|---|", *(f"| `{name}` | {rows[name]} |" for name in sorted(rows)), ""])


if __name__ == "__main__":
    PAGE.write_text(page())
