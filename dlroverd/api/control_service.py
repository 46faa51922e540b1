"""What people and programs call. Thin: check, convert, hand over, await, convert back."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import grpc.aio

from dlroverd.api import specs
from dlroverd.api.authorisation import caller
from dlroverd.api.hangs import with_hangs
from dlroverd.api.node_views import automation_view, node_detail, node_views
from dlroverd.api.readings import with_readings
from dlroverd.api.views import job_view
from dlroverd.core.dry_run import dry_run
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.job import FINAL_JOB_STATES, JobSpec
from dlroverd.model.view import JobView, NodeDetail
from dlroverd.protocol.convert import from_proto, to_proto
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import JOB_LOGS_REPLY, CheckRequest, DaemonInfo, DrillRequest, HoldRequest, LogSource
from dlroverd.protocol.v1 import common_pb2
from dlroverd.protocol.v1 import control_service_pb2 as pb
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceServicer
from dlroverd.runtime import kernel_logs
from dlroverd.runtime.events import EventFilter, read_events
from dlroverd.runtime.outputs import Wanted
from dlroverd.runtime.runtime import Runtime

_REQUEST_ID_LENGTH = 128
_LONGEST_SURVEY_S = 60.0
_MOST_TO_REDACT = 1 << 20

Context = grpc.aio.ServicerContext[Any, Any]


class ControlService(ControlServiceServicer):
    """Serves the clients of one runtime."""

    def __init__(self, runtime: Runtime, info: Callable[[], DaemonInfo]) -> None:
        """Serve `runtime` to callers whom an interceptor has let in."""
        self._runtime = runtime
        self._info = info

    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Context) -> pb.SubmitJobReply:
        """See the proto."""
        _check_request_id(request.request_id)
        if not request.HasField("spec"):
            raise CallError(Reason.INVALID, "The request holds no spec; add one.")
        spec = from_proto(request.spec, JobSpec)
        specs.check(spec)
        spec = specs.of_submitter(spec, caller())
        job = await self._runtime.ask(inp.Submit(request_id=request.request_id, spec=spec))
        return pb.SubmitJobReply(job=job)

    async def DryRun(self, request: pb.DryRunRequest, context: Context) -> pb.DryRunView:
        """See the proto."""
        if not request.HasField("spec"):
            raise CallError(Reason.INVALID, "The request holds no spec; add one.")
        spec = from_proto(request.spec, JobSpec)
        specs.check(spec)
        spec = specs.of_submitter(spec, caller())
        limits = self._runtime.limits
        return to_proto(await self._runtime.loop.look(lambda state: dry_run(state, limits, spec)), pb.DryRunView)

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> AsyncIterator[pb.JobView]:
        """See the proto."""
        for view in await self._runtime.loop.look(self._all_jobs):
            yield to_proto(view, pb.JobView)

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.JobView:
        """See the proto."""
        job = self._job(request.job, with_spec=request.with_spec)

        def at(state: State) -> JobView | None:
            view = job(state)
            telemetry, now = self._runtime.telemetry, self._runtime.clock.now()
            if view is None:
                return None
            return with_hangs(with_readings(view, state, telemetry, now), self._runtime.hangs)

        detail = await self._runtime.loop.look(at)
        if detail is None:
            raise _no_job(request.job)
        return to_proto(detail, pb.JobView)

    async def WatchJob(self, request: pb.WatchJobRequest, context: Context) -> AsyncIterator[pb.JobView]:
        """See the proto."""
        if request.job not in self._runtime.state.jobs:
            raise _no_job(request.job)
        async for view in self._runtime.follow(request.job, self._job(request.job)):
            yield to_proto(view, pb.JobView)
            if view.state in FINAL_JOB_STATES:
                return

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.Cancel(request_id=request.request_id, job=request.job, actor=caller().name))
        return pb.CancelJobReply()

    async def RestartJob(self, request: pb.RestartJobRequest, context: Context) -> pb.RestartJobReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.Restart(request_id=request.request_id, job=request.job, actor=caller().name))
        return pb.RestartJobReply()

    async def ScaleJob(self, request: pb.ScaleJobRequest, context: Context) -> pb.ScaleJobReply:
        """See the proto."""
        _check_request_id(request.request_id)
        scale = inp.Scale(
            request_id=request.request_id,
            job=request.job,
            actor=caller().name,
            role=request.role,
            nodes_min=request.nodes_min,
            nodes_max=request.nodes_max,
            within_s=specs.within(request.within_s),
        )
        await self._runtime.ask(scale)
        return pb.ScaleJobReply()

    async def SuspendJob(self, request: pb.SuspendJobRequest, context: Context) -> pb.SuspendJobReply:
        """See the proto."""
        _check_request_id(request.request_id)
        within_s = specs.within(request.within_s)
        await self._runtime.ask(
            inp.Suspend(request_id=request.request_id, job=request.job, actor=caller().name, within_s=within_s)
        )
        return pb.SuspendJobReply()

    async def ResumeJob(self, request: pb.ResumeJobRequest, context: Context) -> pb.ResumeJobReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.Resume(request_id=request.request_id, job=request.job, actor=caller().name))
        return pb.ResumeJobReply()

    async def ListCheckpoints(self, request: pb.ListCheckpointsRequest, context: Context) -> AsyncIterator[pb.Commit]:
        """See the proto."""
        if request.job not in self._runtime.state.jobs:
            raise _no_job(request.job)
        for commit in await self._runtime.loop.look(lambda state: state.commits.get(request.job, ())):
            yield to_proto(commit, pb.Commit)

    async def JobLogs(self, request: pb.JobLogsRequest, context: Context) -> AsyncIterator[pb.JobLogsReply]:
        """See the proto."""
        known = [from_proto(source, LogSource) for source in request.known]
        wanted = Wanted(
            job=request.job,
            role=_given(request, "role"),
            gang=_given(request, "gang"),
            ranks=frozenset(request.ranks),
            node=_given(request, "node"),
            round=_given(request, "round"),
            all_rounds=request.all_rounds,
            follow=request.follow,
            tail_lines=_given(request, "tail_lines"),
            since=_given(request, "since"),
            known={source.rank: source.from_offset for source in known},
        )
        async for piece in self._runtime.outputs.read(wanted):
            yield JOB_LOGS_REPLY.wrap(piece)

    async def ListKernelLogs(
        self, request: pb.ListKernelLogsRequest, context: Context
    ) -> AsyncIterator[common_pb2.KernelLog]:
        """See the proto."""
        runtime = self._runtime
        async for log in kernel_logs.of_incident(
            runtime.state, runtime.sessions, runtime.streams, request.job, request.incident
        ):
            yield to_proto(log, common_pb2.KernelLog)

    async def Redact(self, request: pb.RedactRequest, context: Context) -> pb.RedactReply:
        """See the proto."""
        if len(request.text) > _MOST_TO_REDACT:
            raise CallError(Reason.INVALID, f"A text has at most {_MOST_TO_REDACT} letters; send it in parts.")
        return pb.RedactReply(text=await self._runtime.redacted(request.text, json=request.json))

    async def JobStacks(self, request: pb.JobStacksRequest, context: Context) -> AsyncIterator[common_pb2.RankStack]:
        """See the proto."""
        if request.job not in self._runtime.state.jobs:
            raise _no_job(request.job)
        role, gang = _given(request, "role"), _given(request, "gang")
        for stack in await self._runtime.stacks.of_job(request.job, role, gang, frozenset(request.ranks)):
            yield to_proto(stack, common_pb2.RankStack)

    async def ListNodes(self, request: pb.ListNodesRequest, context: Context) -> AsyncIterator[pb.NodeView]:
        """See the proto."""
        late: frozenset[str] = frozenset()
        if request.survey_s > 0:
            late = await self._runtime.audits.survey(min(request.survey_s, _LONGEST_SURVEY_S))
        for view in await self._runtime.loop.look(
            lambda state: node_views(state, self._runtime.sessions, with_absent=request.with_absent)
        ):
            yield to_proto(replace(view, unsurveyed=view.id in late), pb.NodeView)

    async def AdoptNode(self, request: pb.AdoptNodeRequest, context: Context) -> pb.AdoptNodeReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.AdoptNode(node=request.node, actor=caller().name))
        return pb.AdoptNodeReply()

    async def ConfirmDown(self, request: pb.ConfirmDownRequest, context: Context) -> pb.ConfirmDownReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.ConfirmDown(node=request.node, actor=caller().name))
        return pb.ConfirmDownReply()

    async def GetNode(self, request: pb.GetNodeRequest, context: Context) -> pb.NodeDetail:
        """See the proto."""

        def at(state: State) -> NodeDetail | None:
            record = state.nodes.get(request.node)
            if record is None:
                return None
            runtime = self._runtime
            return node_detail(state, runtime.sessions, record, runtime.telemetry, runtime.clock.now())

        detail = await self._runtime.loop.look(at)
        if detail is None:
            raise CallError(Reason.NOT_FOUND, f"There is no node {request.node:.253}; see `dlroverctl node list`.")
        return to_proto(detail, pb.NodeDetail)

    async def HoldNodes(self, request: pb.HoldNodesRequest, context: Context) -> pb.HoldNodesReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(specs.hold(from_proto(request, HoldRequest), caller().name))
        return pb.HoldNodesReply()

    async def ReleaseNodes(self, request: pb.ReleaseNodesRequest, context: Context) -> pb.ReleaseNodesReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(
            inp.ReleaseNodes(
                request_id=request.request_id,
                nodes=tuple(request.nodes),
                owner=request.owner or caller().name,
                actor=caller().name,
                kind=specs.hold_kind(request.kind),
                request=request.undo,
            )
        )
        return pb.ReleaseNodesReply()

    async def ClearNodes(self, request: pb.ClearNodesRequest, context: Context) -> pb.ClearNodesReply:
        """See the proto."""
        _check_request_id(request.request_id)
        if not request.reason.strip():
            raise CallError(Reason.INVALID, "Say what was repaired: `--reason TEXT`.")
        await self._runtime.ask(
            inp.ClearNodes(
                request_id=request.request_id,
                nodes=tuple(request.nodes),
                actor=caller().name,
                reason=request.reason[:500],
            )
        )
        return pb.ClearNodesReply()

    async def PauseAutomation(self, request: pb.PauseAutomationRequest, context: Context) -> pb.PauseAutomationReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.PauseAutomation(actor=caller().name, reason=request.reason[:500]))
        return pb.PauseAutomationReply()

    async def ResumeAutomation(self, request: pb.ResumeAutomationRequest, context: Context) -> pb.ResumeAutomationReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(inp.ResumeAutomation(actor=caller().name))
        return pb.ResumeAutomationReply()

    async def GetAutomation(self, request: pb.GetAutomationRequest, context: Context) -> pb.AutomationView:
        """See the proto."""
        limits = self._runtime.limits.automation
        return to_proto(await self._runtime.loop.look(lambda state: automation_view(state, limits)), pb.AutomationView)

    async def OrderDrill(self, request: pb.OrderDrillRequest, context: Context) -> pb.OrderDrillReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.ask(specs.drill(from_proto(request, DrillRequest), caller().name))
        return pb.OrderDrillReply()

    async def CheckNodes(self, request: pb.CheckNodesRequest, context: Context) -> pb.CheckNodesReply:
        """See the proto."""
        _check_request_id(request.request_id)
        number = await self._runtime.ask(specs.checkup(from_proto(request, CheckRequest), caller().name))
        return pb.CheckNodesReply(checkup=number)

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> AsyncIterator[pb.EventView]:
        """See the proto."""
        wanted = EventFilter(
            after=request.after,
            start=request.start,
            job=_given(request, "job"),
            node=_given(request, "node"),
            names=frozenset(request.names),
            severity=request.severity,
            kind=request.kind,
            since=_given(request, "since"),
            limit=request.limit,
            follow=request.follow,
        )
        runtime = self._runtime
        async for view in read_events(runtime.journal, runtime.changes, wanted, runtime.known):
            yield to_proto(await runtime.shown(view), pb.EventView)

    async def ListPlugins(self, request: pb.ListPluginsRequest, context: Context) -> AsyncIterator[pb.PluginView]:
        """See the proto."""
        lags = {sink.name: sink.lag_records for sink in self._runtime.sinks()}
        for view in self._runtime.host.inventory():
            yield to_proto(replace(view, lag_records=lags.get(view.name)), pb.PluginView)

    async def ListSinks(self, request: pb.ListSinksRequest, context: Context) -> AsyncIterator[pb.SinkView]:
        """See the proto."""
        for view in self._runtime.sinks():
            yield to_proto(view, pb.SinkView)

    async def ReplaySink(self, request: pb.ReplaySinkRequest, context: Context) -> pb.ReplaySinkReply:
        """See the proto."""
        _check_request_id(request.request_id)
        await self._runtime.move_sink(request.name, request.position, request.request_id)
        return pb.ReplaySinkReply()

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.DaemonInfo:
        """See the proto. Answers while the log's disk is full as well."""
        return to_proto(self._info(), pb.DaemonInfo)

    def _job(self, number: int, *, with_spec: bool = False) -> Callable[[State], JobView | None]:
        def at(state: State) -> JobView | None:
            record = state.jobs.get(number)
            sessions, now = self._runtime.sessions, self._runtime.clock.now()
            return (
                job_view(state, sessions, record, now, self._runtime.limits, with_spec=with_spec)
                if record is not None
                else None
            )

        return at

    def _all_jobs(self, state: State) -> list[JobView]:
        sessions, now = self._runtime.sessions, self._runtime.clock.now()
        return [
            job_view(state, sessions, state.jobs[number], now, self._runtime.limits) for number in sorted(state.jobs)
        ]


def _given(request: Any, field: str) -> Any:
    """Give an optional field's value, None when it is absent."""
    return getattr(request, field) if request.HasField(field) else None


def _check_request_id(request_id: str) -> None:
    if not 1 <= len(request_id) <= _REQUEST_ID_LENGTH:
        raise CallError(
            Reason.INVALID, f"A request needs a request_id of 1 to {_REQUEST_ID_LENGTH} characters, new for each."
        )


def _no_job(job: int) -> CallError:
    return CallError(Reason.NOT_FOUND, f"There is no job {job}; see `dlroverctl job list`.")
