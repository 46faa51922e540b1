"""A job that another log submitted becomes this log's, from what its nodes hold of it."""

from dlroverd.core.intake import restored
from dlroverd.core.records import NodeRecord
from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model.job import JobState, RankState
from dlroverd.model.restored import Restored
from dlroverd.model.world import Assignment, NodeGrant, RankObservation, Tombstone


def take_in(turn: Turn, node: NodeRecord, actor: str) -> Outcome:
    """Adopt a node and the worlds it runs a part of; refuse if a job's number is another job's here."""
    specs = {descriptor.job: descriptor.spec for descriptor in node.held.jobs}
    orphans = frozenset(node.orphans)
    ancestor = node.log_id in turn.state.m.ancestors  # what has the same number there is the same job
    parts = [part for part in node.held.assignments if orphans & frozenset(part.ranks())]
    for part in parts:
        known = turn.state.jobs.get(part.round.job)
        if known is not None and not ancestor and known.request_id != _origin(node.log_id, part.round.job):
            return Refused(
                "job_taken",
                f"Node {node.id} runs job {part.round.job} of another log, and job {part.round.job} is "
                f"another job here. End those ranks on {node.id} by hand, then adopt it.",
            )
        if part.round.job not in specs:
            return Refused("incomplete", f"Node {node.id} runs {part.round} but holds no spec of its job.")
    turn.emit(ev.NodeAdopted(node=node.id, adopt_from=node.log_id, actor=actor))
    for part in parts:
        job = part.round.job
        known = turn.state.jobs.get(job)
        if known is not None and known.restored is Restored.UNCONFIRMED and known.state is JobState.SUSPENDED:
            restored.found(turn, job, node.id)
        elif known is None:
            turn.emit(
                ev.JobAdopted(
                    job=job,
                    request_id=_origin(node.log_id, job),
                    spec=specs[job],
                    reason=f"adopted by {actor} from node {node.id}",
                    deadline=turn.now + turn.limits.review_s,
                )
            )
        _take_part(turn, node.id, part)
    return Done()


def _origin(log_id: str, job: int) -> str:
    return f"adopted:{log_id}:{job}"


def _take_part(turn: Turn, node: str, part: Assignment) -> None:
    job, gang = turn.state.jobs[part.round.job], turn.state.gangs.get(part.round.gang_key)
    newer = gang is not None and job.restored is Restored.FOUND and part.round.round > gang.round
    if job.state is not JobState.RUNNING or (gang is not None and gang.round != part.round.round and not newer):
        return  # its world is over by now: the node's next report has it buried
    if gang is not None and newer:
        for other in gang.nodes:
            over = Tombstone(
                round=gang.key.at(gang.round), grace_s=0.0, evidence_s=0.0, reason=f"{node} runs a newer world of it"
            )
            turn.emit(ev.StaleRanksSeen(node=other, tombstone=over))
    turn.emit(
        ev.RanksAdopted(
            round=part.round,
            node=node,
            grant=NodeGrant(node=node, slots=part.nproc, devices=part.devices),
            first_rank=part.first_rank,
            group_rank=part.group_rank,
            world_size=part.world_size,
            restart_count=part.restart_count,
            master_addr=part.master_addr,
            master_port=part.master_port,
            ranks=tuple(RankObservation(key=key, state=RankState.RUNNING) for key in part.ranks()),
        )
    )
    turn.touch(part.round.gang_key)
