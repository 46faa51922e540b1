"""Where gangs go: the scheduler is asked, its answer is held against the state of now, all or nothing.

Strictly in submit order: the job at the head of the queue is asked about until it fits, and is not
overtaken. When a plugin is late, silent or wrong, the built-in rule decides.
"""

from dlroverd.core.passes import incidents, membership
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobState
from dlroverd.model.placement import GangRequest, NoFit, Placement, PlacementRequest, broken_rule, place
from dlroverd.model.world import NodeGrant


def ask(turn: Turn) -> None:
    """Ask about the head of the queue, unless one question is open or no room appeared since the last one."""
    state = turn.state
    if not state.waiting or state.placing:
        return
    job = state.jobs[state.waiting[0]]
    if job.asked_capacity >= state.m.capacity:
        return
    turn.emit(
        ev.PlacementAsked(
            job=job.id,
            question=state.m.next_question,
            capacity=state.m.capacity,
            gangs=tuple(gang.key for gang in homeless(state, job.id)),
        )
    )
    turn.emit(
        ev.JobMoved(
            job=job.id,
            on="asked",
            to=JobState.PLACING,
            reason="is being placed",
            deadline=turn.now + turn.limits.placing_s,
        )
    )


def homeless(state: State, job: int) -> list[GangRecord]:
    """The gangs of a queued job that need nodes: those that wait, and stopped ones, which gave theirs back."""
    return [gang for gang in state.gangs_of(job) if gang.state in (GangState.WAITING, GangState.STOPPED)]


def request(state: State, job: int) -> PlacementRequest:
    """Put the question about a job into the words of the scheduler interface."""
    record = state.jobs[job]
    gangs = []
    for gang in homeless(state, job):
        role = record.spec.role(gang.key.role)
        gangs.append(
            GangRequest(
                role=gang.key.role,
                gang=gang.key.gang,
                nodes_min=role.nodes_min,
                nodes_max=role.nodes_max,
                node_unit=role.node_unit,
                slots_per_node=role.nproc_per_node,
            )
        )
    avoid = tuple(node for node, until, _ in record.avoid if until > state.m.now)
    return PlacementRequest(job=job, name=record.spec.name, gangs=tuple(gangs), avoid=avoid)


def answered(turn: Turn, item: inp.PlacementAnswered) -> Outcome:
    """Take a scheduler's answer, if the question is still open."""
    job = turn.state.jobs.get(item.job)
    if job is None or job.state is not JobState.PLACING or job.question != item.question:
        return Done()
    answer = item.answer
    wrong = item.failure or ("it did not answer" if answer is None else "")
    if isinstance(answer, Placement):
        wrong = broken_rule(turn.state.free, request(turn.state, job.id), answer)
    if wrong or answer is None:
        overrule(turn, job, wrong)
    else:
        _settle(turn, job, answer)
    return Done()


def overrule(turn: Turn, job: JobRecord, wrong: str) -> None:
    """Let the built-in rule decide in place of the scheduler."""
    turn.emit(ev.PlacementRejected(job=job.id, question=job.question, reason=wrong))
    _settle(turn, job, place(turn.state.free, request(turn.state, job.id)))


def _settle(turn: Turn, job: JobRecord, answer: Placement | NoFit) -> None:
    if isinstance(answer, NoFit):
        ends = [until for _, until, _ in job.avoid if until > turn.now]
        deadline = min([job.queued_at + job.spec.queue_timeout_s, *ends])
        avoids = "".join(f"; avoids {node}: {why}" for node, until, why in job.avoid if until > turn.now)
        reason = f"{answer.reason}{avoids}"
        turn.emit(ev.JobMoved(job=job.id, on="no_room", to=JobState.QUEUED, reason=reason, deadline=deadline))
        return
    for placed in answer.gangs:
        key = GangKey(job.id, placed.role, placed.gang)
        slots = job.spec.role(placed.role).nproc_per_node
        before = {node: n for n, node in enumerate(turn.state.gangs[key].nodes)}
        order = sorted(placed.nodes, key=lambda node: before.get(node, len(before)))
        grants = [
            NodeGrant(node=node, slots=slots, devices=membership.pick_devices(turn.state, node, slots))
            for node in order
        ]
        membership.form(turn, key, grants, "placed")
    turn.emit(
        ev.JobMoved(
            job=job.id,
            on="placed",
            to=JobState.STARTING,
            reason="its ranks are being started",
            deadline=turn.now + job.spec.start_timeout_s + turn.limits.stop_margin_s,
        )
    )
    incidents.reached(turn, job.id, "placed")
