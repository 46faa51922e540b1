"""How a command ends: its exit code, and one sentence when it did not do what was asked."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlroverd.model.view import JobView


class Exit(IntEnum):
    """The exit codes (DESIGN section 11). A signal that ends a command gives 128 and its number."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    TIMED_OUT = 4
    JOB_FAILED = 5
    GAVE_UP = 6


class CommandError(Exception):
    """A command could not do what was asked; `sentence` says why and what to do."""

    def __init__(self, sentence: str, code: Exit = Exit.REFUSED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


def of_job(job: "JobView") -> Exit:
    """Give the exit code that a finished job's state stands for."""
    if job.state == "succeeded":
        return Exit.DONE
    return Exit.GAVE_UP if job.gave_up else Exit.JOB_FAILED


def explain(error: Exception) -> tuple[str, Exit] | None:
    """Give the sentence and the exit code of an error that is nobody's bug; None for one that is."""
    from dlroverd.config.document import ConfigError
    from dlroverd.protocol.channel import AddressError
    from dlroverd.protocol.errors import CallError, Reason

    match error:
        case CommandError():
            return error.sentence, error.code
        case ConfigError() | AddressError():
            return str(error), Exit.USAGE
        case CallError():
            codes = {Reason.UNAVAILABLE: Exit.UNREACHABLE, Reason.TIMED_OUT: Exit.TIMED_OUT}
            return error.sentence, codes.get(error.reason, Exit.REFUSED)
    return None
