"""Whatever comes in, in whatever order: the core takes it, keeps its promises, and its log gives the same state."""

from itertools import product
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dlroverd.core import invariants, transitions
from dlroverd.core.apply import apply, begin_turn
from dlroverd.core.desired import desired
from dlroverd.core.handle import Decision, handle
from dlroverd.core.passes import preempt, requests
from dlroverd.core.records import GangRecord, JobRecord, NodeRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.core.transitions import IllegalTransitionError
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.fault import ErrorReport, ExitInfo
from dlroverd.model.hold import AUTOMATION, DrainMode, HoldKind
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import (
    FailureRule,
    FailureVerdict,
    GangState,
    GrowWhen,
    JobSpec,
    JobState,
    RankState,
    RoleSpec,
    User,
)
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeDomains, NodeFacts, NodeState
from dlroverd.model.placement import GangPlacement, NoFit, Placement, Preempt
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.world import Held, Observed, Progress, RankObservation, Tombstone
from dlroverd.runtime import codec

NODES = ("n1", "n2", "n3")
LIMITS = Limits()
FACTS = NodeFacts(hostname="h", address="h", cpus=2, memory_bytes=1, slots=2, keeps_leases=True)

small = st.integers(0, 3)
nodes = st.sampled_from(NODES)
exits = st.builds(
    ExitInfo,
    exited_at=st.floats(0, 2000),
    step=st.integers(-1, 9),
    code=st.sampled_from((None, 0, 1)),
    requested=st.booleans(),
    launch_error=st.sampled_from(("", "", "port_taken", "no such file")),
    error=st.none()
    | st.builds(
        ErrorReport,
        source=st.just("traceback"),
        type=st.sampled_from(("ValueError", "SyntaxError", "RuntimeError")),
        message=st.sampled_from(
            ("Connection closed by peer", "x", "No space left on device", "uncorrectable ECC error")
        ),
    ),
)
roles = st.builds(
    RoleSpec,
    name=st.sampled_from(("trainer", "eval")),
    argv=st.just(("/bin/true",)),
    cwd=st.just("/"),
    gangs=st.integers(1, 2),
    nodes_min=st.integers(1, 2),
    nodes_max=st.integers(2, 3),
    nproc_per_node=st.integers(1, 2),
    spares=st.integers(0, 1),
    restart_with=st.sampled_from((("*",), (), ("eval",))),
    lease_s=st.sampled_from((0.0, 30.0)),
)
specs = st.builds(
    JobSpec,
    name=st.just("a"),
    user=st.just(User(uid=1, gid=1, name="ann")),
    roles=st.lists(roles, min_size=1, max_size=2, unique_by=lambda role: role.name).map(tuple),
    max_restarts=small,
    queue_timeout_s=st.sampled_from((50.0, 86400.0)),
    time_limit_s=st.sampled_from((0.0, 100.0)),
    grow=st.sampled_from(GrowWhen),
    replace_wait_s=st.sampled_from((0.0, 60.0)),
    on_failure=st.lists(
        st.builds(FailureRule, verdict=st.sampled_from(FailureVerdict), kinds=st.just(("exit_code",))), max_size=1
    ).map(tuple),
    no_progress_restarts=st.integers(0, 2),
)


def dump(state: State) -> str:
    return codec.encode_tables(codec.tables_of(state))


