"""`on_failure` in a job file: what is understood, and one clear sentence for each thing that is not."""

import pytest

from dlroverd.config.document import ConfigError, Document
from dlroverd.config.jobfile import draft
from dlroverd.model.job import FailureRule, FailureVerdict


def rules(*written: dict[str, object]) -> list[FailureRule]:
    document = Document("job.yaml", {"script": "x.py", "on_failure": list(written)})
    return [each.rule() for each in draft(document).job.on_failure]


def test_every_form_is_understood() -> None:
    assert rules(
        {"exit_code": 3, "verdict": "abort"},
        {"exit_code": ["7", "10-12"], "signal": ["bus", "SIGSEGV", 6], "verdict": "node", "free": True},
        {"exception": "*Timeout*", "output": ["NVLink*error"], "kind": "network", "verdict": "process"},
        {"verdict": "job"},
    ) == [
        FailureRule(verdict=FailureVerdict.ABORT, exit_codes=(3,)),
        FailureRule(verdict=FailureVerdict.NODE, exit_codes=(7, 10, 11, 12), signals=(7, 11, 6), free=True),
        FailureRule(
            verdict=FailureVerdict.PROCESS, exceptions=("*Timeout*",), outputs=("NVLink*error",), kinds=("network",)
        ),
        FailureRule(verdict=FailureVerdict.JOB),
    ]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"exit_code": 0, "verdict": "node"}, "exit_code: must be exit codes from 1 to 255 and ranges of them"),
        ({"exit_code": "9-3", "verdict": "node"}, "exit_code: must be exit codes from 1 to 255 and ranges of them"),
        ({"signal": "SIGFOO", "verdict": "node"}, "signal: must be signals by name or number, such as SIGBUS or 7"),
        ({"kind": "netwrk", "verdict": "node"}, "kind: 'netwrk' is no kind of cause; did you mean network?"),
        ({"kind": "requested", "verdict": "node"}, "kind: 'requested' is no kind of cause; "),
        ({"output": "*", "verdict": "node"}, "output: must be texts of one line and at most 200 characters"),
        ({"verdict": "retry"}, "verdict: must be 'process', 'node', 'job' or 'abort', not 'retry'"),
        ({"exit_code": 3}, "verdict: is missing; set it (for example node)"),
        ({"exitcode": 3, "verdict": "node"}, "exitcode: unknown key; did you mean exit_code?"),
    ],
)
def test_what_is_wrong_is_said(written: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        rules(written)
    assert f"on_failure.0.{sentence}" in str(refused.value)
