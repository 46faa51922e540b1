"""What a job did under a release that kept no ledger is unknown, and nothing else changes."""

from dataclasses import replace

from dlroverd.core.folds.ledgers import ledger_of
from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.model.job import JobSpec, JobState, RoleSpec, User
from dlroverd.model.ledger import Times

SPEC = JobSpec(name="a", user=User(uid=1, gid=1, name="ann"), roles=(RoleSpec(argv=("/bin/true",), cwd="/"),))
JOB = JobRecord(
    id=1, spec=SPEC, state=JobState.RUNNING, reason="", since=0.0, submitted_at=100.0, queued_at=100.0, deadline=1.0
)


def test_a_job_of_an_older_release_has_its_time_unknown() -> None:
    assert ledger_of(State("log"), JOB).as_of(160.0).time_us == Times(unknown=60_000_000)
    over = replace(JOB, state=JobState.SUCCEEDED, finished_at=130.0)
    assert ledger_of(State("log"), over).as_of(160.0).time_us == Times(unknown=30_000_000)
