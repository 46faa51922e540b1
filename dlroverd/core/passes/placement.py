"""Where gangs go: the scheduler is asked, its answer is held against the state of now, all or nothing.

The first job in line is asked about until it fits. An answer may place one behind it instead, or have running jobs of
lower priority make room. When a plugin is late, silent or wrong, the built-in rule decides, which does the first never.
"""

from dlroverd.core.passes import elastic, incidents, membership, outages, preempt, queue, requests
from dlroverd.core.records import JobRecord
from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobState
from dlroverd.model.packing import in_rank_order
from dlroverd.model.placement import NoFit, Placement, Preempt
from dlroverd.model.placement_check import broken_rule
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.world import NodeGrant


def ask(turn: Turn) -> None:
    """Ask about the first job in line, unless one question is open or no room appeared since the last one."""
    preempt.settle(turn)
    if not turn.state.waiting or turn.state.placing:
        return
    job = next(queue.eligible(turn.state, turn.limits), None)
    if job is not None and job.asked_capacity < turn.state.m.capacity:
        _ask(turn, job)


def _ask(turn: Turn, job: JobRecord) -> None:
    state = turn.state
    turn.emit(
        ev.PlacementAsked(
            job=job.id,
            question=state.m.next_question,
            capacity=state.m.capacity,
            gangs=tuple(gang.key for gang in requests.homeless(state, job.id)),
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


def answered(turn: Turn, item: inp.PlacementAnswered) -> Outcome:
    """Take a scheduler's answer, if the question is still open."""
    job = turn.state.jobs.get(item.job)
    if job is None or job.state is not JobState.PLACING or job.question != item.question:
        return Done()
    answer = item.answer
    wrong = item.failure or _wrong(turn, job, answer)
    if wrong or answer is None:
        overrule(turn, job, wrong)
    elif isinstance(answer, Placement) and answer.job not in (0, job.id):
        other = turn.state.jobs[answer.job]
        reason = f"job {other.id} is placed before it, as the scheduler decided"
        _no_room(turn, job, reason)
        _ask(turn, other)
        _placed(turn, turn.state.jobs[other.id], answer)
    else:
        _settle(turn, job, answer)
    return Done()


def _wrong(turn: Turn, job: JobRecord, answer: Placement | NoFit | Preempt | None) -> str:
    """Say which rule an answer breaks as of now; "" if it may be carried out."""
    state = turn.state
    if answer is None:
        return "it did not answer"
    if isinstance(answer, Preempt):
        return preempt.wrong(state, turn.limits, job, answer)
    if isinstance(answer, NoFit):
        return ""
    placed = state.jobs.get(answer.job or job.id)
    if placed is None or (placed is not job and placed.state is not JobState.QUEUED):
        return f"it places job {answer.job}, which does not wait"
    if held := queue.held_back(state, turn.limits, placed):
        return f"it places job {placed.id}: {held}"
    return broken_rule(state.free, requests.request(state, placed.id, turn.limits), answer)


def overrule(turn: Turn, job: JobRecord, wrong: str) -> None:
    """Let the built-in rule decide in place of the scheduler."""
    turn.emit(ev.PlacementRejected(job=job.id, question=job.question, reason=wrong))
    request = requests.request(turn.state, job.id, turn.limits)
    running = preempt.candidates(turn.state, turn.limits, job)
    _settle(turn, job, place_or_preempt(turn.state.free, request, running))


def _settle(turn: Turn, job: JobRecord, answer: Placement | NoFit | Preempt) -> None:
    if isinstance(answer, Placement):
        _placed(turn, job, answer)
    elif isinstance(answer, Preempt):
        _no_room(turn, job, preempt.carry_out(turn, job, answer))
    else:
        _no_room(turn, job, answer.reason)


def _no_room(turn: Turn, job: JobRecord, reason: str) -> None:
    """Back to the queue; looked at again when there is room, or when what stands in the way is over."""
    ends = [until for _, until, _ in job.avoid if until > turn.now]
    smaller_at = job.queued_at + job.spec.replace_wait_s
    gangs = requests.homeless(turn.state, job.id)
    if smaller_at > turn.now and any(requests.waits_for_its_size(turn.state, gang) for gang in gangs):
        ends.append(smaller_at)
        reason += f"; others are coming: waits up to {job.spec.replace_wait_s:g} s before it goes on with fewer"
    chance = preempt.next_chance(turn.state, turn.limits, job)
    if chance is not None:
        ends.append(chance)
    deadline = min([job.queued_at + job.spec.queue_timeout_s, *ends])
    kept = () if job.restarts else requests.pool(turn.state, turn.limits)
    spares = f"; {', '.join(kept)} kept for jobs that lost a node" if kept else ""
    avoids = spares + "".join(f"; avoids {node}: {why}" for node, until, why in job.avoid if until > turn.now)
    reason += avoids + outages.why_avoided(turn.state)
    turn.emit(ev.JobMoved(job=job.id, on="no_room", to=JobState.QUEUED, reason=reason, deadline=deadline))


def _placed(turn: Turn, job: JobRecord, answer: Placement) -> None:
    state = turn.state
    for placed in answer.gangs:
        key = GangKey(job.id, placed.role, placed.gang)
        slots = job.spec.role(placed.role).nproc_per_node
        before = state.gangs[key].nodes
        order = in_rank_order(state.free, placed.nodes, state.m.pack_by, before) if before else placed.nodes
        grants = [
            NodeGrant(node=node, slots=slots, devices=membership.pick_devices(turn.state, node, slots))
            for node in order
        ]
        membership.form(turn, key, grants, "placed")
    for placed in answer.gangs:  # only now: a spare is not to take what another gang was given
        elastic.keep_spares(turn, GangKey(job.id, placed.role, placed.gang))
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
