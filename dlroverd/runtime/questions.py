"""Questions to the scheduler plugin; its answers come back as inputs. Nothing waits for it but the job asked about."""

import asyncio

from dlroverd.core.passes import placement
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.placement import FreeNode, NoFit, Placement, PlacementView
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.runtime.inbox import Entry, Inbox


class Questions:
    """The open questions."""

    def __init__(self, state: State, inbox: Inbox, host: PluginHost, scheduler: str, timeout_s: float) -> None:
        """Ask the plugin called `scheduler`, and wait `timeout_s` for each answer."""
        self._state = state
        self._inbox = inbox
        self._host = host
        self._scheduler = scheduler
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, job: int) -> None:
        """Ask where a job's gangs go, as of now."""
        record = self._state.jobs.get(job)
        if record is None or not record.question:
            return
        request = placement.request(self._state, job)
        nodes = []
        for node in sorted(self._state.nodes):
            free = self._state.free.free(node)
            if free is not None and node not in request.avoid:
                nodes.append(FreeNode(node=node, slots=self._state.nodes[node].facts.slots, free=free))
        view = PlacementView(request=request, nodes=tuple(nodes))
        task = asyncio.create_task(self._answer(job, record.question, view), name=f"question {record.question}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, job: int, question: int, view: PlacementView) -> None:
        answer: Placement | NoFit | None = None
        failure = ""
        try:
            answer = await self._host.schedule(self._scheduler, view, self._timeout_s)
        except PluginError as error:
            failure = str(error)
        item = inp.PlacementAnswered(job=job, question=question, answer=answer, failure=failure)
        self._inbox.put(Entry(item))
