"""The Python client: what dlroverctl is written on. Blocking; every answer is a value of `dlroverd.model.view`.

    with Client() as client:
        job = client.submit(spec)
        for view in client.watch(job):
            print(view.state, view.reason)

What fails raises `CallError` with a sentence for people and a `Reason` for programs.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

import grpc

from dlroverd.model.checkpoint import Commit
from dlroverd.model.checkup import CheckLevel
from dlroverd.model.hold import DrainMode, HoldKind
from dlroverd.model.ids import RankKey
from dlroverd.model.job import JobSpec
from dlroverd.model.kernel_log import KernelLog
from dlroverd.model.node_view import AutomationView
from dlroverd.model.stacks import RankStack
from dlroverd.model.trust import AuthorityView, CertificateKind, TokenView
from dlroverd.model.view import DryRunView, EventView, JobView, LogChunk, NodeDetail, NodeView, PluginView, SinkView
from dlroverd.model.world import DrillKind
from dlroverd.protocol.channel import connect_blocking, socket_path
from dlroverd.protocol.convert import from_proto, to_proto
from dlroverd.protocol.errors import Reason, from_rpc
from dlroverd.protocol.identity import ShowIdentity
from dlroverd.protocol.messages import JOB_LOGS_REPLY, DaemonInfo, DrillRequest, HoldRequest, LogFailed, LogSource
from dlroverd.protocol.v1 import common_pb2
from dlroverd.protocol.v1 import control_service_pb2 as pb
from dlroverd.protocol.v1 import trust_service_pb2 as trust_pb
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceStub
from dlroverd.protocol.v1.trust_service_pb2_grpc import TrustServiceStub
from dlroverd.trust.join_token import Token, secret_sha256

T = TypeVar("T")

DEFAULT_ADDRESS = "unix:///run/dlroverd/dlroverd.sock"
DEFAULT_TIMEOUT_S = 10.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 1.0
_RESTART_S = 3.0


def default_address() -> str:
    """Give the address in DLROVERD_ADDRESS, else the one a daemon serves by default."""
    return os.environ.get("DLROVERD_ADDRESS") or DEFAULT_ADDRESS


class Client:
    """A connection to one daemon. May be used by several threads."""

    def __init__(self, address: str | None = None, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Connect at the first call; AddressError if `address` is none.

        `timeout_s` is for each call that answers at once, retries included. Those that follow have no limit.
        """
        self.address = address or default_address()
        self._timeout_s = timeout_s
        self._channel = grpc.intercept_channel(connect_blocking(self.address), ShowIdentity(self.address))
        # The generated stub is typed for the asyncio API alone; it serves both.
        self._stub: Any = ControlServiceStub(self._channel)  # type: ignore[arg-type]
        self._trust: Any = TrustServiceStub(self._channel)  # type: ignore[arg-type] # as above

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Hang up; calls that are under way fail."""
        self._channel.close()

    def submit(self, spec: JobSpec, request_id: str | None = None) -> int:
        """Submit a job and give its number; the same `request_id` again gives the same job."""
        request = pb.SubmitJobRequest(request_id=request_id or _new_id(), spec=to_proto(spec, common_pb2.JobSpec))
        return int(self._once(self._stub.SubmitJob, request).job)

    def dry_run(self, spec: JobSpec) -> DryRunView:
        """Say what would become of a job if it were submitted now."""
        request = pb.DryRunRequest(spec=to_proto(spec, common_pb2.JobSpec))
        return from_proto(self._once(self._stub.DryRun, request), DryRunView)

    def jobs(self) -> list[JobView]:
        """List all jobs, lowest number first."""
        return self._all(self._stub.ListJobs, pb.ListJobsRequest(), JobView)

    def job(self, job: int, *, with_spec: bool = False) -> JobView:
        """Give one job as it is now."""
        request = pb.GetJobRequest(job=job, with_spec=with_spec)
        return from_proto(self._once(self._stub.GetJob, request), JobView)

    def watch(self, job: int) -> Iterator[JobView]:
        """Give a job now and at each change, up to its final state. Ask again if the daemon goes away."""
        for view in self._stream(self._stub.WatchJob, pb.WatchJobRequest(job=job)):
            yield from_proto(view, JobView)

    def cancel(self, job: int) -> None:
        """End a job; `watch` tells when its ranks are gone."""
        self._once(self._stub.CancelJob, pb.CancelJobRequest(request_id=_new_id(), job=job))

    def restart(self, job: int) -> None:
        """Give a running job a new round."""
        self._once(self._stub.RestartJob, pb.RestartJobRequest(request_id=_new_id(), job=job))

    def scale(self, job: int, nodes_min: int, nodes_max: int, *, role: str = "", within_s: float = 0.0) -> None:
        """Change how many nodes a role's gangs may have; a checkpoint of what runs is waited for up to `within_s`."""
        request = pb.ScaleJobRequest(
            request_id=_new_id(), job=job, role=role, nodes_min=nodes_min, nodes_max=nodes_max, within_s=within_s
        )
        self._once(self._stub.ScaleJob, request)

    def suspend(self, job: int, *, within_s: float = 0.0) -> None:
        """Have a job stopped and kept, its nodes free; a checkpoint of it is waited for up to `within_s`."""
        self._once(self._stub.SuspendJob, pb.SuspendJobRequest(request_id=_new_id(), job=job, within_s=within_s))

    def resume(self, job: int) -> None:
        """Let a suspended job go on, once there are nodes for it."""
        self._once(self._stub.ResumeJob, pb.ResumeJobRequest(request_id=_new_id(), job=job))

    def checkpoints(self, job: int) -> list[Commit]:
        """List the newest checkpoints that the log has of a job, oldest first."""
        return self._all(self._stub.ListCheckpoints, pb.ListCheckpointsRequest(job=job), Commit)

    def drill(
        self,
        kind: DrillKind,
        *,
        job: int = 0,
        role: str = "",
        gang: int = 0,
        rank: int = 0,
        node: str = "",
        for_s: float = 0.0,
    ) -> None:
        """Have a fault made: at a rank of a job's gang, or at `node` for the kinds that are about one."""
        wanted = DrillRequest(
            request_id=_new_id(), kind=kind, job=job, role=role, gang=gang, rank=rank, node=node, for_s=for_s
        )
        self._once(self._stub.OrderDrill, to_proto(wanted, pb.OrderDrillRequest))

    def logs(
        self,
        job: int,
        *,
        role: str | None = None,
        gang: int | None = None,
        ranks: Iterable[int] = (),
        node: str | None = None,
        round_: int | None = None,
        all_rounds: bool = False,
        follow: bool = False,
        tail_lines: int | None = None,
        since: float | None = None,
        known: Mapping[RankKey, int] | None = None,
    ) -> Iterator[LogChunk | LogFailed]:
        """Give the output of a job's ranks, each rank's in order; what is None or empty means all.

        `since` is absolute seconds. `known` says how much of which ranks was read before the daemon went away.
        """
        request = pb.JobLogsRequest(
            job=job,
            role=role,
            gang=gang,
            ranks=ranks,
            node=node,
            round=round_,
            all_rounds=all_rounds,
            follow=follow,
            tail_lines=tail_lines,
            since=since,
            known=[
                to_proto(LogSource(rank=rank, from_offset=offset), common_pb2.LogSource)
                for rank, offset in (known or {}).items()
            ],
        )
        for reply in self._stream(self._stub.JobLogs, request):
            piece = JOB_LOGS_REPLY.unwrap(reply)
            if piece is not None:
                yield piece

    def kernel_logs(self, job: int, incident: int) -> list[KernelLog]:
        """Give what the kernels of an incident's nodes said around it, the node of its cause first; takes seconds."""
        request = pb.ListKernelLogsRequest(job=job, incident=incident)
        return [from_proto(log, KernelLog) for log in self._stream(self._stub.ListKernelLogs, request)]

    def redacted(self, text: str, *, json: bool = False) -> str:
        """Give a text of up to 1 MiB, or a JSON document, without what the daemon knows or takes for secrets."""
        return str(self._once(self._stub.Redact, pb.RedactRequest(text=text, json=json)).text)

    def stacks(
        self, job: int, *, role: str | None = None, gang: int | None = None, ranks: Iterable[int] = ()
    ) -> list[RankStack]:
        """Give what the threads of a job's ranks are at now; what is None or empty means all. It takes seconds."""
        request = pb.JobStacksRequest(job=job, role=role, gang=gang, ranks=ranks)
        return [from_proto(stack, RankStack) for stack in self._stream(self._stub.JobStacks, request)]

    def nodes(self, *, with_absent: bool = False, survey_s: float = 0.0) -> list[NodeView]:
        """List all nodes, by id; `with_absent`: those of the topology alone too; `survey_s`: first look what runs."""
        request = pb.ListNodesRequest(with_absent=with_absent, survey_s=survey_s)
        return self._all(self._stub.ListNodes, request, NodeView)

    def adopt(self, node: str) -> None:
        """Have the daemon take in a node that follows another log, with what it runs."""
        self._once(self._stub.AdoptNode, pb.AdoptNodeRequest(request_id=_new_id(), node=node))

    def confirm_down(self, node: str) -> None:
        """Say that a node which is not heard is down: nothing runs there any more."""
        self._once(self._stub.ConfirmDown, pb.ConfirmDownRequest(request_id=_new_id(), node=node))

    def node(self, node: str) -> NodeDetail:
        """Give one node with its holds, devices and history."""
        return from_proto(self._once(self._stub.GetNode, pb.GetNodeRequest(node=node)), NodeDetail)

    def hold(
        self,
        nodes: Iterable[str],
        kind: HoldKind,
        *,
        reason: str,
        owner: str = "",
        mode: DrainMode = DrainMode.FINISH,
        deadline_s: float = 0.0,
        reboot: bool = False,
        until_checked: bool = False,
    ) -> str:
        """Take nodes out of use; gives the request, by which `release` can take it back."""
        wanted = HoldRequest(
            request_id=_new_id(),
            nodes=tuple(nodes),
            kind=kind,
            mode=mode,
            reason=reason,
            owner=owner,
            deadline_s=deadline_s,
            reboot=reboot,
            until_checked=until_checked,
        )
        self._once(self._stub.HoldNodes, to_proto(wanted, pb.HoldNodesRequest))
        return wanted.request_id

    def release(self, nodes: Iterable[str], *, owner: str = "", kind: HoldKind | None = None, undo: str = "") -> None:
        """Let go of nodes in one owner's name: of all it holds there, of one kind, or what request `undo` set."""
        request = pb.ReleaseNodesRequest(
            request_id=_new_id(), nodes=nodes, owner=owner, kind=kind.value if kind else "", undo=undo
        )
        self._once(self._stub.ReleaseNodes, request)

    def check(self, nodes: Iterable[str], level: CheckLevel = CheckLevel.INSTANT) -> int:
        """Have nodes run their checks; gives the number of the checkup, which `node` then tells of."""
        request = pb.CheckNodesRequest(request_id=_new_id(), nodes=nodes, level=f"CHECK_LEVEL_{level.name}")
        return int(self._once(self._stub.CheckNodes, request).checkup)

    def clear(self, nodes: Iterable[str], *, reason: str) -> None:
        """Take nodes as repaired: what was said of their health does not count any more."""
        self._once(self._stub.ClearNodes, pb.ClearNodesRequest(request_id=_new_id(), nodes=nodes, reason=reason))

    def pause_automation(self, reason: str) -> None:
        """Stop what automation does by itself; jobs are restarted as ever."""
        self._once(self._stub.PauseAutomation, pb.PauseAutomationRequest(request_id=_new_id(), reason=reason))

    def resume_automation(self) -> None:
        """Let automation act again."""
        self._once(self._stub.ResumeAutomation, pb.ResumeAutomationRequest(request_id=_new_id()))

    def automation(self) -> AutomationView:
        """Tell what automation may do, did lately and would do."""
        return from_proto(self._once(self._stub.GetAutomation, pb.GetAutomationRequest()), AutomationView)

    def events(
        self,
        *,
        after: int = 0,
        start: str | None = None,
        job: int | None = None,
        node: str | None = None,
        names: Iterable[str] = (),
        severity: str | None = None,
        kind: str | None = None,
        since: float | None = None,
        limit: int = 0,
        follow: bool = False,
    ) -> Iterator[EventView]:
        """Give events of the log, oldest first; with `limit` the newest so many, with `follow` those to come.

        `start` is oldest, now, or the position to start from; names may end in `*`; `severity`: that or worse.
        """
        request = pb.ListEventsRequest(
            after=after,
            start=start,
            job=job,
            node=node,
            names=names,
            severity=severity,
            kind=kind,
            since=since,
            limit=limit,
            follow=follow,
        )
        for view in self._stream(self._stub.ListEvents, request):
            yield from_proto(view, EventView)

    def plugins(self) -> list[PluginView]:
        """List the daemon's plugins."""
        return self._all(self._stub.ListPlugins, pb.ListPluginsRequest(), PluginView)

    def sinks(self) -> list[SinkView]:
        """List the daemon's sinks, and how far each is."""
        return self._all(self._stub.ListSinks, pb.ListSinksRequest(), SinkView)

    def replay_sink(self, name: str, position: int, request_id: str | None = None) -> None:
        """Have a sink go on with the record at `position`, back or ahead; the same `request_id` again moves nothing."""
        request = pb.ReplaySinkRequest(request_id=request_id or _new_id(), name=name, position=position)
        self._once(self._stub.ReplaySink, request)

    def authority(self) -> AuthorityView:
        """Tell whose certificates hosts of this fleet show, and where they join."""
        return from_proto(self._once(self._trust.GetAuthority, trust_pb.GetAuthorityRequest()), AuthorityView)

    def create_token(
        self, uses: int, ttl_s: float, kind: CertificateKind = CertificateKind.NODE, fingerprint: str = ""
    ) -> Token:
        """Let `uses` hosts join for so long. The token is made here: the daemon gets its digest alone.

        `fingerprint` is the authority's, asked for if it is "".
        """
        token = Token.make(fingerprint or self.authority().fingerprint)
        request = trust_pb.CreateTokenRequest(
            id=token.id, kind=kind.value, secret_sha256=secret_sha256(token.secret), uses=uses, ttl_s=ttl_s
        )
        self._once(self._trust.CreateToken, request)
        return token

    def tokens(self) -> list[TokenView]:
        """List the join tokens, oldest first."""
        return self._all(self._trust.ListTokens, trust_pb.ListTokensRequest(), TokenView)

    def revoke_token(self, token: str) -> None:
        """Let no more hosts join by a token, given by its id."""
        self._once(self._trust.RevokeToken, trust_pb.RevokeTokenRequest(request_id=_new_id(), token=token))

    def revoke_certificates(self, name: str, reason: str = "") -> None:
        """Shut a node or login host out, whatever certificate it shows, until it joins by a new token."""
        request = trust_pb.RevokeCertificatesRequest(request_id=_new_id(), name=name, reason=reason)
        self._once(self._trust.RevokeCertificates, request)

    def info(self) -> DaemonInfo:
        """Tell how the daemon is."""
        return from_proto(self._once(self._stub.GetInfo, pb.GetInfoRequest()), DaemonInfo)

    def _once(self, call: Callable[..., Any], request: object) -> Any:
        return self._retried(lambda timeout_s: call(request, timeout=timeout_s))

    def _all(self, call: Callable[..., Any], request: object, cls: type[T]) -> list[T]:
        return self._retried(lambda timeout_s: [from_proto(view, cls) for view in call(request, timeout=timeout_s)])

    def _retried(self, attempt: Callable[[float], T]) -> T:
        """Try until the time is up while the daemon is not there; the same request takes effect once."""
        began_s = time.monotonic()
        end_s = began_s + self._timeout_s
        pause_s = _FIRST_RETRY_S
        while True:
            try:
                return attempt(max(0.0, end_s - time.monotonic()))
            except grpc.RpcError as error:
                failure = from_rpc(error, self.address)
                if failure.reason is not Reason.UNAVAILABLE or time.monotonic() + pause_s >= self._back_by(began_s):
                    raise failure from None
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_RETRY_S)

    def _back_by(self, began_s: float) -> float:
        """Tell until when a daemon that is not there may be waited for."""
        path = socket_path(self.address)
        if os.path.exists(path):  # left behind by one that was killed
            return began_s + self._timeout_s
        # One that stops in good order takes its socket away, and is back soon if it is being restarted.
        return began_s + min(self._timeout_s, _RESTART_S) if os.path.exists(os.path.dirname(path)) else began_s

    def _stream(self, call: Callable[..., Any], request: object) -> Iterator[Any]:
        replies = call(request)
        try:
            yield from replies
        except grpc.RpcError as error:
            raise from_rpc(error, self.address) from None
        finally:
            replies.cancel()


def _new_id() -> str:
    return uuid.uuid4().hex