class CoreMachine(RuleBasedStateMachine):
    """Inputs that make sense and inputs that do not, and after each the promises and the log."""

    limits = LIMITS

    def __init__(self) -> None:
        super().__init__()
        self.state = State("log")
        self.replayed = State("log")
        self.now = 1000.0
        self.requests = 0

    def give(self, *inputs: inp.Input) -> Decision:
        before = dump(self.state)
        decision = handle(self.state, inputs, self.now, self.limits)
        if decision.events:
            begin_turn(self.replayed, decision.position, decision.now)
            for event in codec.EVENTS.decode(codec.EVENTS.encode(decision.events)):
                apply(self.replayed, event)
        else:
            assert dump(self.state) == before
        return decision

    def request(self) -> str:
        self.requests += 1
        return f"r{self.requests}"

    def observed(self, node: str, data: st.DataObject) -> Observed:
        """Draw a report: mostly of ranks that the node has, some of older worlds and unknown jobs."""
        own = [rank.key for rank in self.state.ranks.values() if rank.node == node]
        other = [key.at(each.round - 1).rank(0) for key, each in self.state.gangs.items()] + [
            RankKey(9, "trainer", 0, 1, 0)
        ]
        keys = sorted({*own, *data.draw(st.lists(st.sampled_from(sorted(set(other))), max_size=2))})
        listed = [key for key in keys if data.draw(st.integers(0, 9))]
        ranks = []
        for key in listed:
            state = data.draw(st.sampled_from(RankState))
            ended = state in (RankState.EXITED, RankState.GONE)
            ranks.append(RankObservation(key=key, state=state, pid=7, exit=data.draw(exits) if ended else None))
        return Observed(version=1, position=data.draw(st.integers(0, self.state.m.position)), ranks=tuple(ranks))

    @initialize()
    def begin(self) -> None:
        for node in NODES[:2]:
            self.give(self.hello_of(node, "b1", "", 0, Observed(version=1)))

    @staticmethod
    def hello_of(node: str, boot: str, log_id: str, position: int, observed: Observed) -> inp.NodeHello:
        return inp.NodeHello(
            node=node, boot_id=boot, facts=FACTS, log_id=log_id, position=position, observed=observed, held=Held()
        )

    @rule(
        node=nodes,
        boot=st.sampled_from(("b1", "b1", "b2")),
        log=st.sampled_from(("", "log", "log", "old")),
        data=st.data(),
    )
    def hello(self, node: str, boot: str, log: str, data: st.DataObject) -> None:
        observed = self.observed(node, data)
        item = self.hello_of(node, boot, log, observed.position, observed)
        first = self.give(item)
        assert self.give(item).events == (), f"a doubled hello changed something more than {first.events}"

    @rule(node=nodes, data=st.data())
    def report(self, node: str, data: st.DataObject) -> None:
        item = inp.NodeReport(node=node, observed=self.observed(node, data))
        first = self.give(item)
        assert self.give(item).events == (), f"a doubled report changed something more than {first.events}"

    @rule(node=nodes, round_=small, rank=small, state=st.sampled_from(RankState))
    def nonsense(self, node: str, round_: int, rank: int, state: RankState) -> None:
        """A node names ranks that others have, or worlds that are not there yet."""
        ranks = tuple(
            RankObservation(key=key.at(round_).rank(rank), state=state, exit=ExitInfo(exited_at=1.0, code=1))
            for key in sorted(self.state.gangs)
        )
        self.give(inp.NodeReport(node=node, observed=Observed(version=1, position=self.state.m.position, ranks=ranks)))

    @rule()
    def all_go_on(self) -> None:
        """Every rank is seen one state further, so that worlds come up, end and stop."""
        order = list(RankState)
        for node in NODES:
            ranks = []
            for rank in sorted(self.state.ranks.values(), key=lambda rank: rank.key):
                gang = self.state.gangs[rank.key.gang_key]
                if rank.node == node:
                    stopping = gang.state is GangState.STOPPING
                    state = RankState.GONE if stopping else order[min(order.index(rank.state) + 1, 4)]
                    exit_ = ExitInfo(exited_at=self.now, code=0, requested=stopping)
                    ended = state in (RankState.EXITED, RankState.GONE)
                    ranks.append(RankObservation(key=rank.key, state=state, pid=7, exit=exit_ if ended else None))
            observed = Observed(version=2, position=self.state.m.position, ranks=tuple(ranks))
            self.give(inp.NodeReport(node=node, observed=observed))

    @rule(node=nodes)
    def silent(self, node: str) -> None:
        self.give(inp.NodeSilent(node=node))

    @rule(node=nodes, silent_s=st.sampled_from((1.0, 35.0)))
    def still_silent(self, node: str, silent_s: float) -> None:
        self.give(inp.StillSilent(node=node, silent_s=silent_s))

    @rule(spec=specs)
    def submit(self, spec: JobSpec) -> None:
        item = inp.Submit(request_id=self.request(), spec=spec)
        first = self.give(item).outcomes
        again = self.give(item)
        assert not again.events or "refused" in str(first).lower()

    @rule(job=st.integers(1, 4))
    def cancel(self, job: int) -> None:
        self.give(inp.Cancel(request_id=self.request(), job=job, actor="ann"))

    @rule(job=st.integers(1, 4))
    def restart(self, job: int) -> None:
        self.give(inp.Restart(request_id=self.request(), job=job, actor="ann"))

    @rule(job=st.integers(1, 4), within_s=st.sampled_from((0.0, 30.0)))
    def suspend(self, job: int, within_s: float) -> None:
        self.give(inp.Suspend(request_id=self.request(), job=job, actor="ann", within_s=within_s))

    @rule(job=st.integers(1, 4))
    def resume(self, job: int) -> None:
        self.give(inp.Resume(request_id=self.request(), job=job, actor="ann"))

    @rule(
        job=st.integers(1, 4),
        role=st.sampled_from(("", "trainer", "eval")),
        low=small,
        high=small,
        within_s=st.sampled_from((0.0, 30.0)),
    )
    def scale(self, job: int, role: str, low: int, high: int, within_s: float) -> None:
        item = inp.Scale(
            request_id=self.request(),
            job=job,
            actor="ann",
            role=role,
            nodes_min=low,
            nodes_max=high,
            within_s=within_s,
        )
        self.give(item)

    @rule(data=st.data(), step=st.integers(0, 9))
    def checkpoint(self, data: st.DataObject, step: int) -> None:
        """Mostly of the current world of a gang that is known."""
        key = data.draw(st.sampled_from([*sorted(self.state.gangs), GangKey(9, "trainer", 0)]))
        gang = self.state.gangs.get(key)
        round_ = data.draw(st.sampled_from((gang.round, gang.round, max(0, gang.round - 1)))) if gang else 1
        progress = Progress(round=key.at(round_), step=step, at=self.now, checkpoint=step)
        self.give(inp.GangCheckpointed(progress=progress))

    @rule(data=st.data(), step=st.integers(0, 9), pace=st.sampled_from((0.0, 0.1, 50.0)), asks=st.booleans())
    def paced(self, data: st.DataObject, step: int, pace: float, asks: bool) -> None:
        key = data.draw(st.sampled_from([*sorted(self.state.gangs), GangKey(9, "trainer", 0)]))
        gang = self.state.gangs.get(key)
        progress = Progress(round=key.at(gang.round if gang else 1), step=step, at=self.now, asks=asks)
        self.give(inp.GangPaced(progress=progress, steps_per_s=pace))

    @rule(data=st.data(), round_=small, step=st.integers(0, 9), ago_s=st.sampled_from((0.0, 0.3, 500.0)))
    def step(self, data: st.DataObject, round_: int, step: int, ago_s: float) -> None:
        key = data.draw(st.sampled_from([*sorted(self.state.gangs), GangKey(9, "trainer", 0)]))
        current = self.state.gangs[key].round if key in self.state.gangs and data.draw(st.booleans()) else round_
        self.give(inp.GangStepped(progress=Progress(round=key.at(current), step=step, at=self.now - ago_s)))

    @rule(switch=st.sets(nodes), pdu=st.sets(nodes))
    def topology(self, switch: set[str], pdu: set[str]) -> None:
        shared = {node: tuple(d for d, of in (("pdu", pdu), ("switch", switch)) if node in of) for node in NODES}
        domains = tuple(NodeDomains(node=n, domains=tuple((d, "x") for d in ds)) for n, ds in shared.items())
        self.give(inp.TopologySet(pack_by=(), nodes=domains))

    @rule(
        kind=st.sampled_from(("good", "good", "good", "full", "wrong", "late", "broken")),
        chosen=st.lists(nodes, max_size=3),
    )
    def answer(self, kind: str, chosen: list[str]) -> None:
        for job in sorted(self.state.placing):
            question = self.state.jobs[job].question
            given: Placement | NoFit | Preempt | None = place_or_preempt(
                self.state.free,
                requests.request(self.state, job, LIMITS),
                preempt.candidates(self.state, LIMITS, self.state.jobs[job]),
            )
            if kind == "full":
                given = NoFit(reason="not now")
            elif kind == "wrong":
                given = Placement(gangs=(GangPlacement(role="trainer", gang=0, nodes=tuple(chosen)),))
            failure = "it raised" if kind == "broken" else ""
            late = question - 1 if kind == "late" else question
            self.give(inp.PlacementAnswered(job=job, question=late, answer=given, failure=failure))

    @rule(node=nodes)
    def adopt(self, node: str) -> None:
        self.give(inp.AdoptNode(node=node, actor="ann"))

    @rule(
        named=st.sets(nodes, min_size=1),
        kind=st.sampled_from(HoldKind),
        mode=st.sampled_from(DrainMode),
        within=st.sampled_from((0.0, 60.0)),
        reboot=st.booleans(),
    )
    def hold(self, named: set[str], kind: HoldKind, mode: DrainMode, within: float, reboot: bool) -> None:
        item = inp.HoldNodes(
            request_id=self.request(),
            nodes=tuple(sorted(named)),
            kind=kind,
            owner="ann",
            actor="ann",
            reason="r",
            mode=mode,
            deadline_s=within,
            reboot=reboot,
            until_checked=reboot,
        )
        self.give(item)
        assert self.give(item).events == (), "the same request again"

    @rule(named=st.sets(nodes, min_size=1), owner=st.sampled_from(("ann", AUTOMATION)))
    def release(self, named: set[str], owner: str) -> None:
        item = inp.ReleaseNodes(request_id=self.request(), nodes=tuple(sorted(named)), owner=owner, actor="ann")
        self.give(item)

    @rule(low=st.booleans())
    def storage(self, low: bool) -> None:
        self.give(inp.StorageChanged(low=low))

    @rule(seconds=st.sampled_from((0.0, 1.0, 10.0, 61.0, 600.0, 86400.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.give(inp.Tick())

    @rule(seconds=st.sampled_from((0.0, 61.0, 10**6)), node=nodes)
    def fail_half_way(self, seconds: float, node: str) -> None:
        """An input that the core can not take, or a fault in what is due, undoes the whole turn."""
        before, due = dump(self.state), self.state.next_deadline()
        poison: Any = object()
        first = inp.Submit(request_id="poison", spec=JobSpec(name="p", user=User(uid=1, gid=1, name="p"), roles=()))
        with pytest.raises(KeyError):
            handle(self.state, (first, inp.NodeSilent(node=node), poison), self.now, LIMITS)
        assert (dump(self.state), self.state.next_deadline()) == (before, due)
        copy, broken = codec.decode_state(before, "log"), cast("Limits", None)
        try:
            handle(copy, (), self.now + seconds, broken)
        except AttributeError:
            assert (dump(copy), copy.next_deadline()) == (before, due)

    @invariant()
    def promises_hold(self) -> None:
        assert invariants.check(self.state) == []

    @invariant()
    def log_gives_the_state(self) -> None:
        assert dump(self.replayed) == dump(self.state)

    @invariant()
    def every_node_can_be_told(self) -> None:
        for node in self.state.nodes:
            wanted = desired(self.state, node)
            stops = {each.round.gang_key: each.round.round for each in wanted.tombstones}
            for each in wanted.assignments:
                assert each.round.round > stops.get(each.round.gang_key, -1), "told to run and to stop one round"


CoreMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCore = CoreMachine.TestCase


def _state(
    job: JobState = JobState.RUNNING,
    gang: GangState = GangState.RUNNING,
    rank: RankState = RankState.RUNNING,
    node: NodeState = NodeState.READY,
) -> State:
    state, key = State("log"), GangKey(1, "trainer", 0)
    role = RoleSpec(argv=("/bin/true",), cwd="/")
    spec = JobSpec(name="a", user=User(uid=1, gid=1, name="ann"), roles=(role,))
    state.put(
        state.jobs,
        1,
        JobRecord(id=1, spec=spec, state=job, reason="", submitted_at=1.0, queued_at=1.0, since=1.0, deadline=2.0),
    )
    state.put(
        state.gangs,
        key,
        GangRecord(key=key, state=gang, reason="", round=1, world_size=1, nodes=("n",), since=1.0, deadline=2.0),
    )
    of_rank = key.at(1).rank(0)
    state.put(state.ranks, of_rank, RankRecord(key=of_rank, local_rank=0, node="n", state=rank))
    state.put(
        state.nodes,
        "n",
        NodeRecord(id="n", state=node, reason="", boot_id="b", facts=FACTS, log_id="log", since=1.0, deadline=2.0),
    )
    return state


_KEY = GangKey(1, "trainer", 0)
_TABLES: tuple[tuple[str, dict[Any, Any], type[Any], Any], ...] = (
    ("job", transitions.JOB, JobState, lambda on, to: ev.JobMoved(job=1, on=on, to=to, reason="")),
    ("gang", transitions.GANG, GangState, lambda on, to: ev.GangMoved(gang=_KEY, on=on, to=to, reason="")),
    ("node", transitions.NODE, NodeState, lambda on, to: ev.NodeMoved(node="n", on=on, to=to, reason="")),
)


@pytest.mark.parametrize(("what", "table", "states", "event"), _TABLES, ids=("job", "gang", "node"))
def test_illegal_moves_raise_and_change_nothing(what: str, table: dict[Any, Any], states: Any, event: Any) -> None:
    for before, on, to in product(states, sorted({on for _, on in table} | {"nonsense"}), states):
        if table.get((before, on)) is to:
            continue
        state = _state(**{what: before})
        texts = dump(state)
        turn = Turn(state, 5.0, LIMITS)
        with pytest.raises(IllegalTransitionError):
            turn.emit(event(on, to))
        assert (dump(state), turn.events) == (texts, [])


def test_illegal_stops_and_ranks_raise_and_change_nothing() -> None:
    stop = Tombstone(round=_KEY.at(1), grace_s=0.0, evidence_s=0.0, reason="")
    for gang in GangState:
        if (gang, "stopping") not in transitions.GANG:
            state = _state(gang=gang)
            texts = dump(state)
            with pytest.raises(IllegalTransitionError):
                Turn(state, 5.0, LIMITS).emit(ev.GangStopping(nodes=("n",), tombstone=stop, deadline=9.0))
            assert dump(state) == texts
    for before, to in product(RankState, RankState):
        if to is not before and (before, to.value) not in transitions.RANK:
            state = _state(rank=before)
            texts = dump(state)
            seen = RankObservation(key=_KEY.at(1).rank(0), state=to)
            with pytest.raises(IllegalTransitionError):
                Turn(state, 5.0, LIMITS).emit(ev.RanksSeen(node="n", ranks=(seen,)))
            assert dump(state) == texts


def test_every_state_has_a_follow_up_or_is_final() -> None:
    for states in (JobState, GangState, RankState, NodeState):
        for state in states:
            waits = state not in (GangState.STOPPED, GangState.SUCCEEDED, RankState.GONE)
            final = isinstance(state, JobState) and state.final
            assert (state in transitions.FOLLOW_UPS) == (waits and not final), state
