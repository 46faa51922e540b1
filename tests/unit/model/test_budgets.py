"""How long a gang may make no step is learnt, between a floor and a ceiling."""

from dlroverd.model.budgets import History, budget
from dlroverd.model.hang import HangLimits, Phase

LIMITS = HangLimits()


def test_before_anything_is_learnt_it_is_the_ceiling() -> None:
    for phase in Phase:
        found = budget(phase, History(), LIMITS, {})
        assert found.seconds == found.ceiling_s == LIMITS.ceilings_s[phase]
        assert found.basis.startswith("the ceiling: ")


def test_a_step_may_take_four_times_the_99th_percentile() -> None:
    history = History()
    for _ in range(100):
        history.took(Phase.STEP, 10.0)
    assert budget(Phase.STEP, history, LIMITS, {}).seconds == 40.0


def test_quick_steps_have_the_floor_and_slow_ones_the_ceiling() -> None:
    quick, slow = History(), History()
    for _ in range(100):
        quick.took(Phase.STEP, 0.5)
        slow.took(Phase.STEP, 4000.0)
    assert budget(Phase.STEP, quick, LIMITS, {}).seconds == LIMITS.floors_s[Phase.STEP]
    assert budget(Phase.STEP, slow, LIMITS, {}).seconds == LIMITS.ceilings_s[Phase.STEP]


def test_a_pause_that_was_no_hang_is_learnt_from() -> None:
    history = History()
    for _ in range(250):
        history.took(Phase.STEP, 1.0)
    history.pauses.append(100.0)
    found = budget(Phase.STEP, history, LIMITS, {})
    assert found.seconds == 150.0
    assert "longest pause that was no hang" in found.basis


def test_other_phases_may_take_four_times_their_longest() -> None:
    history = History()
    for seconds in (20.0, 100.0, 40.0):
        history.took(Phase.CHECKPOINT, seconds)
    assert budget(Phase.CHECKPOINT, history, LIMITS, {}).seconds == 400.0


def test_what_the_job_file_gives_is_not_learnt() -> None:
    found = budget(Phase.STEP, History(), LIMITS, {Phase.STEP: 7.0})
    assert (found.seconds, found.basis) == (7.0, "given by the job file")
