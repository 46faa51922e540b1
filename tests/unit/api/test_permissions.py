"""Every call and every role: who is let in, to what, and what the others are told."""

from types import SimpleNamespace

import pytest

from dlroverd.api import permissions, specs
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.roles import Caller, Role
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.v1 import agent_service_pb2, control_service_pb2, trust_service_pb2

SERVICES = (
    control_service_pb2.DESCRIPTOR.services_by_name["ControlService"],
    trust_service_pb2.DESCRIPTOR.services_by_name["TrustService"],
    agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"],
)
METHODS = [f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods]

# What each role may: calls about jobs are told apart by whose job it is.
VIEWS = (
    *("ListJobs", "GetJob", "WatchJob", "ListCheckpoints", "ListNodes", "GetNode", "ListEvents"),
    *("ListPlugins", "ListSinks", "GetAutomation", "GetInfo", "Redact"),
)
OWN_VIEWS = ("JobLogs", "JobStacks", "ListKernelLogs")
USES = ("SubmitJob", "DryRun")
OWN_USES = ("CancelJob", "RestartJob", "ScaleJob", "SuspendJob", "ResumeJob", "OrderDrill")
OPERATES = (
    *("AdoptNode", "ConfirmDown", "HoldNodes", "ReleaseNodes", "ClearNodes", "PauseAutomation", "ResumeAutomation"),
    "CheckNodes",
    *("ReplaySink", "ListTokens", "RevokeToken", "RevokeCertificates"),
)
MAY = {
    Role.NOBODY: (set(), set()),
    Role.VIEWER: (set(VIEWS), set(OWN_VIEWS)),
    Role.USER: ({*VIEWS, *USES}, {*OWN_VIEWS, *OWN_USES}),
    Role.OPERATOR: ({*VIEWS, *USES, *OPERATES, *OWN_VIEWS, *OWN_USES}, set()),
}


def who(role: Role) -> Caller:
    return Caller(uid=1000, name="ann", role=role, gids=frozenset({100}))


def may(role: Role, method: str, owner: int | None) -> bool:
    request = SimpleNamespace(job=1 if owner else 0, with_spec=False, node="", survey_s=0.0)
    try:
        permissions.check(who(role), method, request, owner)
    except CallError as error:
        return error.reason is not Reason.FORBIDDEN
    return True


def test_every_call_has_a_row() -> None:
    assert set(permissions.RULES) == set(METHODS), "add the call's row to api/permissions.py, and its name here"


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.word)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.rpartition("/")[2])
def test_every_call_by_every_role(role: Role, method: str) -> None:
    name = method.rpartition("/")[2]
    everyones, own = MAY.get(role, (None, None))
    if everyones is None or own is None:  # an administrator
        assert may(role, method, None)
        assert may(role, method, 2000)
        return
    assert may(role, method, 2000) == (name in everyones)
    assert may(role, method, 1000) == (name in everyones | own)


def test_a_call_that_the_table_does_not_know_is_for_administrators() -> None:
    assert not may(Role.OPERATOR, "/dlroverd.protocol.v1.ControlService/New", None)
    assert may(Role.ADMIN, "/dlroverd.protocol.v1.ControlService/New", None)


def test_a_spec_holds_an_environment_and_is_its_owner_s() -> None:
    method = "/dlroverd.protocol.v1.ControlService/GetJob"
    wanted = SimpleNamespace(job=1, with_spec=True)
    permissions.check(who(Role.VIEWER), method, wanted, 1000)
    permissions.check(who(Role.OPERATOR), method, wanted, 2000)
    with pytest.raises(CallError, match=r"^Job 1 is another user's: ann is a user, and this needs the role operator"):
        permissions.check(who(Role.USER), method, wanted, 2000)


@pytest.mark.parametrize(
    ("role", "method", "sentence"),
    [
        (Role.VIEWER, "SubmitJob", "ann is a viewer, and this needs the role user: ask one who has it"),
        (Role.USER, "CancelJob", "Job 1 is another user's: ann is a user, and this needs the role operator; ask its"),
        (Role.USER, "HoldNodes", "ann is a user, and this needs the role operator: ask one who has it, or have an"),
        (Role.NOBODY, "ListJobs", "ann has no role here: have an administrator give it one (`roles` in dlroverd.yaml)"),
    ],
)
def test_a_refusal_says_what_is_needed_and_whom_to_ask(role: Role, method: str, sentence: str) -> None:
    with pytest.raises(CallError) as refused:
        permissions.check(who(role), f"/dlroverd.protocol.v1.ControlService/{method}", SimpleNamespace(job=1), 2000)
    assert refused.value.sentence.startswith(sentence)


def test_of_a_job_that_is_not_there_a_user_hears_that_it_is_not() -> None:
    permissions.check(who(Role.USER), "/dlroverd.protocol.v1.ControlService/CancelJob", SimpleNamespace(job=7), None)


def test_to_have_all_nodes_look_around_is_for_operators() -> None:
    method, wanted = "/dlroverd.protocol.v1.ControlService/ListNodes", SimpleNamespace(survey_s=5.0)
    permissions.check(who(Role.OPERATOR), method, wanted, None)
    with pytest.raises(CallError, match="ann is a user, and this needs the role operator"):
        permissions.check(who(Role.USER), method, wanted, None)


def test_a_drill_of_a_node_is_no_matter_of_one_job() -> None:
    wanted = SimpleNamespace(job=1, node="n1")
    with pytest.raises(CallError, match="ann is a user, and this needs the role operator"):
        permissions.check(who(Role.USER), "/dlroverd.protocol.v1.ControlService/OrderDrill", wanted, 1000)


def job_as(uid: int, gid: int, name: str) -> JobSpec:
    return JobSpec(name="j", user=User(uid=uid, gid=gid, name=name), roles=(RoleSpec(argv=("/bin/true",), cwd="/"),))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (job_as(0, 0, "root"), "The job is to run as root (uid 0), and ann (uid 1000) submits it: a job runs as its"),
        (job_as(1000, 100, "bob"), "The job is to run as bob (uid 1000), and ann (uid 1000) submits it"),
        (job_as(1000, 0, "ann"), "The job is to run with the group 0, and ann is not in it; use your own."),
    ],
)
def test_a_job_runs_as_its_submitter(spec: JobSpec, sentence: str) -> None:
    assert specs.of_submitter(spec, who(Role.ADMIN)) is spec
    with pytest.raises(CallError) as refused:
        specs.of_submitter(spec, who(Role.OPERATOR))
    assert refused.value.sentence.startswith(sentence)


def test_one_s_own_job_is_taken_and_counts_as_one_s_own_by_whatever_name() -> None:
    """Quotas go by names, and nodes compare them: a number in the place of one dodges neither."""
    own = job_as(1000, 100, "ann")
    assert specs.of_submitter(own, who(Role.USER)) == own
    assert specs.of_submitter(job_as(1000, 100, "1000"), who(Role.USER)) == own
