"""The kinds of values that configuration is made of, and the walk that lists them.

A key carries no unit because its value does: `lost_after: 15s` in a file is `lost_after_s` in the code.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo

from dlroverd.config.durations import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    shown,
)

MAX_COUNT = 1_000_000  # more of anything is a slip of the hand, and would not fit the wire's integers
_FIRES = "x-when-it-fires"


class Section(BaseModel):
    """A group of settings. Unknown keys are refused; defaults pass the same checks as what is written."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it stands. `value` is plain data, as it could be written in the file."""

    key: str
    value: Any
    is_set: bool
    field: FieldInfo

    @property
    def fires(self) -> str:
        """What happens when this limit is reached; empty if it is not a limit."""
        extra = self.field.json_schema_extra
        return str(extra.get(_FIRES, "")) if isinstance(extra, dict) else ""


def setting(default: Any, description: str, *, example: str) -> Any:
    """Declare a field with what the reference says of it."""
    return Field(default, description=description, examples=[example])


def limit(default: float, description: str, *, fires: str, example: str, gt: float | None = None) -> Any:
    """Declare a limit: a field of which `config timeouts` says what happens when it is reached."""
    return Field(default, description=description, examples=[example], gt=gt, json_schema_extra={_FIRES: fires})


def settings(section: Section, prefix: str = "") -> Iterator[Setting]:
    """List every setting of a section and those within it, in the order of the schema."""
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from settings(value, f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", plain[name], name in section.model_fields_set, field)


def check_name(value: str) -> str:
    """Give a name back; ValueError with a sentence if it could not be part of a unit's or a file's name."""
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError(
            f"must be 1 to 63 of a-z, 0-9 and '-', with no '-' at its beginning or end, unlike {shown(value)}"
        )
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError(f"must be an absolute path, not {shown(value)}")
    return value


# What is no length of time, and the numbers that mean it.
_WORDS = {0.0: "auto", -1.0: "never"}


def _interval(value: object) -> float:
    for number, word in _WORDS.items():
        if value in (word, number):
            return number
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or use auto or never") from None


_TEXT_OR_NUMBER = ["string", "number"]

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": _TEXT_OR_NUMBER, "pattern": DURATION_PATTERN}),
]
Interval = Annotated[
    float,
    PlainValidator(_interval),
    PlainSerializer(lambda value: _WORDS.get(value) or format_duration(value), when_used="json"),
    WithJsonSchema({"type": _TEXT_OR_NUMBER, "pattern": rf"^auto$|^never$|{DURATION_PATTERN}"}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema({"type": _TEXT_OR_NUMBER, "pattern": SIZE_PATTERN}),
]
Count = Annotated[int, Field(le=MAX_COUNT)]
Name = Annotated[str, AfterValidator(check_name)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
# A number or a word as its author wrote it; YAML editors take `3e-4` and `true` for other types.
Text = Annotated[str, WithJsonSchema({"type": ["string", "number", "boolean"]})]
