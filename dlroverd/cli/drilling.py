"""A drill from its order on: followed until the job has made a step after the fault, or too long."""

import dataclasses
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dlroverd.cli import endings, sentences
from dlroverd.cli.endings import Exit
from dlroverd.cli.rehearsal import AGENT_BACK, LASTING, NOTICED, OF_RANKS, PAUSE, Fault, FirstStart
from dlroverd.model.world import DrillKind

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.view import EventView, IncidentView, JobView

_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a drill. `measured` is seconds by phase; `code` is the command's."""

    name: Literal["restarted", "went_on", "failed", "timed_out"]
    sentence: str
    code: Exit = Exit.DONE
    measured: dict[str, float] = field(default_factory=dict)
    incident: "IncidentView | None" = None


def first_start(client: "Client", job: int) -> FirstStart | None:
    """Read from the log what a job's first start took; None if it is not there any more, or no step was seen."""
    formed_at = running_at = stepped_at = 0.0
    names = ("world_formed", "world_cleared", "job_moved", "step_seen")
    for event in client.events(job=job, names=names):
        body = json.loads(event.body)
        if event.name == "step_seen":
            stepped_at = body["at"]
        elif event.name != "job_moved":
            formed_at = event.time  # a world that is checked before its start is formed, and then cleared
        elif body["to"] == "running":
            running_at = event.time
        if formed_at and running_at and stepped_at:
            # A rank may step before the last of the others runs.
            return FirstStart(start=running_at - formed_at, load=max(0.0, stepped_at - running_at))
    return None


class Drilling:
    """Orders one fault of a job and follows the job from there."""

    def __init__(self, client: "Client", before: "JobView", fault: Fault, limit_s: float) -> None:
        """Take the job as it was `before`; it is followed for `limit_s` seconds."""
        self._client = client
        self._job = before.id
        self._fault = fault
        self._limit_s = limit_s
        self._known = {incident.id for incident in before.incidents}
        # A job whose steps are not seen is over it once its ranks run.
        self._steps_are_seen = sentences.step(before) >= 0
        self._step_when_over: int | None = None
        self._pause = _Pause(sentences.step(before))
        self._notices = sentences.Notices()

    def run(self) -> Outcome:
        """Order it and give what came of it. CallError if it is refused."""
        fault = self._fault
        self._client.drill(
            fault.kind,
            job=self._job,
            role=fault.role,
            gang=fault.gang,
            rank=max(0, fault.rank),
            node=fault.node,
            for_s=fault.for_s,
        )
        began_s = time.monotonic()
        order = next(self._client.events(node=fault.node, names=["drill_ordered"], limit=1))
        while True:
            view = self._client.job(self._job)
            new = tuple(each for each in view.incidents if each.id not in self._known)
            self._notices(dataclasses.replace(view, incidents=new))
            passed_s = time.monotonic() - began_s
            self._pause.look(sentences.step(view), passed_s)
            outcome = self._restarted(view, new[-1], order) if new else self._went_on(view, order, passed_s)
            if outcome is not None:
                return outcome
            if passed_s > self._limit_s:
                return self._timed_out(view, new[-1] if new else None, order)
            time.sleep(_LOOK_S)  # steps are no events: they are looked for

    def _restarted(self, view: "JobView", incident: "IncidentView", order: "EventView") -> Outcome | None:
        """Tell of a job that had an incident, once that is over."""
        phases, measured = incident.phases, _measured(incident, order)
        if incident.step >= 0:
            said = f"job {view.id} made its first step after the fault {measured['total']:.2f} s after the order"
        elif phases.start is not None and (not self._steps_are_seen or view.state == "succeeded"):
            said = f"the ranks of job {view.id} run again; no step of it was seen"
        elif view.state in sentences.FINAL_STATES:
            return Outcome(
                name="failed",
                sentence=sentences.ending(view),
                code=endings.of_job(view),
                measured=measured,
                incident=incident,
            )
        else:
            return None
        return Outcome(name="restarted", sentence=said, measured=measured, incident=incident)

    def _went_on(self, view: "JobView", order: "EventView", passed_s: float) -> Outcome | None:
        """Tell of a job without an incident: that it ended, or that it has made a step since the fault was over."""
        if view.state in ("failed", "cancelled"):
            return Outcome(name="failed", sentence=sentences.ending(view), code=endings.of_job(view))
        if view.state == "succeeded":
            said = f"job {view.id} succeeded before anything of the fault was seen"
            return Outcome(name="timed_out", sentence=said, code=Exit.TIMED_OUT)
        fault = self._fault
        if fault.kind is DrillKind.KILL_RANK or passed_s < fault.for_s:
            return None
        back_s = None if fault.kind in OF_RANKS else self._back_s(order)
        if fault.kind not in OF_RANKS and back_s is None:
            return None
        measured = {"total": passed_s}
        if back_s is not None:
            measured[AGENT_BACK] = back_s
        if fault.kind in LASTING and self._steps_are_seen:
            measured[PAUSE] = self._pause.longest_s
        if not self._steps_are_seen:
            said = f"job {view.id} runs on; no step of it was seen"
            return Outcome(name="went_on", sentence=said, measured=measured)
        if self._step_when_over is None:
            self._step_when_over = sentences.step(view)
        if sentences.step(view) <= self._step_when_over:
            return None
        said = f"job {view.id} went on without a restart, and made a step {passed_s:.2f} s after the order"
        return Outcome(name="went_on", sentence=said, measured=measured)

    def _back_s(self, order: "EventView") -> float | None:
        """Tell when the node's agent said hello anew, which is what ends the drills of a node."""
        ended = self._client.events(after=order.position, node=self._fault.node, names=["drills_ended"])
        return next((event.time - order.time for event in ended), None)

    def _timed_out(self, view: "JobView", incident: "IncidentView | None", order: "EventView") -> Outcome:
        what = "nothing of the fault was seen" if incident is None else "it made no step after the fault"
        said = f"job {view.id} was followed for {self._limit_s:.0f} s, and {what}: it is {view.state}, as {view.reason}"
        measured = _measured(incident, order) if incident is not None else {}
        return Outcome(name="timed_out", sentence=said, code=Exit.TIMED_OUT, measured=measured, incident=incident)


class _Pause:
    """The longest time in which no step was seen. Times are seconds since the order."""

    def __init__(self, step: int) -> None:
        self.longest_s = 0.0
        self._step = step
        self._since_s = 0.0

    def look(self, step: int, now_s: float) -> None:
        """Take the step that is seen now."""
        self.longest_s = max(self.longest_s, now_s - self._since_s)
        if step != self._step:
            self._step, self._since_s = step, now_s


def _measured(incident: "IncidentView", order: "EventView") -> dict[str, float]:
    """Give an incident's phases that were reached, and before them how long the fault was not noticed."""
    # The last that was heard of a lost node is its first sign, and may be from just before the order.
    noticed, early = max(0.0, incident.began_at - order.time), max(0.0, order.time - incident.began_at)
    spans = {name: getattr(incident.phases, name) for name in sentences.RECOVERY}
    reached = {name: span for name, span in spans.items() if span is not None}
    reached["detect"] = max(0.0, reached.get("detect", 0.0) - early)
    if incident.step >= 0 or not incident.open:
        reached["total"] = noticed + sentences.recovery_s(incident.phases) - early
    return {NOTICED: noticed, **reached}
