"""What is true of the state after every turn, whatever came in: each promise is one small function.

A promise looks at one node, gang or job (or at the whole state), and says what breaks it; nothing said means that
it holds. Must not change anything. `check` is for tests and the simulator; `check_touched` costs what a turn
touched, for production.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from typing import Any

from dlroverd.core.passes import outages, queue
from dlroverd.core.promises_of_saves import commits_go_forward, nobody_saves_for_no_stop
from dlroverd.core.records import GangRecord, JobIncident, JobRecord, NodeRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeState
from dlroverd.model.phases import phases

Broken = Iterator[str]

_DEFAULT = Limits()

_NOT_BEGUN = frozenset({RankState.ASSIGNED, RankState.STARTING})
_HOMELESS = frozenset({GangState.WAITING, GangState.STOPPED})
_DERIVED = (
    "tally",
    "left",
    "unchecked",
    "unfit",
    "node_gangs",
    "gang_spares",
    "node_tombstones",
    "gang_tombstones",
    "job_gangs",
    "waiting",
    "placing",
    "preempting",
    "unfinished",
    "used",
    "job_slots",
    "slots_of",
    "jobs_of",
    "sizes",
    "asked",
    "in_domain",
    "saves_at",
    "usable",
    "silent",
    "held",
)


def check(state: State, limits: Limits = _DEFAULT) -> list[str]:
    """Say which promises are broken, each as `name: what breaks it`."""
    broken = _look(_NODE, state, (state.nodes[key] for key in sorted(state.nodes)))
    broken += _look((*_GANG, *_NODES, *_WORLD), state, (state.gangs[key] for key in sorted(state.gangs)))
    broken += _look(_JOB, state, (state.jobs[key] for key in sorted(state.jobs)))
    broken += _look(_INCIDENT, state, sorted(state.incidents))
    return broken + [f"{promise.__name__}: {what}" for promise in _WHOLE for what in promise(state, limits)]


def check_touched(state: State, events: Sequence[ev.Event]) -> list[str]:
    """Say which promises about what `events` touched are broken.

    A gang's nodes are looked at one by one when it moved as a whole, its ranks in new worlds only: what one node says
    of its own ranks costs the same in a world of any size.
    """
    nodes: set[str] = set()
    gangs: set[GangKey] = set()
    moved: set[GangKey] = set()
    jobs: set[int] = set()
    formed: set[GangKey] = set()
    incidents: set[JobIncident] = set()
    for event in events:
        if isinstance(event, ev.WorldFormed):
            formed.add(event.round.gang_key)
            nodes.update(grant.node for grant in event.grants)
        if (node := getattr(event, "node", None)) is not None:
            nodes.add(node)
        named = set(_gangs_named(event))
        gangs |= named
        if not isinstance(event, ev.RanksSeen | ev.TombstoneCleared):
            moved |= named
        if (job := getattr(event, "job", None)) is not None:
            jobs.add(job)
            incidents.update((job, number) for number in _incidents_named(event))
    jobs.update(key.job for key in moved)
    broken = _look(_NODE, state, (state.nodes[key] for key in sorted(nodes & state.nodes.keys())))
    broken += _look(_GANG, state, (state.gangs[key] for key in sorted(gangs & state.gangs.keys())))
    broken += _look(_NODES, state, (state.gangs[key] for key in sorted(moved & state.gangs.keys())))
    broken += _look(_WORLD, state, (state.gangs[key] for key in sorted(formed & state.gangs.keys())))
    broken += _look(_INCIDENT, state, sorted(incidents & state.incidents.keys()))
    return broken + _look(_JOB, state, (state.jobs[key] for key in sorted(jobs & state.jobs.keys())))


def _gangs_named(event: ev.Event) -> Iterator[GangKey]:
    match event:
        case (
            ev.GangMoved()
            | ev.GangReleased()
            | ev.GangStopOverdue()
            | ev.TombstoneCleared()
            | ev.SparesKept()
            | ev.RoomSeen()
        ):
            yield event.gang
        case ev.WorldFormed() | ev.WorldCleared() | ev.RanksAdopted() | ev.StepSeen():
            yield event.round.gang_key
        case ev.CheckpointSeen() | ev.CheckpointCommitted() | ev.SaveAsked():
            yield event.round.gang_key
        case ev.GangStopping() | ev.StaleRanksSeen():
            yield event.tombstone.round.gang_key
        case ev.RanksSeen():
            yield from {seen.key.gang_key for seen in event.ranks}
        case _:
            return


def _incidents_named(event: ev.Event) -> Iterator[int]:
    match event:
        case ev.IncidentOpened():
            yield from (event.incident.id - 1, event.incident.id)
        case ev.IncidentAttributed() | ev.IncidentPhaseReached() | ev.IncidentClosed():
            yield event.incident
        case _:
            return


def _look(promises: Sequence[Callable[[State, Any], Broken]], state: State, records: Iterable[Any]) -> list[str]:
    return [f"{each.__name__}: {what}" for record in records for each in promises for what in each(state, record)]


# ---- nodes


def node_holds_no_more_than_it_has(state: State, node: NodeRecord) -> Broken:
    """The slots granted on a node are at most those that it has."""
    if state.used[node.id] > node.facts.slots:
        yield f"node {node.id} has {node.facts.slots} slots, and {state.used[node.id]} are granted"


def device_is_granted_once(state: State, node: NodeRecord) -> Broken:
    """No device is granted to two gangs, or twice to one."""
    granted = Counter(
        device for key in state.node_gangs.get(node.id, ()) for device in state.grants[node.id, key].devices
    )
    for device, count in sorted(granted.items()):
        if count > 1:
            yield f"device {device} of node {node.id} is granted {count} times"


def silence_has_a_deadline(_state: State, node: NodeRecord) -> Broken:
    """An unreachable node becomes lost at some time; a node that is well waits for nothing."""
    if (node.state is NodeState.UNREACHABLE) != bool(node.deadline):
        yield f"node {node.id} is {node.state} with deadline {node.deadline}"


def held_node_takes_nothing(state: State, node: NodeRecord) -> Broken:
    """A node that somebody holds has no free slots, and no owner holds it twice in one way."""
    if node.holds and state.free.free(node.id) is not None:
        yield f"node {node.id} is held, and has {state.free.free(node.id)} slots free"
    if len({(hold.owner, hold.kind) for hold in node.holds}) != len(node.holds):
        yield f"node {node.id} is held twice in one way"


# ---- gangs


def live_world_holds_its_nodes(state: State, gang: GangRecord) -> Broken:
    """Every node of a live world is granted to it, none is given back, and their slots add up to its size."""
    if gang.state not in LIVE_GANG:
        return
    grants = [state.grants.get((node, gang.key)) for node in gang.nodes]
    held = [grant for grant in grants if grant is not None and not grant.released]
    slots = sum(grant.slots for grant in held)
    if (
        len(held) != len(gang.nodes)
        or slots > gang.world_size
        or (slots < gang.world_size and not _adopted(state, gang))
    ):
        yield f"world {gang.key}@{gang.round} of {gang.world_size} ranks holds {slots} slots on {len(held)} nodes"


def stop_spares_live_worlds(state: State, gang: GangRecord) -> Broken:
    """A tombstone never covers the round of a live world."""
    if gang.state not in LIVE_GANG:
        return
    for node in gang.nodes:
        record = state.tombstones.get((node, gang.key))
        if record is not None and record.tombstone.round.round >= gang.round:
            yield f"world {gang.key}@{gang.round} runs, and {node} is to stop round {record.tombstone.round.round}"


def gang_agrees_with_its_ranks(state: State, gang: GangRecord) -> Broken:
    """A gang that waits has no rank, one that runs none still to begin, one that succeeded none that is not gone."""
    tally = state.tally.get(gang.key, Counter())
    wrong = {
        GangState.WAITING: bool(tally),
        GangState.RUNNING: any(tally.get(each) for each in _NOT_BEGUN),
        GangState.SUCCEEDED: set(tally) != {RankState.GONE},
    }.get(gang.state, False)
    if wrong:
        yield f"gang {gang.key} is {gang.state} with ranks {dict(sorted(tally.items()))}"


def gang_has_a_deadline(_state: State, gang: GangRecord) -> Broken:
    """A gang that starts or stops does so by some time."""
    if gang.state in (GangState.STARTING, GangState.STOPPING) and not gang.deadline:
        yield f"gang {gang.key} is {gang.state} without a deadline"


def rank_sits_where_it_is_granted(state: State, gang: GangRecord) -> Broken:
    """Each rank of a live world is on the node whose grant has its number."""
    if gang.state not in LIVE_GANG:
        return
    grants = {node: state.grants.get((node, gang.key)) for node in gang.nodes}
    for rank in state.world(gang):
        grant = grants.get(rank.node)
        if grant is None or grant.released or rank.key.rank != grant.first_rank + rank.local_rank:
            yield f"rank {rank.key} is on {rank.node}, which is not granted to it"


def rank_key_has_one_life(state: State, gang: GangRecord) -> Broken:
    """Only the current world's ranks are known: those of older rounds can not come back."""
    known = sum(state.tally.get(gang.key, Counter()).values())
    current = sum(1 for _ in state.world(gang))
    if known != current or (gang.round and current != gang.world_size and not _adopted(state, gang)):
        yield f"gang {gang.key} has {known} ranks, {current} of its round {gang.round} of {gang.world_size}"


