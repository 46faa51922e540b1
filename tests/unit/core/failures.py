"""Writes docs/failures.md from the core's tables: `python -m tests.unit.core.failures` in the repository."""

import signal
from pathlib import Path

from dlroverd.core.classify.rule import Rule
from dlroverd.core.classify.table import RULES
from dlroverd.core.passes.courses import ALWAYS, Course, course
from dlroverd.model.fault import CauseKind

PAGE = Path(__file__).resolve().parents[3] / "docs" / "failures.md"
_INTRODUCTION = """# Failures

Made from the tables in `dlroverd/core/classify/` and `dlroverd/core/passes/courses.py` by
`python -m tests.unit.core.failures`; a test compares.

When a rank fails, all gangs that join its restart are stopped; when they are gone, every end is named by the first row
below that matches it, and the root cause is chosen: the end with the best evidence (what kernel, device and launcher
say; then what the rank said of itself; then a signal; then an exit code; then network errors, and last lost peers),
and among equals the first, by times that do not trust the hosts' clocks against each other. Those that died of it are
listed as victims. `dlroverctl why JOB` says all of this.

## What follows

The job's own rules come first. In the job file the first that matches the root cause counts; a rule matches if all that
it names does, and `*` is any text:

```yaml
on_failure:
  - {exit_code: [3, 10-19], verdict: abort}                      # fail the job
  - {exception: "*OutOfMemoryError", verdict: abort}
  - {signal: SIGBUS, verdict: node, free: true}                  # on another node, at no cost
  - {output: "NVLink*error", kind: device_crash, verdict: node}
  - {kind: network, verdict: job}                                # restart all roles
  - {verdict: process}                                           # anything else: in place
```

Without a rule the kind decides. *Free* restarts are not paid by `max_restarts`; where a number is given, that many in
`restart_window` are free. After three faults that may be a node's, of one node or of one rank, the job goes on
elsewhere if there is room.

The third restart in a row for the same reason waits 10 s, each further one twice as long, up to 10 min, unless the job
got further meanwhile. `no_progress_restarts` restarts in a row that got no further than the best step fail the job,
whatever their reasons. The same exception at the same line, twice in a row, fails it at once.
"""


def page() -> str:
    kinds = [kind for kind in CauseKind if kind is not CauseKind.STOPPED]
    return "\n".join(
        [
            _INTRODUCTION,
            "| kind | what follows | free |",
            "|---|---|---|",
            *(f"| `{kind}` | {_follows(course(kind))} | {_free(course(kind))} |" for kind in kinds),
            "",
            "## How ends are named",
            "",
            "`E` is the reported error or, without one, the last ten lines of output.",
            "",
            "| row | kind | matches | the sentence, and the remedy |",
            "|---|---|---|---|",
            *(f"| `{rule.name}` | `{rule.kind}` | {_when(rule)} | {_cell(_says(rule))} |" for rule in RULES),
            "",
        ]
    )


def _follows(course: Course) -> str:
    if course.hopeless:
        return "fails at once"
    where = " on another node if there is room" if course.strikes == 1 else course.how or " in place"
    parts = ["on another node" if course.unfit else f"restart{where}"]
    if course.told:
        parts.append("fails if it never ran")
    if course.once:
        parts.append("fails the second time in a row without progress")
    if course.first_wait_s:
        parts.append(f"waits {course.first_wait_s:g} s, then twice as long each time")
    return "; ".join(parts)


def _free(course: Course) -> str:
    if course.hopeless:
        return ""
    return "always" if course.free == ALWAYS else str(course.free or "no")


def _when(rule: Rule) -> str:
    parts = [
        f"error {' or '.join(f'`{name}`' for name in sorted(rule.types) if name)}" if rule.types else "",
        _said(rule),
        f"start failed: {_cell(f'`{rule.launch.pattern}`')}" if rule.launch else "",
        f"the agent: {_cell(f'`{rule.lost.pattern}`')}" if rule.lost else "",
        f"systemd: {', '.join(f'`{name}`' for name in sorted(rule.results))}" if rule.results else "",
        _signals(rule.signals),
        f"exit code {_codes(rule.codes)}" if rule.codes else "",
        {True: "an error was reported", False: "no error was reported", None: ""}[rule.reported],
        {True: "we stopped it", False: "we did not stop it", None: ""}[rule.requested],
    ]
    return "; ".join(filter(None, parts)) or "anything else"


def _said(rule: Rule) -> str:
    texts = [f"`{_cell('*'.join(parts))}`" for parts in rule.said]
    return f"`E` has {' or '.join(texts)}" if texts else ""


def _signals(numbers: frozenset[int]) -> str:
    if len(numbers) > 1:
        return "any signal"
    return "".join(signal.Signals(number).name for number in numbers)


def _codes(codes: frozenset[int]) -> str:
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ", ".join(f"{first}-{last}" if first < last else str(first) for first, last in ranges)


def _says(rule: Rule) -> str:
    return f"{rule.says}; {rule.remedy}" if rule.remedy else rule.says


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page())
