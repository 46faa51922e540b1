"""Where events are sent, and which: the `sinks` section of the daemon's configuration."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from dlroverd.config.durations import shown
from dlroverd.config.schema import Section, setting
from dlroverd.config.validation import nearest
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary import NAMES, may_name


def _name(value: str) -> str:
    """See that a pattern of event names can match any; ValueError with what may be meant."""
    if not may_name(value):
        near = nearest(value.strip("*"), sorted(NAMES))
        remedy = f"did you mean {near}?" if near else "docs/events.md lists them; trainer.* is all that begin so"
        raise ValueError(f"no event is named {shown(value)}; {remedy}")
    return value


def _pattern(value: str) -> str:
    if len(value.replace("*", "").strip()) < 3 or ("*" in value and re.search(r"\s", value)):
        raise ValueError(
            f"must be a text of at least 3 characters, or one without spaces in which * is any text, not {shown(value)}"
        )
    return value


def _start(value: object) -> str:
    text = str(value)
    if text not in ("oldest", "now") and not (text.isdecimal() and int(text) > 0):
        raise ValueError(f"must be oldest, now, or a position of the log from 1 on, not {shown(value)}")
    return text


def _sink_name(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        raise ValueError(
            f"must be 1 to 63 letters, digits, '.', '_' and '-', with a letter or digit first, unlike {shown(value)}"
        )
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
_EventName = Annotated[str, AfterValidator(_name)]
_SinkName = Annotated[str, AfterValidator(_sink_name)]
_Job = Annotated[str, PlainValidator(str), WithJsonSchema({"type": ["string", "integer"]})]
_Start = Annotated[str, PlainValidator(_start), WithJsonSchema({"type": ["string", "integer"]})]


class SelectionConfig(Section):
    """Events that have all that it names."""

    names: list[_EventName] = setting([], "names of events; * is any text", example="[job_*, trainer.exception]")
    severity: Severity = setting(Severity.DEBUG, "the least severity", example="warning")
    jobs: list[_Job] = setting([], "numbers of jobs, or their names; * is any text", example="[llama-*]")
    kinds: list[EventKind] = setting([], "kinds of events", example="[instant, begin, end]")


class SinkConfig(Section):
    """One receiver of events."""

    plugin: _SinkName = Field(description="the plugin that provides the sink", examples=["file"], min_length=1)
    name: _SinkName = setting("", "the sink's own name; the plugin's when left out", example="audit")
    settings: dict[str, str] = setting({}, "what the plugin asks for", example="{path: /var/log/dlroverd/events}")
    start: _Start = setting(
        "oldest", "where it begins when it is new: oldest, now, or a position of the log", example="now"
    )
    only: SelectionConfig = setting(
        SelectionConfig(), "the events it gets; all if none is named", example="{names: [job_*]}"
    )
    skip: SelectionConfig = setting(SelectionConfig(), "events it does not get", example="{names: [ranks_seen]}")

    @property
    def label(self) -> str:
        """What the sink, and its cursor, are called."""
        return self.name or self.plugin

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.skip.model_fields_set and self.skip == self.only:
            raise ValueError(f"{self.label} skips all that it has only: leave one of them out")
        return self