def stop_is_ordered(state: State, gang: GangRecord) -> Broken:
    """What is left of a stopping world is on nodes that have been told to stop it."""
    if gang.state is not GangState.STOPPING:
        return
    for rank in state.world(gang):
        record = state.tombstones.get((rank.node, gang.key))
        if rank.state is not RankState.GONE and (record is None or record.tombstone.round.round < gang.round):
            yield f"rank {rank.key} is to stop, and {rank.node} has not been told"


def _adopted(state: State, gang: GangRecord) -> bool:
    """Whether parts of the gang may be on nodes that are not adopted yet."""
    job = state.jobs[gang.key.job]
    return job.request_id.startswith("adopted:") or job.restored is not None


# ---- jobs


def job_has_a_deadline(_state: State, job: JobRecord) -> Broken:
    """No job waits, runs or is kept for ever without being looked at again."""
    if not job.deadline:
        yield f"job {job.id} is {job.state} without a deadline"


def job_agrees_with_its_gangs(state: State, job: JobRecord) -> Broken:
    """A job's state says the same as its gangs' states."""
    gangs = {gang.state for gang in state.gangs_of(job.id)}
    queued = bool(gangs & _HOMELESS) and GangState.STOPPING not in gangs
    holds = {
        JobState.QUEUED: queued,
        JobState.PLACING: queued,
        JobState.STARTING: gangs <= {*LIVE_GANG, GangState.SUCCEEDED} and GangState.STARTING in gangs,
        JobState.RUNNING: gangs <= {GangState.RUNNING, GangState.SUCCEEDED} and GangState.RUNNING in gangs,
        JobState.RESTARTING: GangState.STOPPING in gangs or (_waits(state, job) and GangState.STOPPED in gangs),
        JobState.STOPPING: GangState.STOPPING in gangs and not gangs & LIVE_GANG,
        JobState.SUCCEEDED: gangs <= {GangState.SUCCEEDED},
    }.get(job.state, gangs <= {*_HOMELESS, GangState.SUCCEEDED})
    if not holds:
        yield f"job {job.id} is {job.state} and its gangs are {', '.join(sorted(gangs))}"


