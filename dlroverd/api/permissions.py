"""Which role each call needs. One row a call; a call without one is for administrators until it has one."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from dlroverd.model.roles import Caller, Role
from dlroverd.protocol.errors import CallError, Reason

V, U, O, A = Role.VIEWER, Role.USER, Role.OPERATOR, Role.ADMIN  # noqa: E741 - so that the table is one


@dataclass(frozen=True, slots=True)
class Rule:
    """`least` is the role that a call needs; `own` the one that is enough if it is about a job of the caller's.

    `private` names a field of the request that, when it is set, makes it an operator's where the job is not the
    caller's own. `fleet` names one that, when it is set, makes it about more than a job.
    """

    least: Role
    own: Role | None = None
    private: str = ""
    fleet: str = ""


_CONTROL: Final = {
    # What shows nothing but that something is, and how it is.
    "ListJobs": Rule(V),
    "GetJob": Rule(V, own=V, private="with_spec"),  # a spec has the environment in it
    "WatchJob": Rule(V),
    "ListCheckpoints": Rule(V),
    "ListNodes": Rule(V, private="survey_s"),  # which has every host do something
    "GetNode": Rule(V),
    "ListEvents": Rule(V),
    "ListPlugins": Rule(V),
    "ListSinks": Rule(V),
    "GetAutomation": Rule(V),
    "GetInfo": Rule(V),
    "Redact": Rule(V),
    # What users do, in their own name; others' output and jobs are not theirs.
    "SubmitJob": Rule(U),
    "DryRun": Rule(U),
    "JobLogs": Rule(O, own=V),
    "ListKernelLogs": Rule(O, own=V),  # a host's kernel may tell of others' processes
    "JobStacks": Rule(O, own=V),
    "CancelJob": Rule(O, own=U),
    "RestartJob": Rule(O, own=U),
    "ScaleJob": Rule(O, own=U),
    "SuspendJob": Rule(O, own=U),
    "ResumeJob": Rule(O, own=U),
    "OrderDrill": Rule(O, own=U, fleet="node"),
    # What changes the fleet for all.
    "AdoptNode": Rule(O),
    "ConfirmDown": Rule(O),
    "HoldNodes": Rule(O),
    "ReleaseNodes": Rule(O),
    "CheckNodes": Rule(O),
    "ClearNodes": Rule(O),
    "PauseAutomation": Rule(O),
    "ResumeAutomation": Rule(O),
    "ReplaySink": Rule(O),
}
_TRUST: Final = {
    "GetAuthority": Rule(A),
    "CreateToken": Rule(A),
    "ListTokens": Rule(O),
    "RevokeToken": Rule(O),
    "RevokeCertificates": Rule(O),
}
# On a unix socket an agent may say that it is any node.
_AGENT: Final = dict.fromkeys(("Session", "PushLogs", "PushEvents", "PushStacks", "Measure"), Rule(A))

_PACKAGE: Final = "/dlroverd.protocol.v1."
RULES: Final = MappingProxyType(
    {
        **{f"{_PACKAGE}ControlService/{name}": rule for name, rule in _CONTROL.items()},
        **{f"{_PACKAGE}TrustService/{name}": rule for name, rule in _TRUST.items()},
        **{f"{_PACKAGE}AgentService/{name}": rule for name, rule in _AGENT.items()},
    }
)
_UNKNOWN: Final = Rule(A)


def check(caller: Caller, method: str, request: Any, owner: int | None) -> None:
    """Refuse a call that its caller may not make. `owner` is the uid whose job it is about, None if there is none.

    Raises:
        CallError: it is for others; says which role it needs.
    """
    rule = RULES.get(method, _UNKNOWN)
    needed = Role.OPERATOR if rule.private and getattr(request, rule.private) else rule.least
    if rule.own is None or (rule.fleet and getattr(request, rule.fleet)):
        enough = needed
    elif owner == caller.uid or (owner is None and request.job):  # whoever may do it to a job hears that there is none
        enough = min(needed, rule.own)
    else:
        enough = needed
    if caller.role >= enough:
        return
    if caller.role is Role.NOBODY:
        sentence = f"{caller.name} has no role here: have an administrator give it one (`roles` in dlroverd.yaml)."
    elif rule.own is not None and caller.role >= rule.own and owner not in (None, caller.uid):
        sentence = (
            f"Job {request.job} is another user's: {caller.name} is {_a(caller.role)}, and this needs the role "
            f"{enough.word}; ask its owner or an operator."
        )
    else:
        sentence = (
            f"{caller.name} is {_a(caller.role)}, and this needs the role {enough.word}: ask one who has it, or have "
            "an administrator give it to you (`roles` in dlroverd.yaml)."
        )
    raise CallError(Reason.FORBIDDEN, sentence)


def _a(role: Role) -> str:
    return f"{'an' if role.word[0] in 'ao' else 'a'} {role.word}"
