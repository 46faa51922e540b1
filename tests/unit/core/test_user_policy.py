"""Which rule of a user's own policy matches a root cause."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.core.passes.user_policy import rule_for
from dlroverd.model.fault import Cause, CauseKind, ErrorReport, ExitInfo
from dlroverd.model.job import FailureRule, FailureVerdict, JobSpec, User

ABORT = FailureVerdict.ABORT
ERROR = ErrorReport(source="traceback", type="torch.OutOfMemoryError", message="no room", text="NVLink 3: fatal error")
END = ExitInfo(exited_at=1.0, code=3, error=ERROR, output_tail="step 7\nleaving")
CAUSE = Cause(kind=CauseKind.DEVICE_OUT_OF_MEMORY, rule="cuda.out_of_memory", sentence="", exit=END)


def spec(*rules: FailureRule) -> JobSpec:
    return JobSpec(name="a", user=User(uid=1, gid=1, name="ann"), roles=(), on_failure=rules)


def matches(rule: FailureRule, cause: Cause = CAUSE) -> bool:
    return rule_for(spec(rule), cause) is not None


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        (FailureRule(verdict=ABORT), True),
        (FailureRule(verdict=ABORT, exit_codes=(2, 3)), True),
        (FailureRule(verdict=ABORT, exit_codes=(2,)), False),
        (FailureRule(verdict=ABORT, signals=(9,)), False),
        (FailureRule(verdict=ABORT, exceptions=("OutOfMemoryError",)), True),
        (FailureRule(verdict=ABORT, exceptions=("torch.OutOfMemoryError",)), True),
        (FailureRule(verdict=ABORT, exceptions=("torch.*Memory*",)), True),
        (FailureRule(verdict=ABORT, exceptions=("*Error", "x")), True),
        (FailureRule(verdict=ABORT, exceptions=("OutOfMemory",)), False),
        (FailureRule(verdict=ABORT, outputs=("leaving",)), True),
        (FailureRule(verdict=ABORT, outputs=("NVLink*error",)), True),
        (FailureRule(verdict=ABORT, outputs=("error*NVLink",)), False),
        (FailureRule(verdict=ABORT, outputs=("step 7*leaving",)), False),
        (FailureRule(verdict=ABORT, kinds=("device_out_of_memory",)), True),
        (FailureRule(verdict=ABORT, kinds=("signal",)), False),
        (FailureRule(verdict=ABORT, kinds=("device_out_of_memory",), exit_codes=(4,)), False),
    ],
)
def test_a_rule_matches_if_all_that_it_names_does(rule: FailureRule, matched: bool) -> None:
    assert matches(rule) is matched


def test_the_first_rule_counts() -> None:
    first, second = FailureRule(verdict=FailureVerdict.NODE, exit_codes=(3,)), FailureRule(verdict=ABORT)
    assert rule_for(spec(FailureRule(verdict=ABORT, signals=(9,)), first, second), CAUSE) == (2, first)
    assert rule_for(spec(), CAUSE) is None


def test_what_somebody_asked_for_is_no_failure() -> None:
    asked = Cause(kind=CauseKind.REQUESTED, rule="operator", sentence="")
    assert not matches(FailureRule(verdict=ABORT), asked)
    assert matches(FailureRule(verdict=ABORT), Cause(kind=CauseKind.NODE_LOST, rule="node.lost", sentence=""))
    assert not matches(
        FailureRule(verdict=ABORT, exit_codes=(1,)), Cause(kind=CauseKind.NODE_LOST, rule="", sentence="")
    )


@settings(deadline=None)
@given(parts=st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), between=st.text("abc", max_size=4))
def test_stars_are_any_text(parts: list[str], between: str) -> None:
    cause = Cause(
        kind=CauseKind.EXCEPTION,
        rule="",
        sentence="",
        exit=ExitInfo(
            exited_at=1.0,
            error=ErrorReport(source="traceback", type=between.join(parts), message=""),
            output_tail=f"x {between.join(parts)} y",
        ),
    )
    pattern = "*".join(parts)
    assert matches(FailureRule(verdict=ABORT, exceptions=(pattern,)), cause)
    assert matches(FailureRule(verdict=ABORT, outputs=(pattern,)), cause)
    for other in (f"{pattern}d", f"d{pattern}", f"{pattern}*d*"):
        assert not matches(FailureRule(verdict=ABORT, exceptions=(other,)), cause)
        assert not matches(FailureRule(verdict=ABORT, outputs=(other,)), cause)
