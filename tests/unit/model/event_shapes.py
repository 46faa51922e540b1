"""Keeps event_shapes.json, what events looked like at each version: `python -m tests.unit.model.event_shapes`.

It adds what is new, and refuses what is changed: old logs hold what that version said, and readers go by it.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from dlroverd.model.vocabulary import SCHEMAS, shapes
from tests.unit.model.event_page import types

FILE = Path(__file__).with_name("event_shapes.json")
Shapes = dict[str, dict[str, str]]


def now() -> dict[str, Shapes]:
    """Give the fields and their types of each `name.vVERSION`, and those of the types that they are made of."""
    events = {
        f"{schema.name}.v{schema.version}": {field.name: field.type for field in schema.fields}
        for schema in SCHEMAS.values()
    }
    made_of = {cls.__name__: shapes.fields(cls) for cls in types() if not issubclass(cls, StrEnum)}
    return {"events": events, "types": made_of}


def changed(kept: Mapping[str, Shapes], wanted: Mapping[str, Shapes]) -> Iterator[str]:
    """Yield a sentence for each shape that is not as it was: an event under the same version, or a type's field."""
    names = {key.rpartition(".v")[0] for key in wanted["events"]}
    for key, fields in kept["events"].items():
        name, _, version = key.rpartition(".v")
        if name not in names:
            yield f"{name} is gone, and old logs hold it"
        elif wanted["events"].get(key, fields) != fields:
            yield (
                f"{name} has other fields than version {version} had: give it version {int(version) + 1} "
                "and an upcaster in runtime/codec.py"
            )
    for name, fields in kept["types"].items():
        for field, type_ in fields.items():
            if wanted["types"].get(name, {}).get(field) != type_:
                yield f"{name}.{field} is not {type_} any more: give every event that holds it a new version"


def read() -> dict[str, Shapes]:
    """Give what is kept."""
    found: dict[str, Shapes] = json.loads(FILE.read_text())
    return found


def main() -> None:
    kept = read() if FILE.exists() else {"events": {}, "types": {}}
    wanted = now()
    problems = list(changed(kept, wanted))
    if problems:
        sys.exit("\n".join(problems))
    merged = {part: kept[part] | wanted[part] for part in wanted}
    FILE.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
