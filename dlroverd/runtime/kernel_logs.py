"""What the kernels of an incident's nodes said around it, asked of their agents when somebody wants to know."""

import asyncio
from collections.abc import AsyncIterator

from dlroverd.core.state import State
from dlroverd.model.fault import Incident
from dlroverd.model.kernel_log import KernelLog, KernelWindow
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime.output_streams import OutputStreams
from dlroverd.runtime.sessions import Sessions

# What a device or a link complains of comes before the rank's end; the kernel's word on that end just after it.
_BEFORE_S, _AFTER_S = 30.0, 5.0
_MOST_NODES = 8
# Beyond what an agent gives its own reading (kernel_log.DEADLINE_S).
_ANSWER_S = 10.0


async def of_incident(
    state: State, sessions: Sessions, streams: OutputStreams, job: int, incident: int
) -> AsyncIterator[KernelLog]:
    """Give each node's log, the cause's node first; CallError if there is no such incident."""
    found = next((each for each in state.incidents_of(job) if each.id == incident), None)
    if found is None:
        raise CallError(Reason.NOT_FOUND, f"Job {job} has no incident {incident}; see `dlroverctl job status {job}`.")
    window = window_of(found)
    for log in await asyncio.gather(*(_of_node(sessions, streams, node, window) for node in nodes_of(found))):
        yield log


def window_of(incident: Incident) -> KernelWindow:
    """Say around which time of an incident a kernel's lines may tell of it."""
    last = max(incident.began_at, incident.detected_at)
    return KernelWindow(since=incident.began_at - _BEFORE_S, until=last + _AFTER_S)


def nodes_of(incident: Incident) -> list[str]:
    """Name the nodes that an incident is about: that of its cause, then those of its victims."""
    causes = (incident.cause, *incident.victims)
    return list(dict.fromkeys(cause.node for cause in causes if cause is not None and cause.node))[:_MOST_NODES]


async def _of_node(sessions: Sessions, streams: OutputStreams, node: str, window: KernelWindow) -> KernelLog:
    session = sessions.live(node)
    if session is None:
        return KernelLog(node=node, window=window, problem=f"node {node} is not connected")
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await streams.kernel_log(session, window)
    except CallError as error:
        return KernelLog(node=node, window=window, problem=error.sentence.rstrip("."))
    except TimeoutError:
        return KernelLog(node=node, window=window, problem=f"node {node} did not answer within {_ANSWER_S:g} s")
