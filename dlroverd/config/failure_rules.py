"""The user's own policy for failures: what follows which end of a rank, as the job file has it under `on_failure`."""

import re
import signal
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from dlroverd.config.durations import shown
from dlroverd.config.schema import Section, setting
from dlroverd.config.validation import nearest
from dlroverd.model.fault import CauseKind
from dlroverd.model.job import FailureRule, FailureVerdict

_MOST_OF_A_TEXT = 200
# What somebody asked for is no failure.
_NO_FAILURES = frozenset({CauseKind.REQUESTED, CauseKind.PREEMPTED, CauseKind.STOPPED})


def _words(value: object) -> list[str]:
    """Take one value or a list of them, as their author wrote them."""
    return [str(each) for each in (value if isinstance(value, list | tuple) else [value])]


def _codes(values: object) -> tuple[int, ...]:
    codes: set[int] = set()
    for value in _words(values):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", value)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 1 <= first <= last <= 255:
            raise ValueError(
                f"must be exit codes from 1 to 255 and ranges of them, such as 3 or 10-19, not {shown(value)}"
            )
        codes.update(range(first, last + 1))
    return tuple(sorted(codes))


def _signals(values: object) -> tuple[int, ...]:
    numbers = []
    for value in _words(values):
        name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
        if value.isdecimal() and 1 <= int(value) <= 64:
            numbers.append(int(value))
        elif name in signal.Signals.__members__:
            numbers.append(signal.Signals[name].value)
        else:
            raise ValueError(f"must be signals by name or number, such as SIGBUS or 7, not {shown(value)}")
    return tuple(numbers)


def _kinds(values: object) -> tuple[str, ...]:
    known = [kind.value for kind in CauseKind if kind not in _NO_FAILURES]
    for value in _words(values):
        if value not in known:
            close = nearest(value, known)
            remedy = f"did you mean {close}?" if close else f"use {', '.join(known)}"
            raise ValueError(f"{shown(value)} is no kind of cause; {remedy}")
    return tuple(_words(values))


def _texts(values: object) -> tuple[str, ...]:
    for value in _words(values):
        if not value.strip("* ") or len(value) > _MOST_OF_A_TEXT or "\n" in value:
            most = f"at most {_MOST_OF_A_TEXT} characters"
            raise ValueError(f"must be texts of one line and {most}, * being any text, not {shown(value)}")
    return tuple(_words(values))


_WORD = {"type": ["string", "integer"]}
_ONE_OR_MORE = WithJsonSchema({"anyOf": [_WORD, {"type": "array", "items": _WORD}]})
ExitCodes = Annotated[tuple[int, ...], PlainValidator(_codes), _ONE_OR_MORE]
Signals = Annotated[tuple[int, ...], PlainValidator(_signals), _ONE_OR_MORE]
Texts = Annotated[tuple[str, ...], PlainValidator(_texts), _ONE_OR_MORE]
Kinds = Annotated[tuple[str, ...], PlainValidator(_kinds), _ONE_OR_MORE]


class FailureRuleFile(Section):
    """One rule: it matches a root cause if all that it names does; one that names nothing matches every one."""

    exit_code: ExitCodes = setting((), "exit codes and ranges of them", example="[3, 10-19]")
    signal: Signals = setting((), "signals by name or number", example="SIGBUS")
    exception: Texts = setting(
        (), "exception classes, with or without their module; * is any text", example="'*OutOfMemoryError'"
    )
    output: Texts = setting(
        (), "texts in one line of the rank's error or last output; * is any text", example="NVLink*error"
    )
    kind: Kinds = setting((), "kinds of cause, as `job why` names them", example="[network, port_taken]")
    verdict: Literal["process", "node", "job", "abort"] = Field(
        description="process: restart in place; node: on another node; job: restart all of it; abort: fail",
        examples=["node"],
    )
    free: bool = setting(False, "the restart does not count against max_restarts", example="true")

    def rule(self) -> FailureRule:
        """Give the rule as a job holds it."""
        return FailureRule(
            verdict=FailureVerdict(self.verdict),
            exit_codes=self.exit_code,
            signals=self.signal,
            exceptions=self.exception,
            outputs=self.output,
            kinds=self.kind,
            free=self.free,
        )