def _waits(state: State, job: JobRecord) -> bool:
    """Whether a job has stopped and is not to start yet."""
    return bool(job.not_before) or bool(outages.unsettled(state, state.gangs_of(job.id)))


def what_does_not_run_holds_nothing(state: State, job: JobRecord) -> Broken:
    """A job that waits for nodes or has ended has given back what its gangs do not run on."""
    if not (job.state.final or job.state in (JobState.QUEUED, JobState.PLACING, JobState.SUSPENDED)):
        return
    for gang in state.gangs_of(job.id):
        grants = [state.grants.get((node, gang.key)) for node in gang.nodes]
        held = any(grant is not None and not grant.released for grant in grants) or gang.key in state.gang_spares
        if gang.state not in LIVE_GANG and held:
            yield f"job {job.id} is {job.state}, and its gang {gang.key} ({gang.state}) still holds nodes"


def time_is_accounted_for(state: State, job: JobRecord) -> Broken:
    """A job's time since it was submitted is in its ledger, each moment once; it ends with the job."""
    ledger = state.ledgers.get(job.id)
    if ledger is None:
        return
    parts_us, whole_us = sum(astuple(ledger.time_us)), round((ledger.since - job.submitted_at) * 1e6)
    if parts_us != whole_us or min(astuple(ledger.time_us)) < 0 or (ledger.category is None) != job.state.final:
        yield f"job {job.id} is {job.state} as {ledger.category}, and of {whole_us} us its ledger has {ledger.time_us}"


