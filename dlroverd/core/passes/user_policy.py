"""The user's own policy for failures: the first rule of the job that matches a root cause."""

from collections.abc import Iterable

from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.globs import whole, within
from dlroverd.model.job import FailureRule, JobSpec

# What somebody asked for is no failure.
_NO_FAILURES = frozenset({CauseKind.REQUESTED, CauseKind.PREEMPTED})


def rule_for(spec: JobSpec, cause: Cause) -> tuple[int, FailureRule] | None:
    """Find the first rule that matches, with its number in the job file, from 1."""
    if cause.kind in _NO_FAILURES:
        return None
    for number, rule in enumerate(spec.on_failure, start=1):
        if _matches(rule, cause):
            return number, rule
    return None


def _matches(rule: FailureRule, cause: Cause) -> bool:
    exit_ = cause.exit
    error = exit_.error if exit_ is not None else None
    return not (
        (rule.kinds and cause.kind not in rule.kinds)
        or (rule.exit_codes and (exit_ is None or exit_.code not in rule.exit_codes))
        or (rule.signals and (exit_ is None or exit_.signal not in rule.signals))
        or (rule.exceptions and (error is None or not _named(rule.exceptions, error.type)))
        or (rule.outputs and not any(within(text.split("*"), line) for line in _lines(cause) for text in rule.outputs))
    )


def _named(patterns: Iterable[str], name: str) -> bool:
    return any(whole(pattern, each) for pattern in patterns for each in (name, name.rpartition(".")[2]))


def _lines(cause: Cause) -> list[str]:
    if cause.exit is None:
        return []
    said = cause.exit.error.text if cause.exit.error is not None else ""
    return [*said.splitlines(), *cause.exit.output_tail.splitlines()]
