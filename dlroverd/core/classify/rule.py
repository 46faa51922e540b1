"""One row of the table: what it looks for in an end, and the sentence it makes of it."""

import re
import signal
from dataclasses import dataclass

from dlroverd.core.classify.words import line_with
from dlroverd.model.fault import CauseKind, ExitInfo

# A program that says no error in a form we read may still have printed why it ends; but it prints much else before.
_LAST_LINES = 10
_MOST_OF_A_LINE = 240
_OURS = frozenset({signal.SIGTERM, signal.SIGKILL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row matches an end if all that it names does; None and empty name nothing.

    `types` are classes of the reported error, without module. `said` is looked for in that error or, without one, in
    the last lines of output. `launch` and `lost` are looked for in the fields of these names. `says` and `remedy` make
    the sentence, `{...}` being what `Ended` has.
    """

    name: str
    kind: CauseKind
    says: str
    remedy: str = ""
    types: frozenset[str] = frozenset()
    said: tuple[tuple[str, ...], ...] = ()
    launch: re.Pattern[str] | None = None
    lost: re.Pattern[str] | None = None
    results: frozenset[str] = frozenset()
    signals: frozenset[int] = frozenset()
    codes: frozenset[int] = frozenset()
    reported: bool | None = None
    requested: bool | None = None

    def matches(self, end: "Ended") -> bool:
        """Say whether all that the row names is so."""
        exit_ = end.exit
        return not (
            (self.types and end.type not in self.types)
            or (self.said and line_with(self.said, end.low, end.words) is None)
            or (self.launch is not None and not (exit_.launch_error and self.launch.search(exit_.launch_error)))
            or (self.lost is not None and not (exit_.lost and self.lost.search(exit_.lost)))
            or (self.results and exit_.result not in self.results)
            or (self.signals and exit_.signal not in self.signals)
            or (self.codes and exit_.code not in self.codes)
            or (self.reported is not None and self.reported != (exit_.error is not None))
            or (self.requested is not None and self.requested != exit_.requested)
        )

    def sentence(self, end: "Ended") -> str:
        """Say what happened, and what can be done about it."""
        said = self.says.format(
            error=end.error(),
            line=(line_with(self.said, end.low, end.words) or "")[:_MOST_OF_A_LINE],
            signal=_signal_name(end.exit.signal or 0),
            code=end.exit.code,
            child=_signal_name(_childs_signal(end.exit.code or 0)),
            launch=end.exit.launch_error,
            lost=end.exit.lost or "its agent no longer lists it",
            last=end.last_line(),
        )
        return f"{said}; {self.remedy}" if self.remedy else said


@dataclass(frozen=True, slots=True)
class Ended:
    """An end as rows look at it. `type` is the reported error's class without its module.

    `words` is what was said, and `low` the same in lower case.
    """

    exit: ExitInfo
    type: str
    words: str
    low: str

    @classmethod
    def of(cls, exit_: ExitInfo) -> "Ended":
        """Gather what an end says, once for all rows."""
        error = exit_.error
        if error is not None:
            kind, words = re.split(r"\.|::", error.type)[-1], f"{error.type}: {error.message}\n{error.text}"
        else:
            # What we stopped was not about to end, whatever it printed last.
            silent = exit_.requested and (exit_.signal is None or exit_.signal in _OURS)
            kind, words = "", "" if silent else "\n".join(exit_.output_tail.splitlines()[-_LAST_LINES:])
        return cls(exit_, kind, words, words.lower())

    def error(self) -> str:
        """Say what it raised, and where."""
        error = self.exit.error
        if error is None:
            return "failed"
        where = f" at {error.file}:{error.line}" if error.file else ""
        message = error.message.strip().partition("\n")[0]
        return f"raised {error.type}{where}: {message}".rstrip(": ")

    def last_line(self) -> str:
        """Give its last line of output, for one that explained nothing else."""
        lines = self.exit.output_tail.splitlines()
        return f"; its last line was `{lines[-1].strip()[:_MOST_OF_A_LINE]}`" if lines else " and said no more"


def _childs_signal(code: int) -> int:
    """Tell which signal of its own child a program passed on: a shell adds 128, Python's sys.exit(-n) wraps at 256."""
    return code - 128 if code <= 192 else 256 - code


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def said(*patterns: str) -> tuple[tuple[str, ...], ...]:
    """Prepare texts to be looked for in one line, `*` being any text, without regard to case."""
    return tuple(tuple(pattern.lower().split("*")) for pattern in patterns)


def any_of(*patterns: str) -> re.Pattern[str]:
    """Compile alternatives, without regard to case; `^` and `$` are those of a line."""
    return re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE)