# ---- incidents


def incident_goes_forward(state: State, key: JobIncident) -> Broken:
    """The times of an incident's phases rise, only the newest of a job is open, and no time belongs to two."""
    incident, job = state.incidents[key], state.jobs[key[0]]
    before = state.incidents.get((job.id, incident.id - 1))
    if incident.began_at < (before.closed_at if before is not None else job.submitted_at):
        yield f"incident {incident.id} of job {job.id} began at {incident.began_at}, before it could"
    marks = ("began", "detected", "stopped", "decided", "placed", "started", "stepped", "caught_up", "closed")
    times = [at for mark in marks if (at := getattr(incident, f"{mark}_at"))]
    if times != sorted(times):
        yield f"incident {incident.id} of job {job.id} has times {times}"
    if not incident.closed_at and incident.id != job.next_incident - 1:
        yield f"incident {incident.id} of job {job.id} is open beside a newer one"


def phases_add_up(state: State, key: JobIncident) -> Broken:
    """The phases of an incident that is over are all of its time, to the microsecond."""
    incident = state.incidents[key]
    parts_us = sum(span_us for _, span_us in phases(incident))
    whole_us = round((incident.closed_at - incident.began_at) * 1e6)
    if incident.closed_at and parts_us != whole_us:
        yield f"incident {incident.id} of job {key[0]} took {whole_us} us, and its phases {parts_us}"


# ---- the whole


def head_of_the_queue_is_asked_about(state: State, limits: Limits) -> Broken:
    """One question at a time; the first job that waits is asked about whenever room appeared."""
    if len(state.placing) > 1:
        yield f"jobs {sorted(state.placing)} are placed at once"
    if state.waiting and not state.placing:
        head = next(queue.eligible(state, limits), None)
        if head is not None and head.asked_capacity < state.m.capacity:
            yield f"job {head.id} waits, and room that appeared since was not offered to it"


def names_lead_somewhere(state: State, _limits: Limits) -> Broken:
    """Whatever names a gang, node or job names one that is known, and numbers are never given twice."""
    for node, gang in (*state.grants, *state.tombstones, *state.spares):
        if node not in state.nodes or gang not in state.gangs:
            yield f"something of {gang} is kept for {node}, which is not known"
    for request, job in state.requests.items():
        if job not in state.jobs:
            yield f"request {request} names job {job}, which is not known"
    if state.m.next_job <= max(state.jobs, default=0):
        yield f"the next job would be {state.m.next_job}, which was given already"


def indexes_are_what_the_tables_say(state: State, _limits: Limits) -> Broken:
    """Whatever is derived equals what the tables give anew."""
    fresh = State(state.log_id)
    for name in State.TABLES:
        for key, record in getattr(state, name).items():
            fresh.put(getattr(fresh, name), key, record)
    for name in _DERIVED:
        if getattr(state, name) != getattr(fresh, name):
            yield f"{name} differs"
    for node in state.nodes:
        if state.free.free(node) != fresh.free.free(node):
            yield f"{node} has {fresh.free.free(node)} slots free, and the index says {state.free.free(node)}"
        if state.free.traits(node) != fresh.free.traits(node):
            yield f"{node} is {fresh.free.traits(node)}, and the index says {state.free.traits(node)}"
    if state.next_deadline() != fresh.next_deadline():
        yield f"the next deadline is {fresh.next_deadline()}, and the heap says {state.next_deadline()}"


_NODE = (
    node_holds_no_more_than_it_has,
    device_is_granted_once,
    silence_has_a_deadline,
    held_node_takes_nothing,
)
_GANG = (gang_agrees_with_its_ranks, gang_has_a_deadline)
_NODES = (live_world_holds_its_nodes, stop_spares_live_worlds)
_WORLD = (rank_sits_where_it_is_granted, rank_key_has_one_life, stop_is_ordered)
_JOB = (
    job_has_a_deadline,
    job_agrees_with_its_gangs,
    what_does_not_run_holds_nothing,
    nobody_saves_for_no_stop,
    time_is_accounted_for,
    commits_go_forward,
)
_INCIDENT = (incident_goes_forward, phases_add_up)
_WHOLE = (head_of_the_queue_is_asked_about, names_lead_somewhere, indexes_are_what_the_tables_say)
