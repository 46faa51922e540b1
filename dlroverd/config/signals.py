"""The table of signals: what follows what kernels and drivers say. Ours (signals.yaml), and an operator's rows over it.

version: 4
signals:
  - {signal: xid.63, severity: error, action: quarantine, says: a row failed, then: reset the GPU}
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from dlroverd.config.document import ConfigError, Document
from dlroverd.config.durations import shown
from dlroverd.config.schema import Count, Duration, Section, setting
from dlroverd.config.validation import validate
from dlroverd.config.yaml_source import read_file
from dlroverd.model.fault import CauseKind
from dlroverd.model.signal import SignalAction, SignalRepeat, SignalRule, SignalSeverity, SignalTable

_SHIPPED = Path(__file__).with_name("signals.yaml")
_MOST_OF_A_SENTENCE = 300
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.")


def _name(value: str) -> str:
    if not value or len(value) > 64 or not set(value) <= _NAME_CHARACTERS:
        raise ValueError(f"must be 1 to 64 of a-z, 0-9, '_' and '.', such as xid.79, not {shown(value)}")
    return value


def _sentence(value: str) -> str:
    if not value.strip() or "\n" in value or len(value) > _MOST_OF_A_SENTENCE:
        raise ValueError(f"must be one line of at most {_MOST_OF_A_SENTENCE} characters, not {shown(value)}")
    return value.strip()


SignalName = Annotated[str, AfterValidator(_name)]
Sentence = Annotated[str, AfterValidator(_sentence)]


class RepeatFile(Section):
    """What follows instead when it comes again."""

    count: Annotated[Count, Field(ge=2)] = Field(description="from the how manieth on", examples=["3"])
    within: Duration = Field(
        0.0, description="within how long; since the host's boot or repair when left out", examples=["7d"]
    )
    action: SignalAction = Field(description="note, doubt or quarantine", examples=["quarantine"])
    then: Sentence = Field(description="what people do next", examples=["replace the cable"])


class RuleFile(Section):
    """One row."""

    signal: SignalName = Field(description="the signal's name", examples=["xid.79"])
    severity: SignalSeverity = Field(description="info, warning, error or fatal", examples=["error"])
    action: SignalAction = Field(description="note, doubt or quarantine", examples=["quarantine"])
    says: Sentence = Field(description="what it means", examples=["the GPU has fallen off the bus"])
    then: Sentence = Field(description="the one thing that people do next", examples=["reboot the host"])
    cause: CauseKind | None = setting(None, "what it proves of a rank that ends near it", example="device_error")
    repeat: RepeatFile | None = setting(
        None, "what follows when it comes again", example="{count: 2, within: 7d, action: quarantine, then: replace it}"
    )

    @model_validator(mode="after")
    def _harmless_stays_so(self) -> Self:
        """Keep a slip from condemning hardware for what is no fault of it."""
        if self.severity is SignalSeverity.INFO and self.action is not SignalAction.NOTE:
            raise ValueError(f"severity info says that nothing is wrong, so action must be note, not {self.action}")
        return self

    def rule(self) -> SignalRule:
        """Give the row as the core takes it."""
        again = self.repeat
        return SignalRule(
            signal=self.signal,
            severity=self.severity,
            action=self.action,
            says=self.says,
            then=self.then,
            cause=self.cause,
            repeat=SignalRepeat(count=again.count, within_s=again.within, action=again.action, then=again.then)
            if again is not None
            else None,
        )


class SignalsFile(Section):
    """The whole file."""

    version: Count = Field(1, description="rises with each change, and is noted with what follows", examples=["4"])
    signals: list[RuleFile] = setting([], "the rows", example="[]")


def load_signals(path: str | None) -> SignalTable:
    """Read the table, with an operator's rows over ours. ConfigError with a sentence for each mistake."""
    return shipped() if path is None else laid_over(read_file(path))


def laid_over(document: Document) -> SignalTable:
    """Lay an operator's rows over ours; ConfigError with a sentence for each mistake, and nothing of it counts."""
    version, own = _read(document)
    ours = shipped()
    rows = {rule.signal: rule for rule in (*ours.rules, *own)}
    return SignalTable(version=f"{ours.version} with site {version}", rules=tuple(rows.values()))


@cache
def shipped() -> SignalTable:
    """Give the table that dlroverd comes with."""
    version, rules = _read(read_file(str(_SHIPPED)))
    return SignalTable(version=str(version), rules=rules)


def _read(document: Document) -> tuple[int, tuple[SignalRule, ...]]:
    file = validate(document, SignalsFile)
    names = [each.signal for each in file.signals]
    twice = [
        document.sentence(("signals", at, "signal"), f"{name} has a row already; keep one")
        for at, name in enumerate(names)
        if name in names[:at]
    ]
    if twice:
        raise ConfigError(twice)
    return file.version, tuple(each.rule() for each in file.signals)
