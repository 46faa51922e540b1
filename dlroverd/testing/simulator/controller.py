"""The daemon: the real core, with the runtime's part played in virtual time and in the runtime's order.

Inputs wait in an inbox; a turn is handled, written, synced, and only then let out. It may be killed between any
two of these, and comes back from its snapshot and log, or from its log alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from dlroverd.core.desired import desired
from dlroverd.core.handle import Decision, handle
from dlroverd.core.passes import preempt, requests
from dlroverd.core.state import State
from dlroverd.core.turn import Outcome
from dlroverd.model import input as inp
from dlroverd.model.event import Event
from dlroverd.model.job import JobState
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeState
from dlroverd.model.placement import GangPlacement, NoFit, Placement, Preempt
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.world import Desired, Observed, Progress
from dlroverd.testing.simulator.checks import Checks, Violation
from dlroverd.testing.simulator.disk import Disk, Record
from dlroverd.testing.simulator.host import Host
from dlroverd.testing.simulator.network import Network
from dlroverd.testing.simulator.schedule import Schedule

LOG_ID = "5e1f"
_RESEND_S = 3.0
_CRASH_IN_TURN = 0.0002
_REACHABLE = (NodeState.READY, NodeState.FOREIGN)

Settle = Callable[[Outcome], None]


@dataclass(slots=True)
class _Session:
    host: Host
    id: int
    sent: Desired | None = None

    def part(self) -> None:
        """Have its agent find out that it has ended; a frozen one does when it thaws."""
        self.host.wake(lambda: self.host.parted(self.id))


class Controller:
    """The daemon, up or down. `calm`: it dies only when told to, and its scheduler plugin answers well."""

    def __init__(
        self, *, schedule: Schedule, rng: Random, network: Network, checks: Checks, limits: Limits, exact: bool
    ) -> None:
        """Begin up, with an empty log, `exact` as its disk is."""
        self.disk = Disk(LOG_ID, exact=exact, snapshot_every=500 if exact else 100_000)
        self.state = State(LOG_ID)
        self.up = True
        self.calm = False
        self.crashes = 0
        self.limits = limits
        self._schedule = schedule
        self._rng = rng
        self._network = network
        self._checks = checks
        self._inbox: list[tuple[inp.Input, Settle]] = []
        self._busy = False
        self._sessions: dict[str, _Session] = {}
        self._heard: dict[str, float] = {}
        self._timer = 0.0
        self.written: Callable[[tuple[Event, ...]], None] = lambda _events: None

    @property
    def quiet(self) -> bool:
        """Whether nothing waits for a turn, and every node is connected."""
        return not self._busy and len(self._sessions) == len(self.state.nodes)

    # ---- what arrives

    def put(self, item: inp.Input, settle: Settle = lambda _outcome: None) -> None:
        """Have an input taken in the next turn; lost if the daemon is down."""
        if self.up:
            self._inbox.append((item, settle))
            self._soon()

    def hello(self, host: Host, session: int, item: inp.NodeHello) -> None:
        """Open a session, unless another one of that node is live."""
        if not self.up or host.name in self._sessions:
            self._tell(host, lambda: host.parted(session))
            return
        self._heard[host.name] = self._schedule.now
        live = self._sessions[host.name] = _Session(host, session)
        version = item.observed.version
        self._tell(host, lambda: host.welcome(session, version))
        self.put(item, lambda _outcome: self._ack(live, version))

    def report(self, node: str, session: int, observed: Observed) -> None:
        """Take what a node sees; only of the session that is live, as a stream's messages are."""
        live = self._sessions.get(node)
        if live is not None and live.id == session:
            self.put(
                inp.NodeReport(node=node, observed=observed),
                lambda _outcome: self._ack(live, observed.version),
            )

    def progress(self, progress: Progress) -> None:
        """Take a world's first step."""
        self.put(inp.GangStepped(progress=progress))

    def left(self, node: str, session: int) -> None:
        """Forget a session that its agent has closed."""
        live = self._sessions.get(node)
        if live is not None and live.id == session:
            del self._sessions[node]

    def doubt(self, node: str) -> None:
        """Count a node's silence from now: unless it is heard again, it is silent when the limit has passed."""
        if self.up and node in self.state.nodes:
            self._heard[node] = self._schedule.now
            self._schedule.after(self.limits.unreachable_after_s, self._alive(lambda: self._look(node)))

    def _look(self, node: str) -> None:
        live = self._sessions.get(node)
        quiet_s = self._schedule.now - self._heard[node]
        if live is not None and live.host.hears(live.id):
            return
        if quiet_s + 1e-3 >= self.limits.unreachable_after_s and self.state.nodes[node].state in _REACHABLE:
            self.put(inp.NodeSilent(node=node))
            self._end(node)

    def _end(self, node: str) -> None:
        live = self._sessions.pop(node, None)
        if live is not None:
            # A stream closed from here, which a frozen or cut off agent finds out later.
            self._schedule.after(self._rng.uniform(0.1, 10.0), live.part)

    # ---- turns

    def _soon(self) -> None:
        if not self._busy:
            self._busy = True
            self._schedule.after(0.0, self._alive(self._turn))

    def _alive(self, call: Callable[[], None]) -> Callable[[], None]:
        life = self.crashes
        return lambda: call() if self.up and life == self.crashes else None

    def _turn(self) -> None:
        batch, self._inbox = self._inbox, []
        try:
            decision = handle(self.state, [item for item, _ in batch], self._schedule.now, self.limits)
        except Exception as error:
            raise Violation("core_takes_every_input", f"{error!r} on {[item for item, _ in batch]}") from error
        self._checks.after_turn(self.state, decision)
        out = [(node, desired(self.state, node)) for node in decision.dirty_nodes]
        if self._chance(_CRASH_IN_TURN):
            self.crash()
        elif decision.events:
            sync_s = self._rng.uniform(0.0005, 0.01)
            self._schedule.after(sync_s, self._alive(lambda: self._written(decision, batch, out)))
        else:
            self._release(decision, batch, out)

    def _written(
        self, decision: Decision, batch: list[tuple[inp.Input, Settle]], out: list[tuple[str, Desired]]
    ) -> None:
        self.disk.append(Record(decision.position, decision.now, decision.inputs, decision.events), self.state)
        self._checks.durable(decision.events)
        self.written(decision.events)
        if self._chance(_CRASH_IN_TURN):
            self.crash()
        else:
            self._release(decision, batch, out)

    def _release(
        self, decision: Decision, batch: list[tuple[inp.Input, Settle]], out: list[tuple[str, Desired]]
    ) -> None:
        for node, wanted in out:
            live = self._sessions.get(node)
            if live is not None:
                self._send(live, wanted)
        for (_, settle), outcome in zip(batch, decision.outcomes, strict=True):
            settle(outcome)
        for job in decision.questions:
            self._ask_scheduler(job)
        self._busy = False
        if self._inbox:
            self._soon()
        self._set_timer()

    def _set_timer(self) -> None:
        due = self.state.next_deadline()
        if due is not None and due != self._timer:
            self._timer = due
            self._schedule.at(due, self._alive(self._due))

    def _due(self) -> None:
        self._timer = 0.0
        self._soon()

    # ---- what goes out

    def _tell(self, host: Host, call: Callable[[], None]) -> None:
        self._network.send(host.name, lambda: host.wake(call), once=True)

    def _send(self, live: _Session, wanted: Desired) -> None:
        live.sent = wanted
        host = live.host
        self._network.send(host.name, lambda: host.wake(lambda: host.desired(live.id, wanted)))
        self._schedule.after(_RESEND_S, self._alive(lambda: self._behind(live, wanted)))

    def _behind(self, live: _Session, wanted: Desired) -> None:
        """Two beats later, or when its beats arrive again: send once more what the agent has not applied."""
        host = live.host
        if self._sessions.get(host.name) is not live or live.sent is not wanted:
            return
        applied = host.core.followed if host.core is not None else None
        if applied is not None and (applied.log_id, applied.position) >= (wanted.log_id, wanted.position):
            return
        if host.hears(live.id):
            self._send(live, wanted)
        else:
            self._schedule.after(_RESEND_S, self._alive(lambda: self._behind(live, wanted)))

    def _ack(self, live: _Session, version: int) -> None:
        host = live.host
        if self._sessions.get(host.name) is live:
            self._network.send(host.name, lambda: host.wake(lambda: host.acked(live.id, version)))

    def _ask_scheduler(self, job: int) -> None:
        """Have a plugin answer: mostly well, sometimes late, wrong, or not at all."""
        record = self.state.jobs[job]
        if record.state is not JobState.PLACING:
            return
        answer: Placement | NoFit | Preempt | None = place_or_preempt(
            self.state.free,
            requests.request(self.state, job, self.limits),
            preempt.candidates(self.state, self.limits, self.state.jobs[job]),
        )
        failure, chance = "", 1.0 if self.calm else self._rng.random()
        if chance < 0.03:
            answer, failure = None, "it raised ValueError"
        elif chance < 0.06:
            nodes = tuple(sorted(self.state.nodes)[:3])
            answer = Placement(gangs=(GangPlacement(role="trainer", gang=0, nodes=nodes),))
        delay_s = self._rng.uniform(0.001, 0.05) if chance > 0.1 else self._rng.uniform(0.5, 4.0)
        item = inp.PlacementAnswered(job=job, question=record.question, answer=answer, failure=failure)
        self._schedule.after(delay_s, self._alive(lambda: self.put(item)))

    # ---- life and death

    def crash(self) -> None:
        """Die at once. Only the log is left."""
        if not self.up:
            return
        self.up, self._busy = False, False
        self.crashes += 1
        self._inbox, self._heard = [], {}
        sessions, self._sessions = self._sessions, {}
        for node in sorted(sessions):
            live = sessions[node]
            self._schedule.after(
                self._rng.uniform(0.0, 0.3),
                live.part,
            )
        self._schedule.after(self._rng.uniform(0.3, 10.0), self._restart)

    def _restart(self) -> None:
        replayed = self.disk.replay(from_snapshot=self._rng.random() < 0.8)
        if self.state.m.position == self.disk.position:
            self.disk.compare(self.state, replayed)
        self.state, self.up, self._timer = replayed, True, 0.0
        self._checks.restarted(replayed)
        for node in sorted(replayed.nodes):
            self.doubt(node)
        self._soon()

    def _chance(self, chance: float) -> bool:
        return not self.calm and self._rng.random() < chance
