"""Questions to the scheduler plugin; its answers come back as inputs. Nothing waits for it but the job asked about."""

import asyncio

from dlroverd.core.passes import preempt, queue, requests
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.limits import Limits
from dlroverd.model.placement import NoFit, Placement, PlacementView, Preempt
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.runtime.inbox import Entry, Inbox


class Questions:
    """The open questions."""

    def __init__(self, state: State, inbox: Inbox, host: PluginHost, scheduler: str, limits: Limits) -> None:
        """Ask the plugin called `scheduler`, and wait `placing_s` for each answer."""
        self._state = state
        self._inbox = inbox
        self._host = host
        self._scheduler = scheduler
        self.limits = limits
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, job: int) -> None:
        """Ask where a job's gangs go, as of now."""
        record = self._state.jobs.get(job)
        if record is None or not record.question:
            return
        request = requests.request(self._state, job, self.limits)
        avoid = set(request.avoid)
        view = PlacementView(
            request=request,
            nodes=tuple(each for each in self._state.free.nodes() if each.node not in avoid),
            queue=tuple(
                requests.request(self._state, other, self.limits)
                for other in queue.behind(self._state, self.limits, job)
            ),
            running=preempt.candidates(self._state, self.limits, record),
        )
        task = asyncio.create_task(self._answer(job, record.question, view), name=f"question {record.question}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, job: int, question: int, view: PlacementView) -> None:
        answer: Placement | NoFit | Preempt | None = None
        failure = ""
        try:
            answer = await self._host.schedule(self._scheduler, view, self.limits.placing_s)
        except PluginError as error:
            failure = str(error)
        item = inp.PlacementAnswered(job=job, question=question, answer=answer, failure=failure)
        self._inbox.put(Entry(item))
