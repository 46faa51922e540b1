"""What is refused at submit, by count."""

from dataclasses import replace

from dlroverd.core.handle import handle
from dlroverd.core.state import State
from dlroverd.core.turn import Done, Refused
from dlroverd.model.input import Cancel, Submit
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.limits import REQUESTS_KNOWN_S, Limits

SPEC = JobSpec(name="a", user=User(uid=0, gid=0, name="root"), roles=(RoleSpec(argv=("/bin/true",), cwd="/"),))


def test_only_jobs_that_have_not_ended_count_towards_the_limit() -> None:
    state, limits = State("log"), Limits(max_jobs=2)
    submits = [Submit(request_id=f"r{n}", spec=SPEC) for n in range(3)]
    outcomes = handle(state, submits, 1.0, limits).outcomes
    assert outcomes[:2] == (Done(1), Done(2))
    assert isinstance(outcomes[2], Refused)
    assert outcomes[2].sentence == "2 jobs have not ended; max_jobs is 2; wait for some to end."
    handle(state, [Cancel(request_id="c", job=1, actor="ann")], 2.0, limits)
    assert handle(state, submits[2:], 3.0, limits).outcomes == (Done(3),)


def test_a_request_names_one_job_for_as_long_as_its_job_is_kept() -> None:
    """After that it would be a second job: so `job_retention` is never less than a client may go on asking."""
    state, limits = State("log"), Limits(job_retention_s=REQUESTS_KNOWN_S)
    asked = Submit(request_id="r", spec=SPEC)

    def answer(now: float) -> object:
        (outcome,) = handle(state, [asked], now, limits).outcomes
        return outcome

    assert answer(1.0) == Done(1)
    handle(state, [Cancel(request_id="c", job=1, actor="ann")], 2.0, limits)
    assert answer(2.0 + REQUESTS_KNOWN_S - 1.0) == Done(1)
    handle(state, [], 2.0 + REQUESTS_KNOWN_S, limits)
    assert answer(2.0 + REQUESTS_KNOWN_S + 1.0) == Done(2)


def test_a_constraint_that_is_none_is_refused() -> None:
    odd = replace(SPEC, roles=(replace(SPEC.roles[0], require=("ssd", "gpu=")),))
    (outcome,) = handle(State("log"), [Submit(request_id="r", spec=odd)], 1.0, Limits()).outcomes
    assert isinstance(outcome, Refused)
    assert outcome.sentence == (
        "The job asks for what cannot be: 'gpu=' is no constraint; "
        "write gpu=h100, gpu!=h100, ssd, !ssd or device=*H100*."
    )


def test_jobs_of_root_are_an_administrators_choice() -> None:
    for allowed, outcome in ((False, Refused), (True, Done)):
        (said,) = handle(State("log"), [Submit(request_id="r", spec=SPEC)], 1.0, Limits(root_jobs=allowed)).outcomes
        assert isinstance(said, outcome)
