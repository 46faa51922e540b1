"""What the bodies of the core's events look like as JSON, read from their dataclasses."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

_PLAIN: dict[object, str] = {str: "text", int: "integer", float: "number", bool: "true or false", None: "null"}


def fields(cls: type) -> dict[str, str]:
    """Give the fields of a dataclass, each with its type in words."""
    hints = typing.get_type_hints(cls)
    return {field.name: in_words(hints[field.name]) for field in dataclasses.fields(cls)}


def in_words(hint: Any) -> str:
    """Give a type as `integer`, `list of NodeGrant`, `[text, text]`, `Cause or null`."""
    if hint is types.NoneType:
        return _PLAIN[None]
    if isinstance(hint, types.UnionType):
        return " or ".join(map(in_words, typing.get_args(hint)))
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is dict:
        return f"object of {in_words(parts[1])} by {in_words(parts[0])}"
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return f"list of {in_words(parts[0])}"
        return f"[{', '.join(map(in_words, parts))}]"
    return _PLAIN.get(hint) or str(hint.__name__)


def named(hint: Any) -> Iterator[type]:
    """Yield the dataclasses and enumerations that a type is made of, those within them too."""
    for part in typing.get_args(hint):
        yield from named(part)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        yield hint
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
        for inner in typing.get_type_hints(hint).values():
            yield from named(inner)


def first_paragraph(cls: type) -> str:
    """Give the first paragraph of a class's docstring as one line."""
    return " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
