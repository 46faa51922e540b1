"""Check a Document against a schema and say in our own sentences what is wrong with it."""

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dlroverd.config.document import ConfigError, Document, KeyPath
from dlroverd.config.durations import shown
from dlroverd.config.schema import Section
from dlroverd.config.yaml_source import read_file

S = TypeVar("S", bound=Section)

_KINDS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
    "list": "must be a list, as [a, b] or in lines that begin with '- '",
    "tuple": "must be a list, as [a, b] or in lines that begin with '- '",
    "dict": "must be a mapping of `key: value` lines",
    "model": "must be a mapping of `key: value` lines",
}


def validate(document: Document, schema: type[S]) -> S:
    """Make the schema's value from a document; ConfigError with a sentence for each thing wrong in it."""
    try:
        return schema.model_validate(document.data)
    except ValidationError as error:
        sentences = [_sentence(details, document, schema) for details in error.errors(include_url=False)]
        raise ConfigError(sentences) from None


def load(schema: type[S], path: str | None, default_path: str, options: Mapping[str, object] | None = None) -> S:
    """Read a file, put the options of a command line (by the keys they stand for) over it, and check both at once.

    Without a path it is the default file, or all defaults where that does not exist.
    """
    given = options or {}
    exists = path is not None or Path(default_path).exists()
    file = read_file(path or default_path) if exists else Document("command line")
    marks = {place: mark for place, mark in file.marks.items() if place[0] not in given}
    marks |= {(key,): f"--{key.replace('_', '-')}" for key in given}
    return validate(Document(file.name, {**file.data, **given}, marks), schema)


def nearest(word: str, known: Iterable[str]) -> str:
    """Give the known word that a wrong one begins, else the one most like it; "" when none is near."""
    words = list(known)
    begun = [candidate for candidate in words if candidate.startswith(word)]
    return next(iter(begun or difflib.get_close_matches(word, words, n=1)), "")


def _sentence(details: ErrorDetails, document: Document, schema: type[BaseModel]) -> str:
    # pydantic marks an error in a mapping's key, rather than in its value, by this last word.
    path: KeyPath = tuple(key for key in details["loc"] if key != "[key]")
    kind, context, given = details["type"], details.get("ctx", {}), shown(details["input"])
    field = _field(schema, path)
    example = f" (for example {field.examples[0]})" if field is not None and field.examples else ""
    match kind:
        case "extra_forbidden":
            known = _keys(schema, path[:-1])
            close = nearest(str(path[-1]), known)
            text = f"unknown key; {f'did you mean {close}?' if close else 'known are ' + ', '.join(known)}"
        case "missing":
            text = f"is missing; set it{example}"
        case "value_error":
            text = str(context["error"])
        case "greater_than_equal":
            text = f"must be at least {context['ge']}, not {given}"
        case "greater_than":
            text = f"must be more than {context['gt']:g}"
        case "less_than_equal":
            text = f"must be at most {context['le']}, not {given}"
        case "too_short" | "string_too_short":
            text = f"must not be empty{example}"
        case "literal_error" | "enum":
            text = f"must be {context['expected']}, not {given}"
        case _:
            expected = _KINDS.get(kind.split("_")[0])
            text = f"{expected}, not {given}{example}" if expected else f"{details['msg']}{example}"
    return document.sentence(path, text)


def _field(schema: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    """Find the declaration of the setting at a path; None for a mapping's entry or what does not exist."""
    owner = _annotation(schema, path[:-1])
    if path and isinstance(owner, type) and issubclass(owner, BaseModel):
        return owner.model_fields.get(str(path[-1]))
    return None


def _keys(schema: type[BaseModel], path: KeyPath) -> list[str]:
    owner = _annotation(schema, path)
    return list(owner.model_fields) if isinstance(owner, type) and issubclass(owner, BaseModel) else []


def _annotation(schema: Any, path: KeyPath) -> Any:
    """Follow a path through models, mappings and lists to the type declared at its end."""
    current = schema
    for key in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(key))
            current = field.annotation if field is not None else None
        else:
            arguments = typing.get_args(current)
            within = typing.get_origin(current)
            current = arguments[1] if within in (dict, Mapping) else arguments[0] if arguments else None
        if typing.get_origin(current) in (typing.Union, types.UnionType):
            current = next(part for part in typing.get_args(current) if part is not type(None))
    return current
